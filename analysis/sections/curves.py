"""Through training: Tr(F), loss and penalties by step, and the early peak of Tr(F) against generalisation.

According to Jastrzebski et al. (2021), a large Tr(F) early in training goes with poor final generalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.models import floats, logarithm
from analysis.numbers import Number, Numbers, from_association
from analysis.page import composition, figures
from analysis.page.document import Block, Figure, Found, Missing, Paragraph, Section
from analysis.page.style import Axis
from analysis.rows import Rows, rows
from analysis.sections import shared
from analysis.statistics.association import partial_correlation

MOST_LINES = 60  # with more configurations, each line is the mean of a family
MODEL = ["trial_id", "configuration", "family", "label"]  # columns that a point gets from its model
LOGARITHMIC = ("fisher_trace", "train_loss")
PEAK = "fisher_trace_peak"  # its definition says which steps are early
OUTCOMES = {"accuracy": ("accuracy.en", "English accuracy"), "gap": ("generalization_gap", "the generalization gap")}
PREDICTORS = {"peak": ("ln_peak", "the early peak of ln Tr(F)"), "final": ("ln_trace", "the final ln Tr(F)")}
TITLES = {
    "fisher_trace": "Tr(F)", "train_loss": "training loss (nats an example)", "accuracy.en": "English accuracy",
    "trust_region": "distance of TRAM (nats)",
}  # fmt: skip


@dataclass(frozen=True)
class Curves(Found):
    """Lines to draw, as points with the fields family, label, series, name, step, value and last.

    The numbers curves.PREDICTOR.OUTCOME correlate the early peak of ln Tr(F), and its final value, with each outcome
    over the same configurations, given family, if a peak was measured. ``by_family``: each line is a family's mean.
    """

    rows: Rows
    names: list[str]
    by_family: bool


def compute(tables: StudyTables) -> Curves | Missing:
    """The mean over seeds of each curve of stage 0 at each step."""
    points = tables.curves
    points = points.loc[(points["stage"] == 0) & points["x"].isna()] if len(points) else points
    joined = points.merge(tables.models[MODEL], on="trial_id") if len(points) else points
    joined = joined.loc[np.isfinite(joined["value"].astype(float))] if len(joined) else joined
    if joined.empty:
        return Missing("no complete trial has curves of its training.")
    joined, by_family = by_line(joined)
    means = line_means(joined, ["family", "configuration", "label"], "name", "step")
    found = list(dict.fromkeys(means["name"]))
    names = [name for name in TITLES if name in found] + [name for name in found if name not in TITLES]
    names = [name for name in names if means.loc[means["name"] == name, "step"].nunique() > 1]
    if not names:
        return Missing("every curve has one point only.")
    table = rows(means, ["family", "label", "series", "name", "step", "value", "last"])
    return Curves(_peaks(tables), tables, table, names, by_family)


def by_line(points: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Points with the configuration and label of their line, and whether each line is a whole family."""
    by_family = points["configuration"].nunique() > MOST_LINES
    if by_family:
        points = points.assign(configuration=points["family"], label=points["family"] + ", mean of all models")
    return points, by_family


def line_means(points: pd.DataFrame, line: list[str], panel: str, x: str) -> pd.DataFrame:
    """The mean over models for each panel, line and x; ``last`` marks the end of a line."""
    means = pd.DataFrame(points.groupby([*line, panel, x], as_index=False)["value"].mean())
    means["series"] = means["configuration"].astype(str)
    means["last"] = means[x] == means.groupby(["series", panel])[x].transform("max")
    return means


def _peaks(tables: StudyTables) -> dict[str, Number]:
    if not tables.has(PEAK):
        return {}
    tables = tables.with_columns({"ln_peak": logarithm(floats(tables.models, PEAK))})
    columns = [column for column, _ in PREDICTORS.values()]
    numbers = {}
    for outcome, (column, _) in OUTCOMES.items():
        if not tables.has(*columns, column):
            continue
        means = tables.means(*columns, column)
        for name, (predictor, _) in PREDICTORS.items():
            found = partial_correlation(means[predictor], means[column], means["family"])
            numbers[f"curves.{name}.{outcome}"] = from_association(found)
    return numbers


def _early(outcomes: Sequence[str], numbers: Numbers) -> list[Block]:
    """What the early peak says about each outcome, judged by its interval, beside the final Tr(F)."""
    words = []
    for outcome in outcomes:
        n = numbers[f"curves.peak.{outcome}"]
        word = "is not shown to change"
        if n.low is not None and n.high is not None:
            word = "falls" if n.high < 0 else "rises" if n.low > 0 else word
        words.append(f"{OUTCOMES[outcome][1]} {word}")
    text = (
        "Jastrzebski et al. expect a large Tr(F) early in training to go with poor generalisation. Here, within "
        f"families, {' and '.join(words)} as the early peak grows (by its interval, p unadjusted). The peak is the "
        "largest Tr(F) in the first half of the steps, the untrained head left out."
    )
    lines = [
        (f"{OUTCOMES[outcome][1]} with {label}", f"curves.{name}.{outcome}")
        for outcome in outcomes
        for name, (_, label) in PREDICTORS.items()
    ]
    caption = "Early and final Tr(F) against generalisation, given family, over the same configurations."
    return [Paragraph(text), shared.estimates(lines, numbers, caption, sortable=False)]


def draw(result: Curves, numbers: Numbers) -> list[Block]:
    """The early peak, if it was measured, and a panel for each curve."""
    points, looks = result.rows.records(["name", "value"]), shared.families(result.tables)
    steps = result.rows.column("step")
    x = Axis("step", "step", min(steps), max(steps))
    panels = []
    for name in result.names:
        values = [point["value"] for point in points if point["name"] == name]
        log = name in LOGARITHMIC and min(values) > 0
        number = ".0%" if name.startswith("accuracy") else ""
        y = Axis.over("value", TITLES.get(name, name), values, log=log, number=number)
        panels.append(figures.lines("curves", x, y, looks, where=f"datum.name == '{name}'"))
    what = "a family (mean of its models)" if result.by_family else "a configuration (mean over seeds)"
    caption = f"Training on English: one line {what}; colour by family, its shape at the last point."
    alternative = (
        "Line charts over training steps of " + ", ".join(TITLES.get(name, name) for name in result.names) + "."
    )
    spec = composition.row(panels, columns=2)
    blocks: list[Block] = [Figure("curves", spec, {"curves": result.rows}, caption, alternative)]
    measured = [outcome for outcome in OUTCOMES if f"curves.peak.{outcome}" in numbers]
    return [*(_early(measured, numbers) if measured else []), *blocks]


SECTION = Section("Through training", compute, draw)
