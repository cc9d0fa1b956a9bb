"""The Pareto front of a search: configurations that no other dominates in accuracy and Tr(F)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import StudyTables
from analysis.numbers import Numbers, count
from analysis.page.document import Block, Figure, Found, Missing, Section, Table
from analysis.rows import Rows, settings
from analysis.sections import shared


def front(traces: NDArray[np.float64], accuracies: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows that no other row dominates by a trace no larger and an accuracy no lower, one of the two strictly better.

    Row numbers are in ascending order of trace; of equal rows, only the first is included.

    Example:
        >>> front(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.4, 0.7])).tolist()
        [0, 2]
    """
    order = np.lexsort((-accuracies, traces))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], accuracies[order]]))[:-1]
    return order[accuracies[order] > best]


def _front(tables: StudyTables) -> tuple[pd.DataFrame, int]:
    """The configurations on the front, in ascending order of Tr(F) and accuracy, and how many were compared."""
    means = tables.means("ln_trace", "accuracy.en", adaptive=True)
    return means.iloc[front(means["ln_trace"].to_numpy(), means["accuracy.en"].to_numpy())], len(means)


def compute(tables: StudyTables) -> Found | Missing:
    """The size of the front over configurations, for studies that search two or more values at once."""
    if not any(len(paths) > 1 for paths in tables.searched.values()):
        return Missing("no family searches several hyperparameters at once.")
    chosen, among = _front(tables)
    if not among:
        return Missing("no complete trial has both an English validation accuracy and a positive Tr(F).")
    return Found({"pareto.size": count(len(chosen)), "pareto.configurations": count(among)}, tables)


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """The models with the front drawn in, and a table of its configurations."""
    tables = result.tables
    chosen, _ = _front(tables)
    first = tables.models.drop_duplicates("configuration")
    searched = dict(zip(first["configuration"], settings(first, tables.searched), strict=True))
    table = []
    for row in chosen.to_dict("records"):
        cells = [row["label"], searched[row["configuration"]], f"{math.exp(row['ln_trace']):.4g}"]
        table.append([*cells, f"{100 * row['accuracy.en']:.2f}", str(row["seeds"])])
    points = [[math.exp(x), float(y)] for x, y in zip(chosen["ln_trace"], chosen["accuracy.en"], strict=True)]
    rows = {"models": tables.figure_rows, "front": Rows(["fisher_trace", "accuracy_en"], points)}
    chart = shared.accuracy_against_trace(tables, front="front")
    caption = (
        "The front: {pareto.size} of {pareto.configurations} configurations (means over seeds) that no other beats in "
        "both accuracy and Tr(F). Adaptive search favours this front: read it as a result of the search, not a sample."
    )
    alternative = "Scatter plot of accuracy against trace with a stepped line through {pareto.size} configurations."
    headings = ["model", "settings", "Tr(F)", "English accuracy (%)", "seeds"]
    return [
        Figure("pareto", chart, rows, caption, alternative),
        Table(headings, table, "Configurations on the front.", sortable=True),
    ]


SECTION = Section("Pareto front", compute, draw)
