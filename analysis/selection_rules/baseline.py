"""Choose nothing: the model without a regulariser, for who has nothing to select by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.selection_rules.rule import IS_BASELINE, Candidates, Rule, smallest


def choose(candidates: Candidates) -> NDArray[np.intp]:
    """The baseline.

    Args:
        candidates: A table of configurations.

    Returns:
        The index chosen in each row of the table.
    """
    return smallest(-candidates[IS_BASELINE])


RULE = Rule("baseline", "no selection: the baseline", (IS_BASELINE,), fitted_only=False, choose=choose)
