"""The Pareto front of a search: configurations that no other beats in both accuracy and Tr(F)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers, count
from analysis.page import composition
from analysis.page.document import Block, Figure, Missing, Section, Table
from analysis.page.style import Families
from analysis.rows import Rows, settings
from analysis.sections import shared


@dataclass(frozen=True)
class Pareto:
    """The front: Tr(F) and accuracy of its configurations, ascending in both, and a table with a row for each."""

    numbers: dict[str, Number]
    rows: Rows
    front: Rows
    families: Families
    table: list[list[str]]


def front(traces: NDArray[np.float64], accuracies: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows that no other row beats: none has a trace at most as large and an accuracy at least as high, one strictly.

    Their numbers are ascending in trace; of equal rows there is the first.

    Example:
        >>> front(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.4, 0.7])).tolist()
        [0, 2]
    """
    order = np.lexsort((-accuracies, traces))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], accuracies[order]]))[:-1]
    return order[accuracies[order] > best]


def compute(tables: StudyTables) -> Pareto | Missing:
    """The front over configurations, in studies that search two values or more at once."""
    if not any(len(paths) > 1 for paths in tables.searched.values()):
        return Missing("no family searches several hyperparameters at once.")
    means = tables.means("ln_trace", "accuracy.en", adaptive=True)
    if means.empty:
        return Missing("no complete trial has both an English validation accuracy and a positive Tr(F).")
    chosen = means.iloc[front(means["ln_trace"].to_numpy(), means["accuracy.en"].to_numpy())]
    first = tables.models.drop_duplicates("configuration")
    searched = dict(zip(first["configuration"], settings(first, tables.searched), strict=True))
    table = []
    for row in chosen.to_dict("records"):
        cells = [row["label"], searched[row["configuration"]], f"{math.exp(row['ln_trace']):.4g}"]
        table.append([*cells, f"{100 * row['accuracy.en']:.2f}", str(row["seeds"])])
    points = [[math.exp(x), float(y)] for x, y in zip(chosen["ln_trace"], chosen["accuracy.en"], strict=True)]
    numbers = {"pareto.size": count(len(chosen)), "pareto.configurations": count(len(means))}
    return Pareto(
        numbers, tables.figure_rows, Rows(["fisher_trace", "accuracy_en"], points), shared.families(tables), table
    )


def draw(result: Pareto, numbers: Numbers) -> list[Block]:
    """The marks with the front, and the front's configurations."""
    chart = shared.accuracy_against_trace(result.rows, result.families, front="front")
    caption = (
        "The front: {pareto.size} of {pareto.configurations} configurations (means over seeds) that no other beats in "
        "both accuracy and Tr(F). Adaptive search favours this front: read it as a result of the search, not a sample."
    )
    alternative = "Scatter plot of accuracy against trace with a stepped line through {pareto.size} configurations."
    spec = composition.finish(chart)
    headings = ["model", "settings", "Tr(F)", "English accuracy (%)", "seeds"]
    return [
        Figure("pareto", spec, {"models": result.rows, "front": result.front}, caption, alternative),
        Table(headings, result.table, "Configurations on the front.", sortable=True),
    ]


SECTION = Section("Pareto front", compute, draw)
