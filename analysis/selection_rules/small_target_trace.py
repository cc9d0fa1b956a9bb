"""Choose by flatness on the text of the target language, which needs no labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.selection_rules.rule import TARGET_TRACE, Candidates, Rule, smallest


def choose(candidates: Candidates) -> NDArray[np.intp]:
    """The configuration with the smallest Tr(F) on the target language's text.

    Args:
        candidates: A table of configurations.

    Returns:
        The index chosen in each row of the table.
    """
    return smallest(candidates[TARGET_TRACE])


RULE = Rule(
    "small_target_trace",
    "smallest Tr(F) on the target language's text, for each language anew",
    (TARGET_TRACE,),
    fitted_only=True,
    choose=choose,
)
