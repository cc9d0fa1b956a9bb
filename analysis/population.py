"""Which models count: those that fitted their training data, judged against a reference from the same study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FIT = 0.95  # of the reference accuracy, unless study.json has config.answer.fit
SENSITIVITY = {"90": 0.9, "98": 0.98}  # part of an id, the share in per cent -> alternative to FIT
BASELINE = "baseline"
COLLAPSE_MARGIN = 0.05  # above the majority share


@dataclass(frozen=True)
class Reference:
    """The training accuracy that models are judged against, NaN if unknown; its origin; and over how many models."""

    value: float
    what: str
    n: int


def declared_fit(study: dict[str, Any]) -> float:
    """The share of the reference accuracy in study.json (``config.answer.fit``); 0.95 for older studies without one."""
    return float((study.get("config", {}).get("answer") or {}).get("fit", FIT))


def reference(models: pd.DataFrame) -> Reference:
    """The baseline's mean over the seeds of its complete trials or, without a baseline, the median over configurations.

    A collapsed seed is left out, unless all collapsed: it does not show what can be fitted, and admits unfitted models.
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
    """Which models reach a share of the reference accuracy [models]; a share of 0 admits every model.

    Otherwise, a model does not count if its training accuracy is unknown, or if it collapsed or ended above its target
    training loss.
    """
    if not fit:
        return np.full(len(models), True)
    accuracy = models["train_accuracy"].to_numpy(dtype=np.float64, na_value=np.nan)
    reached = accuracy >= fit * measured.value - 1e-12
    ended = (models["state"] == "complete").to_numpy(dtype=bool)
    return np.asarray(reached & ended & ~models["collapsed"].to_numpy(dtype=bool))
