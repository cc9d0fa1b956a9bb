"""StudyConfig and Arm: a base trial, the families of trials around it, and how often each is repeated."""

from __future__ import annotations

import re
import reprlib
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, model_validator

from study.search_space import Distribution, Point, Value, expand
from trainables.config import TrialConfig, check_path, flatten, with_values
from trainables.errors import InputError
from trainables.schema import Count, Frozen


def _check_name(name: str) -> str:
    """Names become folder names and parts of what people type with commas and equals signs."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
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

    @property
    def searched(self) -> list[str]:
        """Every path that takes a value from the search space, those of ``also`` included."""
        return [path for first, space in self.search.items() for path in (first, *space.also)]

    def points(self, base: TrialConfig) -> list[tuple[str, TrialConfig]]:
        """The trials of the arm before they are repeated over seeds.

        Args:
            base: The trial that the arm changes.

        Returns:
            Label (``kl=0.6``; the arm's name when nothing is searched) and configuration of each point.

        Raises:
            InputError: A value does not fit its path.
        """
        return [
            (self._label(point), with_values(base, {**self.set, **point}))
            for point in expand(self.search, seed=f"{base.seed}/{self.name}")
        ]

    def _label(self, point: Point) -> str:
        if not self.search:
            return self.name
        return f"{self.name}={'/'.join(format_value(point[path]) for path in self.search)}"

    def convert(self, base: TrialConfig, text: str) -> Value:
        """A value of the arm's only searched path from text, in the type of the path.

        Args:
            base: The trial that the arm changes.
            text: The value as typed.

        Returns:
            The value.

        Raises:
            InputError: The arm does not search exactly one path, or the value does not fit.
        """
        if len(self.search) != 1:
            raise InputError(
                f"arm {self.name} searches {len(self.search)} paths, so it cannot be narrowed to {self.name}={text}; "
                f"select it whole: --arms {self.name}"
            )
        config = with_values(base, {**self.set, **dict.fromkeys(self.searched, text)})
        value: Value = flatten(config)[next(iter(self.search))]
        return value


class StudyConfig(Frozen):
    """Everything that determines the plan of a study."""

    name: Name = Field(description="name of the study and of its folder")
    description: str = Field("", description="hypothesis, protocol, deviations and cost, for people")
    base: TrialConfig = Field(TrialConfig(), description="the trial that every arm changes")
    seeds: Count = Field(1, description="repeats of every configuration, with seeds base.seed, base.seed + 1, ...")
    arms: tuple[Arm, ...] = Field(min_length=1, description="the families, in the order of the plan")

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

    Args:
        value: The value.

    Returns:
        Text.

    Example:
        >>> [format_value(value) for value in (0.6, 1.0, 1e-6, "off", None)]
        ['0.6', '1', '1e-06', 'off', 'null']
    """
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return "null" if value is None else str(value)


def describe(error: ValidationError) -> str:
    """The problems of a configuration in one line.

    Args:
        error: What pydantic found.

    Returns:
        The problems, each with its place.
    """
    lines = []
    for problem in error.errors():
        place = ".".join(str(key) for key in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        given = reprlib.repr(problem["input"])
        lines.append(message if problem["type"] == "value_error" else f"{place}: {message}, got {given}".lstrip(": "))
    return "; ".join(lines)
