"""Which models count: those that fitted their training data, as measured against the study's own reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FIT = 0.95  # of the reference's training accuracy; study.json's config.answer.fit where it has one
SENSITIVITY = {"90": 0.9, "98": 0.98}  # part of an id, which is the share in per cent -> another share for FIT
BASELINE = "baseline"
COLLAPSE_MARGIN = 0.05  # above the majority share


@dataclass(frozen=True)
class Reference:
    """The training accuracy that models are measured against: whose it is, over n models; NaN if not measured."""

    value: float
    what: str
    n: int


def declared_fit(study: dict[str, Any]) -> float:
    """The share of the reference in study.json (``config.answer.fit``); 0.95 for a study from before there was one."""
    return float((study.get("config", {}).get("answer") or {}).get("fit", FIT))


def reference(models: pd.DataFrame) -> Reference:
    """Over complete trials: the baseline's mean over seeds; without a baseline the median over configurations.

    A seed of the baseline that collapsed says nothing of what can be fitted, and would let models in that did not fit.
    """
    measured = models.loc[np.isfinite(models["train_accuracy"].to_numpy(dtype=np.float64, na_value=np.nan))]
    own = measured.loc[measured["family"] == BASELINE]
    standing = own.loc[~own["collapsed"].to_numpy(dtype=bool)]
    if len(own):
        which = " that did not collapse" if 0 < len(standing) < len(own) else ""
        own = standing if len(standing) else own
        return Reference(float(own["train_accuracy"].mean()), f"the baseline's, mean over its seeds{which}", len(own))
    means = measured.groupby("configuration")["train_accuracy"].mean()
    return Reference(
        float(means.median()), "the median over configurations, as no baseline was measured", len(measured)
    )


def fitted(models: pd.DataFrame, measured: Reference, fit: float) -> NDArray[np.bool_]:
    """Which models reach a share of the reference's training accuracy [models]; every model reaches 0.

    False where the training accuracy is unknown, and for a model that has collapsed or ended above the training loss
    that it was to reach.
    """
    if not fit:
        return np.full(len(models), True)
    accuracy = models["train_accuracy"].to_numpy(dtype=np.float64, na_value=np.nan)
    reached = accuracy >= fit * measured.value - 1e-12
    ended = (models["state"] == "complete").to_numpy(dtype=bool)
    return np.asarray(reached & ended & ~models["collapsed"].to_numpy(dtype=bool))
