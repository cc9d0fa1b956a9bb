"""How a figure looks: the families' colours and shapes, and axes with readable ticks. Nothing is drawn here.

Colour and shape both show the family, so that figures work in greyscale and for colour-blind readers (Okabe and Ito
2008). Size shows the dose; a hollow mark is a model that did not fit its training data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

INK, GREY = "#1a1a1a", "#6b6b6b"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#6B6B00")
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "triangle-right", "triangle-left")
STAR = "M0,-1L0.24,-0.32L0.95,-0.31L0.38,0.12L0.59,0.81L0,0.4L-0.59,0.81L-0.38,0.12L-0.95,-0.31L-0.24,-0.32Z"
BASELINE = "baseline"
_STEPS: tuple[tuple[float, tuple[float, ...]], ...] = (  # ticks within a decade, for axes that span fewer decades
    (0.6, (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)), (1.1, (1, 2, 3, 5, 7)), (2.5, (1, 2, 5)), (4, (1, 3)),
    (math.inf, (1,)),
)  # fmt: skip
POINTS = "points"  # axis labels are a hundred times the value


@dataclass(frozen=True)
class Families:
    """The families of a study in plan order, each with its legend text."""

    names: tuple[str, ...]
    legend: tuple[str, ...]

    def colours(self) -> list[str]:
        """A colour for each family; black for the baseline. The eight colours and seven shapes repeat out of step."""
        return self._each(COLOURS, INK)

    def shapes(self) -> list[str]:
        """A shape for each family; a star for the baseline."""
        return self._each(SHAPES, STAR)

    def _each(self, marks: Sequence[str], baseline: str) -> list[str]:
        others = iter(range(len(self.names)))
        return [baseline if name == BASELINE else marks[next(others) % len(marks)] for name in self.names]


@dataclass(frozen=True)
class Tip:
    """One line of a mark's tooltip: column, label and d3 format (empty for text)."""

    field: str
    title: str
    number: str = ""


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        field: Column of the rows.
        title: Title, with the unit.
        number: d3 format of the labels, or POINTS; empty for plain numbers.
    """

    field: str
    title: str
    low: float
    high: float
    log: bool = False
    number: str = ""

    @classmethod
    def over(cls, field: str, title: str, values: Sequence[float], *, log: bool = False, number: str = "") -> Axis:
        """An axis that shows all of some finite values, if any, with a margin; on a log axis they must be positive."""
        low, high = (min(values), max(values)) if len(values) else (1.0, 10.0)
        if log:
            margin = max(1.15, (high / low) ** 0.05)
            return cls(field, title, low / margin, high * margin, True, number)
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
        return cls(field, title, low - margin, high + margin, False, number)

    def of(self, field: str, title: str | None = None) -> Axis:
        """The same axis for another column, so that panels are comparable."""
        return replace(self, field=field, title=self.title if title is None else title)

    def ticks(self) -> list[float]:
        """Tick values of a logarithmic axis, ascending: decades, and values between them if there are few decades.

        Example:
            >>> Axis("x", "x", 0.8, 60.0, log=True).ticks()
            [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
        """
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        decades = math.log10(self.high / self.low)
        steps = next(steps for below, steps in _STEPS if decades < below)
        stride = max(1, math.ceil(decades / 8))
        values = [step * 10.0**power for power in range(first, last + 1, stride) for step in steps]
        return [float(f"{value:.12g}") for value in values if self.low <= value <= self.high]
