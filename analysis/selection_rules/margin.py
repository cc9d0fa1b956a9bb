"""Choose by the margin of the predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.selection_rules.rule import MARGIN, Candidates, Rule, smallest


def choose(candidates: Candidates) -> NDArray[np.intp]:
    """The configuration with the largest mean margin.

    Args:
        candidates: A table of configurations.

    Returns:
        The index chosen in each row of the table.
    """
    return smallest(-candidates[MARGIN])


RULE = Rule("margin", "largest margin", (MARGIN,), fitted_only=True, choose=choose)
