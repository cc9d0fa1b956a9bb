"""Each arm against the baseline at equal fit and seed by seed: do ln Tr(F) and accuracy move in opposite directions?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers, Style, count
from analysis.page.document import Block, Found, Missing, Paragraph, Section, Table
from analysis.population import BASELINE

MEASURED: dict[str, tuple[str, Style, str]] = {
    "trace": ("ln_trace", "general", "ln Tr(F)"),
    "train_trace": ("ln_trace.train", "general", "ln Tr(F) of training rows"),
    "accuracy": ("accuracy.en", "points", "English accuracy (points)"),
    "zero_shot": ("zero_shot", "points", "zero-shot accuracy (points)"),
    "nll": ("train_nll", "general", "training NLL"),
}
DIRECTIONS = {-1: "opposite", 1: "the same", 0: "undecided"}


def _arms(tables: StudyTables) -> list[str]:
    return [family for family in tables.families if family != BASELINE and family not in tables.adaptive]


def compute(tables: StudyTables) -> Found | Missing:
    """Subtract the baseline with the same seed from each arm's mean over its fitted configurations.

    The numbers are intervention.ARM.WHAT, for each WHAT in MEASURED that has values, and .configurations.
    """
    arms = _arms(tables)
    models = tables.models.loc[tables.usable("ln_trace", "accuracy.en").index]
    if not arms or BASELINE not in set(models["family"]):
        return Missing("there is no fitted baseline beside another arm.")
    measured = [name for name, (column, _, _) in MEASURED.items() if column in models and models[column].notna().all()]
    baselines = {name: _by_seed(models, BASELINE, MEASURED[name][0]) for name in measured}
    numbers: dict[str, Number] = {}
    for arm in arms:
        for name, baseline in baselines.items():
            column, style, _ = MEASURED[name]
            kept = _by_seed(models, arm, column).reindex(columns=baseline.columns).dropna()
            numbers[f"intervention.{arm}.{name}"] = difference(kept, baseline, style)
        numbers[f"intervention.{arm}.configurations"] = count(len(kept))
    return Found(numbers, tables)


def _by_seed(models: pd.DataFrame, family: str, column: str) -> pd.DataFrame:
    """A measurement of models, by configuration (rows) and seed (columns)."""
    rows = models.loc[models["family"] == family, ["configuration", "seed", column]]
    return rows.pivot_table(column, "configuration", "seed")


def difference(arm: pd.DataFrame, baseline: pd.DataFrame, style: Style) -> Number:
    """An arm's mean over configurations minus the baseline at the same seed, as a mean over seeds with a t interval.

    Rows are configurations and columns are seeds; the arm has every seed of the baseline.
    """
    method = "mean over the arm's configurations minus the baseline at the same seed; t interval over seeds"
    if arm.empty:
        reason = "no configuration fitted with every seed of the baseline"
        return Number(None, style, n=0, unit="seed", method=method, reason=reason)
    found = (arm.mean() - baseline.mean()).to_numpy(dtype=np.float64)
    mean, n = float(found.mean()), len(found)
    number = Number(mean, style, n=n, unit="seed", method=method)
    if n < 2:
        return number
    half = float(stdtrit(n - 1, 0.975)) * float(found.std(ddof=1)) / math.sqrt(n)
    return replace(number, low=mean - half, high=mean + half)


def _sign(number: Number) -> int:
    """On which side of 0 the interval lies; 0 if it contains 0 or there is none."""
    if number.low is None or number.high is None:
        return 0
    return int(number.low > 0) - int(number.high < 0)


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """A sentence on how to read it, and a row for each arm."""
    arms, rows = _arms(result.tables), []
    measured = [name for name in MEASURED if f"intervention.{arms[0]}.{name}" in numbers]
    for arm in arms:
        keys = [f"intervention.{arm}.{name}" for name in measured]
        trace, accuracy = (_sign(numbers[f"intervention.{arm}.{name}"]) for name in ("trace", "accuracy"))
        known = [f"{{intervention.{arm}.configurations}}", f"{{{keys[0]}:n}}"]
        if numbers[keys[0]].value is None:
            changes = [f"{{{keys[0]}:reason}}", *[""] * (len(keys) - 1)]
        else:
            changes = [f"{{{key}}}" for key in keys]
        rows.append([arm, *known, *changes, DIRECTIONS[trace * accuracy]])
    text = (
        "If flatness causes generalisation, an arm that sharpens at equal fit loses accuracy and an arm that flattens "
        "gains some: the changes of ln Tr(F) and of English accuracy are then opposite. An arm that moves one of them "
        "alone, or both the same way, speaks against it."
    )
    headings = ["arm", "configurations", "seeds", *(MEASURED[name][2] for name in measured), "directions"]
    caption = (
        "Change against the baseline at the same seed: mean over the arm's configurations that fitted with every seed "
        "of the baseline, with its t interval over seeds, unadjusted. Directions: of ln Tr(F) and English accuracy, "
        "where both intervals leave out zero."
    )
    return [Paragraph(text), Table(headings, rows, caption)]


SECTION = Section("Arms against the baseline", compute, draw)
