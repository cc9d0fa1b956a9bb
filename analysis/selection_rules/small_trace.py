"""Choose by flatness: a small Tr(F) on English."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.selection_rules.rule import TRACE, Candidates, Rule, smallest


def choose(candidates: Candidates) -> NDArray[np.intp]:
    """The configuration with the smallest Tr(F) on English.

    Args:
        candidates: A table of configurations.

    Returns:
        The index chosen in each row of the table.
    """
    return smallest(candidates[TRACE])


RULE = Rule("small_trace", "smallest Tr(F) on English", (TRACE,), fitted_only=True, choose=choose)
