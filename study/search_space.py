"""The distributions of a search space, their grid expansion and their seeded draws.

This module does not interpret the values: ``study.config`` checks the paths. The adaptive draws of an arm with slots
are made by ``study.sweep.optuna_search``.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.errors import InputError
from trainables.schema import Count, Frozen

Value = bool | int | float | str | None
Point = dict[str, Value]
ACCURACY, TRACE = "accuracy.en", "fisher_trace"
"""The measurements that a joint search optimises: it maximises the first and minimises log10 of the second."""
_GOLDEN = 0.618034


class Searched(Frozen):
    """The fields that all distributions share."""

    also: tuple[str, ...] = Field((), description="further paths that take the same value")


class Grid(Searched):
    """Every value of a list."""

    kind: Literal["grid"] = "grid"
    values: tuple[Value, ...] = Field(min_length=1, description="the values, in the order of the plan")

    @model_validator(mode="after")
    def _values_are_distinct(self) -> Grid:
        if len(set(self.values)) != len(self.values):
            raise ValueError(f"a grid takes distinct values, got {', '.join(map(str, self.values))}")
        return self


class Choice(Searched):
    """Draws from a list with replacement."""

    kind: Literal["choice"] = "choice"
    values: tuple[Value, ...] = Field(min_length=1, description="the values")
    samples: Count | None = Field(None, description="number of draws; null in an arm with slots")

    def quantile(self, u: float) -> Value:
        """The value for a uniform number ``u``; each value is equally likely."""
        return self.values[int(u * len(self.values))]

    def probes(self) -> tuple[Value, ...]:
        """Values that show whether the distribution fits its path: all of them."""
        return self.values

    def text(self) -> str:
        """The distribution as people read it."""
        return f"one of {', '.join('null' if value is None else str(value) for value in self.values)}"


class Interval(Searched):
    """Draws between two bounds."""

    kind: str
    low: float = Field(description="lower bound")
    high: float = Field(description="upper bound")
    samples: Count | None = Field(None, description="number of draws; null in an arm with slots")

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low < high must hold, got low={self.low:g} high={self.high:g}")
        return self

    @abstractmethod
    def _at(self, u: float) -> float:
        """The value for a uniform number ``u``, with all its digits."""

    def quantile(self, u: float) -> Value:
        """The value for a uniform number ``u``: within the bounds, to six digits, so that a label shows all of it."""
        return min(max(float(f"{self._at(u):.6g}"), self.low), self.high)

    def probes(self) -> tuple[Value, ...]:
        """Values that show whether the distribution fits its path: the bounds, and one that is not a whole number."""
        return self.low, self.quantile(_GOLDEN), self.high

    def text(self) -> str:
        """The distribution as people read it."""
        return f"{self.low:g} to {self.high:g}"


class Uniform(Interval):
    """Draws that are uniform between two bounds."""

    kind: Literal["uniform"] = "uniform"

    def _at(self, u: float) -> float:
        return self.low + u * (self.high - self.low)


class LogUniform(Interval):
    """Draws whose logarithm is uniform between the logarithms of two bounds."""

    kind: Literal["log_uniform"] = "log_uniform"
    low: float = Field(gt=0.0, description="lower bound")

    def _at(self, u: float) -> float:
        return self.low * math.exp(u * math.log(self.high / self.low))

    def text(self) -> str:
        """The distribution as people read it."""
        return f"{super().text()} (log scale)"


Distribution = Annotated[Grid | Choice | Uniform | LogUniform, Field(discriminator="kind")]


def log_grid(low: float, high: float, count: int) -> tuple[float, ...]:
    """At least two values, evenly spaced on a logarithmic scale, including both ends, to two significant digits.

    Example:
        >>> log_grid(0.05, 5, 5)
        (0.05, 0.16, 0.5, 1.6, 5.0)
    """
    ratio = (high / low) ** (1 / (count - 1))
    return tuple(float(f"{low * ratio**i:.2g}") for i in range(count))


def expand(search: Mapping[str, Distribution], seed: str) -> list[Point]:
    """The points of a search space: the product of its grids and of the joint draws of its other distributions.

    Each drawn value depends only on ``seed`` (a text that names the study's seed and the arm), its path and its index,
    so adding a path or raising the number of draws leaves the other draws unchanged. An empty space has one empty
    point.

    Raises:
        InputError: The drawn distributions disagree on the number of draws, or none gives it.

    Example:
        >>> expand({"a": Grid(values=(1, 2)), "b": Grid(values=(0.1,), also=("c",))}, seed="")
        [{'a': 1, 'b': 0.1, 'c': 0.1}, {'a': 2, 'b': 0.1, 'c': 0.1}]
    """
    grids = {path: space for path, space in search.items() if isinstance(space, Grid)}
    drawn = {path: space for path, space in search.items() if not isinstance(space, Grid)}
    if missing := [path for path, space in drawn.items() if space.samples is None]:
        raise InputError(f"{missing[0]} is drawn, so give its distribution a number of samples, or its arm slots")
    counts = {space.samples for space in drawn.values() if space.samples is not None}
    if len(counts) > 1:
        raise InputError(f"what is drawn together takes one number of samples, got {sorted(counts)}")
    draws = [
        {path: space.quantile(_uniform(f"{seed}/{path}/{index}")) for path, space in drawn.items()}
        for index in range(max(counts, default=1))
    ]
    points = []
    for combination in itertools.product(*(space.values for space in grids.values())):
        for draw in draws:
            values = dict(zip(grids, combination, strict=True)) | draw
            points.append({p: values[path] for path, space in search.items() for p in (path, *space.also)})
    return points


def _uniform(name: str) -> float:
    """A number in [0, 1) that is a function of a name."""
    return random.Random(hashlib.sha256(name.encode()).digest()).random()
