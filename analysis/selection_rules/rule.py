"""What a selection rule is: it maps what is known of each configuration to the one chosen, without target labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ENGLISH_ACCURACY = "accuracy.en"
TRACE = "ln_trace"
TARGET_TRACE = "ln_trace.target"
MARGIN = "measure.margin"
IS_BASELINE = "is_baseline"

# From column to values [..., configurations]; NaN marks a configuration that cannot be chosen.
Candidates = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Rule:
    """One way to choose a configuration.

    Attributes:
        needs: Columns without which the rule cannot choose.
        fitted_only: Whether it chooses among fitted configurations only, as it cannot tell that a model did not learn.
        choose: Maps a table of configurations to the index chosen in each of its rows.
        uses: Columns that it also uses if they were measured.
    """

    name: str
    description: str
    needs: tuple[str, ...]
    fitted_only: bool
    choose: Callable[[Candidates], NDArray[np.intp]]
    uses: tuple[str, ...] = ()


def by_column(name: str, description: str, column: str, sign: float, *, fitted_only: bool) -> Rule:
    """A rule that takes the configuration with the smallest value of one column (sign 1) or the largest (sign -1).

    Example:
        >>> rule = by_column("margin", "largest margin", MARGIN, -1.0, fitted_only=True)
        >>> int(rule.choose({MARGIN: np.array([1.0, np.nan, 3.0])}))
        2
    """
    return Rule(name, description, (column,), fitted_only, lambda candidates: smallest(sign * candidates[column]))


def smallest(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """The index [...] of the smallest value [..., configurations], the first if there are ties; NaN is skipped.

    Example:
        >>> int(smallest(np.array([np.nan, 2.0, 1.0])))
        2
    """
    return np.asarray(np.argmin(np.where(np.isnan(values), np.inf, values), axis=-1))
