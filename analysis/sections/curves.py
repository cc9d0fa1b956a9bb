"""Through training: Tr(F), loss and penalties by step, and the early peak of Tr(F) against the outcome."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import figures
from analysis.association import partial_correlation
from analysis.configurations import StudyTables
from analysis.document import Block, Figure, Missing, Paragraph, Section
from analysis.numbers import Number, Numbers, from_association
from analysis.rows import Rows, rows
from analysis.sections import shared
from analysis.style import Axis, Families

MOST_LINES = 60  # with more configurations a line is a family's mean
LOGARITHMIC = ("fisher_trace", "train_loss")
TITLES = {"fisher_trace": "Tr(F)", "train_loss": "training loss (nats an example)", "accuracy.en": "English accuracy"}


@dataclass(frozen=True)
class Curves:
    """Lines to draw.

    Attributes:
        numbers: curves.peak: correlation of the ln of the largest Tr(F) during training with English accuracy.
        rows: Points: family, label, series, name, step, value, last.
        names: What is drawn, in order.
        families: The families.
        by_family: A line is a family's mean, not a configuration's.
    """

    numbers: dict[str, Number]
    rows: Rows
    names: list[str]
    families: Families
    by_family: bool


def compute(tables: StudyTables) -> Curves | Missing:
    """Mean over seeds of each curve of stage 0 at each step."""
    points = tables.curves
    points = points.loc[(points["stage"] == 0) & points["x"].isna()] if len(points) else points
    facts = tables.models[["trial_id", "configuration", "family", "label"]]
    joined = points.merge(facts, on="trial_id") if len(points) else points
    joined = joined.loc[np.isfinite(joined["value"].astype(float))] if len(joined) else joined
    if joined.empty:
        return Missing("no complete trial has curves of its training.")
    by_family = joined["configuration"].nunique() > MOST_LINES
    key = ["family"] if by_family else ["family", "configuration", "label"]
    means = pd.DataFrame(joined.groupby([*key, "name", "step"], as_index=False)["value"].mean())
    if by_family:
        means["configuration"], means["label"] = means["family"], means["family"] + ", mean of all models"
    means["series"] = means["configuration"].astype(str)
    last = means.groupby(["series", "name"])["step"].transform("max")
    means["last"] = means["step"] == last
    found = list(dict.fromkeys(means["name"]))
    names = [name for name in TITLES if name in found] + [name for name in found if name not in TITLES]
    names = [name for name in names if means.loc[means["name"] == name, "step"].nunique() > 1]
    if not names:
        return Missing("every curve has one point only.")
    table = rows(means, ["family", "label", "series", "name", "step", "value", "last"])
    return Curves(_peak(tables, joined), table, names, shared.families(tables), by_family)


def _peak(tables: StudyTables, joined: pd.DataFrame) -> dict[str, Number]:
    traces = joined.loc[(joined["name"] == "fisher_trace") & (joined["value"] > 0)]
    if traces.groupby("trial_id").size().max() < 2 if len(traces) else True:
        return {}
    peaks = np.log(traces.groupby("trial_id")["value"].max())
    models = tables.usable("accuracy.en")
    peak = models["trial_id"].map(peaks).astype(float)
    means = pd.DataFrame({"peak": peak, "accuracy": models["accuracy.en"].astype(float)}).dropna()
    means = means.groupby(models["configuration"]).mean()
    family = models.drop_duplicates("configuration").set_index("configuration")["family"][means.index]
    return {"curves.peak": from_association(partial_correlation(means["peak"], means["accuracy"], family))}


def draw(result: Curves, numbers: Numbers) -> list[Block]:
    """A panel a curve."""
    values = dict[str, list[float]]()
    name_at, value_at = result.rows.columns.index("name"), result.rows.columns.index("value")
    for row in result.rows.values:
        values.setdefault(row[name_at], []).append(row[value_at])
    steps = result.rows.column("step")
    x = Axis("step", "step", min(steps), max(steps))
    panels = []
    for name in result.names:
        log = name in LOGARITHMIC and min(values[name]) > 0
        number = ".0%" if name.startswith("accuracy") else ""
        y = Axis.over("value", TITLES.get(name, name), values[name], log=log, number=number)
        where = f"datum.name == '{name}'"
        panels.append(figures.lines("curves", x, y, result.families, where=where))
    what = "a family (mean of its models)" if result.by_family else "a configuration (mean over seeds)"
    caption = f"Training on English: one line {what}; colour by family, its shape at the last point."
    alternative = (
        "Line charts over training steps of " + ", ".join(TITLES.get(name, name) for name in result.names) + "."
    )
    spec = figures.finish(figures.row(panels, columns=2))
    blocks: list[Block] = [Figure("curves", spec, {"curves": result.rows}, caption, alternative)]
    if "curves.peak" in numbers:
        text = (
            "The largest Tr(F) during training (ln) and final English accuracy, given family: {curves.peak}, "
            "{curves.peak:p} ({curves.peak:n} configurations)."
        )
        blocks.insert(0, Paragraph(text))
    return blocks


SECTION = Section("Through training", compute, draw)
