"""StudyConfig and Arm: a base trial, the families of trials around it, and how often each is repeated."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from study.search_space import Distribution, Grid, Point, Value, expand
from trainables.config import TrialConfig
from trainables.config.dotted_paths import check_path, flatten, with_values
from trainables.errors import InputError
from trainables.schema import Count, Frozen

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


def _check_name(name: str) -> str:
    """Check a name, which becomes a folder name and part of what people type between commas and equals signs."""
    if not re.fullmatch(NAME, name):
        raise ValueError(
            f"a name takes letters, digits, '.', '_' and '-', begins with a letter or digit and has at most 100 of "
            f"them, got {name!r}"
        )
    return name


Name = Annotated[str, AfterValidator(_check_name)]


class Arm(Frozen):
    """A family of the paper's figures: what it changes in the base trial, and the space searched around it."""

    name: Name = Field(description="the family's name in tables and figures")
    set: dict[str, Any] = Field({}, description="dotted path to value, for every trial of the arm")
    search: dict[str, Distribution] = Field({}, description="dotted path to distribution")
    slots: Count | None = Field(
        None, description="configurations that Optuna draws one after another from the joint space; null: no such draws"
    )

    @model_validator(mode="after")
    def _paths_are_known_and_used_once(self) -> Arm:
        for path in (*self.set, *self.searched):
            check_path(path)
            if path == "seed":
                raise ValueError(f"arm {self.name} changes seed; repeats are the study's field seeds")
        used = [*self.set, *self.searched]
        if twice := sorted({path for path in used if used.count(path) > 1}):
            raise ValueError(f"arm {self.name} gives a value to {', '.join(twice)} twice")
        return self

    @model_validator(mode="after")
    def _slots_are_drawn(self) -> Arm:
        if self.slots is None:
            return self
        if not self.search:
            raise ValueError(f"arm {self.name} has slots but searches nothing")
        for path, space in self.search.items():
            if isinstance(space, Grid):
                raise ValueError(
                    f"arm {self.name} has slots, so {path} takes a Choice, Uniform or LogUniform, not a Grid"
                )
            if space.samples is not None:
                raise ValueError(f"arm {self.name} has slots, so {path} takes no number of samples of its own")
        for path in self.searched:
            if path.startswith("data.") or path in ("model.name", "model.revision"):
                raise ValueError(
                    f"arm {self.name} has slots, so it cannot search {path}: all of its trials share model and data"
                )
        return self

    @property
    def searched(self) -> list[str]:
        """Every path that takes a value from the search space, including those of ``also``."""
        return [path for first, space in self.search.items() for path in (first, *space.also)]

    def points(self, base: TrialConfig) -> list[tuple[str, TrialConfig]]:
        """Label and configuration of each point, before the repeats over seeds.

        A label is, for example, ``kl=0.6``; ``search#001`` for a slot; the arm's name when nothing is searched. A slot
        has the configuration that its draw will change. InputError when a value does not fit its path.
        """
        if self.slots is not None:
            self.probes(base)
            width = max(3, len(str(self.slots)))
            fixed = self.at(base, {})
            return [(f"{self.name}#{slot:0{width}d}", fixed) for slot in range(1, self.slots + 1)]
        points = expand(self.search, seed=f"{base.seed}/{self.name}")
        if not all(isinstance(space, Grid) for space in self.search.values()):
            points = list({repr(point): point for point in points}.values())  # draws with replacement may repeat
        return [(self._label(point), self.at(base, point)) for point in points]

    def only(self, *values: Value) -> Arm:
        """The arm with a grid of only these values for its one searched path."""
        ((path, space),) = self.search.items()
        return self.model_copy(update={"search": {path: Grid(values=values, also=space.also)}})

    def at(self, base: TrialConfig, point: Point) -> TrialConfig:
        """The trial at one point of the space; InputError when a value does not fit its path."""
        return with_values(base, {**self.set, **point})

    def probes(self, base: TrialConfig) -> list[TrialConfig]:
        """Trials at the bounds of a joint space, two paths at a time, to check before the start that draws will fit.

        Empty without slots. InputError when a value does not fit its path or cannot be combined with another path's.
        """
        if self.slots is None:
            return []
        spaces = {path: space for path, space in self.search.items() if not isinstance(space, Grid)}
        first = {path: space.probes()[0] for path, space in spaces.items()}
        found = []
        for one, other in itertools.combinations(spaces, 2) if len(spaces) > 1 else [(path, path) for path in spaces]:
            for values in itertools.product(spaces[one].probes(), spaces[other].probes()):
                found.append(self.at(base, self.spread(first | {one: values[0], other: values[1]})))
        return found

    def spread(self, values: Point) -> Point:
        """Values of the searched paths, extended to the paths of ``also``, which take the same values."""
        return {path: values[first] for first, space in self.search.items() for path in (first, *space.also)}

    def space_text(self) -> str:
        """The joint space of an arm with slots, as text for people.

        Example:
            >>> from study.search_space import LogUniform
            >>> space = LogUniform(low=1e-6, high=1)
            >>> Arm(name="a", search={"stages.0.penalties.l2.weight": space}, slots=40).space_text()
            '40 slots, drawn by Optuna from stages.0.penalties.l2.weight: 1e-06 to 1 (log scale)'
        """
        parts = [
            f"{' = '.join((path, *space.also))}: {space.text()}"
            for path, space in self.search.items()
            if not isinstance(space, Grid)
        ]
        return f"{self.slots} slots, drawn by Optuna from {'; '.join(parts)}"

    def _label(self, point: Point) -> str:
        if not self.search:
            return self.name
        return f"{self.name}={'/'.join(format_value(point[path]) for path in self.search)}"

    def convert(self, base: TrialConfig, text: str) -> Value:
        """A typed value of the arm's only searched path; InputError when it does not fit or there is no such path."""
        joint = self.slots is not None
        if joint or len(self.search) != 1:
            what = f"is a joint search of {self.slots} slots" if joint else f"searches {len(self.search)} paths"
            raise InputError(
                f"arm {self.name} {what}, so it cannot be narrowed to {self.name}={text}; "
                f"select it whole: --arms {self.name}"
            )
        config = with_values(base, {**self.set, **dict.fromkeys(self.searched, text)})
        value: Value = flatten(config)[next(iter(self.search))]
        return value


