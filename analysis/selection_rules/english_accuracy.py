"""Choose by English validation: what most practitioners do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.selection_rules.rule import ENGLISH_ACCURACY, Candidates, Rule, smallest


def choose(candidates: Candidates) -> NDArray[np.intp]:
    """The configuration with the highest English validation accuracy.

    Args:
        candidates: A table of configurations.

    Returns:
        The index chosen in each row of the table.
    """
    return smallest(-candidates[ENGLISH_ACCURACY])


RULE = Rule(
    "english_accuracy", "highest English validation accuracy", (ENGLISH_ACCURACY,), fitted_only=False, choose=choose
)
