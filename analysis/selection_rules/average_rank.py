"""Choose by all criteria at once: the mean rank by English accuracy, Tr(F) and margin, those that were measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.selection_rules.rule import ENGLISH_ACCURACY, MARGIN, TARGET_TRACE, TRACE, Candidates, Rule, smallest

SIGNS = {ENGLISH_ACCURACY: -1.0, TRACE: 1.0, TARGET_TRACE: 1.0, MARGIN: -1.0}  # the smallest sign * value ranks first


def choose(candidates: Candidates) -> NDArray[np.intp]:
    """The configuration with the smallest mean rank; ties get the mean of their ranks."""
    signed = [sign * candidates[column] for column, sign in SIGNS.items() if column in candidates]
    # Ranks are comparable only over the same configurations, so one that lacks any criterion is left out of all.
    gaps = np.any([np.isnan(values) for values in signed], axis=0)
    ranks = [pd.DataFrame(np.atleast_2d(np.where(gaps, np.nan, v))).rank(axis=1).to_numpy() for v in signed]
    # Ranks are multiples of 1/2, exact in binary, so tied sums compare equal and the first is chosen.
    return smallest(np.sum(ranks, axis=0).reshape(gaps.shape))


AVERAGE_RANK = Rule(
    "average_rank",
    "smallest mean rank by English accuracy, Tr(F) and margin, as far as measured",
    (ENGLISH_ACCURACY, TRACE),
    # Tr(F) says nothing about a model that is not at a minimum, and here it would count for half.
    fitted_only=True,
    choose=choose,
    uses=(TARGET_TRACE, MARGIN),
)