class AnswerConfig(Frozen):
    """How the report reads a study; declared with the plan, before anything runs."""

    fit: float = Field(
        0.95,
        gt=0,
        le=1,
        description="share of the baseline's training accuracy that a model reaches to be fitted; headlines run over "
        "fitted models",
    )


class StudyConfig(Frozen):
    """Everything that determines the plan of a study."""

    name: Name = Field(description="name of the study and of its folder")
    description: str = Field("", description="hypothesis, protocol, deviations and cost, for people")
    source: str = Field("", description="the named study that it came from, as the command line names it")
    base: TrialConfig = Field(TrialConfig(), description="the trial that every arm changes")
    seeds: Count = Field(1, description="repeats of every configuration, with seeds base.seed, base.seed + 1, ...")
    arms: tuple[Arm, ...] = Field(min_length=1, description="the families, in the order of the plan")
    answer: AnswerConfig = Field(AnswerConfig(), description="how the report reads the study")

    @model_validator(mode="after")
    def _arms_are_distinct_and_fit(self) -> StudyConfig:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError(f"arms take distinct names, got {', '.join(names)}")
        for arm in self.arms:
            arm.points(self.base)
        return self


def format_value(value: Value) -> str:
    """A value as a label shows it.

    Example:
        >>> [format_value(value) for value in (0.6, 1.0, 1e-6, "off", None)]
        ['0.6', '1', '1e-06', 'off', 'null']
    """
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return "null" if value is None else str(value)
