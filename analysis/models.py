"""The models of a study: trials with measurements, and the columns derived from these."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.population import COLLAPSE_MARGIN

ENGLISH = "en"
NOT_REACHED = "not_reached"  # the state of a trial that ended above its target training loss
PLACES = {"config.model.name": "model_fingerprint", "config.data.source": "data_fingerprint"}
"""Settings that may be a path on one machine, and the column that identifies the file itself."""
_SAME = (
    "gain", "accuracy_before", "half1.gain", "half2.gain", "half1.accuracy_before", "half2.accuracy_before", "distance",
    "path_curvature", "path_kl_en", "path_curvature_target",
)  # fmt: skip
SECOND_STAGE = {  # derived column -> WHAT, where the column is the mean of stage2.LANGUAGE.WHAT over languages
    **{name: name for name in _SAME},
    "path_direction": "direction",
    "english_kept": "accuracy_en_after",  # the English accuracy before the second stage is subtracted
}


def models_table(trials: pd.DataFrame, searched: Mapping[str, list[str]], languages: Sequence[str]) -> pd.DataFrame:
    """The trials that have measurements, with all derived columns except ``fitted``."""
    models = trials.loc[trials["state"].isin(["complete", NOT_REACHED])].copy() if len(trials) else trials.copy()
    for name in ("accuracy.en", "fisher_trace", "train_accuracy", "train_majority_share"):
        if name not in models:
            models[name] = np.nan
    derived: dict[str, Any] = {"family": models["arm"], "configuration": _configuration(models)}
    derived["collapsed"] = floats(models, "train_accuracy") < floats(models, "train_majority_share") + COLLAPSE_MARGIN
    derived["ln_trace"] = logarithm(floats(models, "fisher_trace"))
    derived["ln_trace_median"] = logarithm(floats(models, "fisher_trace_median"))
    for name in models.columns:
        if name.startswith("fisher_trace."):
            derived[f"ln_trace.{name.removeprefix('fisher_trace.')}"] = logarithm(floats(models, name))
    english = floats(models, "accuracy.en")
    for language in languages:
        derived[f"gap.{language}"] = english - floats(models, f"accuracy.{language}")
        if f"stage2.{language}.path_curvature" in models:
            derived[f"english_lost.{language}"] = english - floats(models, f"stage2.{language}.accuracy_en_after")
            for name in ("path_curvature", "path_kl_en"):
                derived[f"ln_{name}.{language}"] = logarithm(floats(models, f"stage2.{language}.{name}"))
    for name, what in SECOND_STAGE.items():
        parts = [column for language in languages if (column := f"stage2.{language}.{what}") in models]
        # A model that lacks a language has no mean, since means over different languages are not comparable.
        derived[name] = np.mean([floats(models, part) for part in parts], axis=0) if parts else math.nan
    derived["english_kept"] -= english
    targets = [floats(models, f"accuracy.{language}") for language in languages if f"accuracy.{language}" in models]
    derived["zero_shot"] = np.mean(targets, axis=0) if targets else math.nan
    derived["zero_shot_worst"] = np.min(targets, axis=0) if targets else math.nan
    derived["dose_rank"] = _dose_rank(models, searched)
    return pd.concat([models, pd.DataFrame(derived, index=models.index)], axis=1)


def floats(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column as numbers: NaN where a value is absent or not a number, and throughout if there is no such column."""
    if column not in table:
        return np.full(len(table), math.nan)
    values = table[column]
    if values.dtype == np.float64:
        return values.to_numpy()
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=math.nan)


def logarithm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of finite positive values; NaN elsewhere."""
    positive = np.isfinite(values) & (values > 0)
    return np.log(values, out=np.full(values.shape, math.nan), where=positive)


def _one(values: pd.Series[Any]) -> bool:
    return bool(values.notna().all()) and values.nunique() == 1


def _configuration(models: pd.DataFrame) -> pd.Series[int]:
    """A number for each set of models that differ only in their seed and in where their files were."""
    moved = [path for path, what in PLACES.items() if what in models and _one(models[what])]
    paths = [c for c in models.columns if c.startswith("config.") and c != "config.seed" and c not in moved]
    varying = [c for c in paths if models[c].astype(str).nunique() > 1]
    return models.groupby(["arm", *varying], sort=False, dropna=False).ngroup()


def _dose_rank(models: pd.DataFrame, searched: Mapping[str, list[str]]) -> pd.Series[float]:
    """Position of a model's dose among those of its family, from 0 to 1; missing if a family has no single dose."""
    out = pd.Series(math.nan, index=models.index)
    for family, rows in models.groupby("arm", sort=False):
        paths = searched.get(str(family), [])
        values = pd.to_numeric(rows[f"config.{paths[0]}"], errors="coerce") if len(paths) == 1 else None
        if values is not None and values.notna().all():
            ranks = values.rank(method="dense") - 1
            out.loc[rows.index] = ranks / max(1.0, float(ranks.max()))
    return out
