"""Importance of hyperparameters: how much of an outcome's spread within a family each searched value accounts for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import fdtrc

from analysis.configurations import StudyTables
from analysis.numbers import CONFIGURATION, Number, Numbers
from analysis.page.document import Block, Missing, Section, Table
from analysis.rows import short_path
from analysis.statistics.permutation import headline

OUTCOMES = {  # part of an id -> (column of the models, name)
    "accuracy": ("accuracy.en", "English accuracy"),
    "trace": ("ln_trace", "ln Tr(F)"),
    "gain": ("gain", "gain"),
}


@dataclass(frozen=True)
class Importance:
    """Numbers importance.OUTCOME.FAMILY.PATH, lines (family, path) in order, and the outcomes that were measured."""

    numbers: dict[str, Number]
    lines: list[tuple[str, str]]
    outcomes: list[str]


def compute(tables: StudyTables) -> Importance | Missing:
    """The loss of R^2 when a hyperparameter's rank is left out of a linear model of the outcome's rank, by family."""
    numbers: dict[str, Number] = {}
    lines: list[tuple[str, str]] = []
    outcomes = [name for name, (column, _) in OUTCOMES.items() if tables.has(column)]
    for family in tables.families:
        paths = [f"config.{path}" for path in tables.searched.get(family, [])]
        paths = [path for path in paths if tables.has(path)]
        for outcome in outcomes if paths else []:
            column = OUTCOMES[outcome][0]
            means = tables.means(*paths, column, adaptive=True)
            means = means.loc[means["family"] == family]
            varied = [path for path in paths if means[path].nunique() > 1]
            if len(means) < len(varied) + 3 or not varied or means[column].nunique() < 2:
                continue
            for path, number in drop_in_r2(means[varied], means[column]).items():
                numbers[f"importance.{outcome}.{family}.{path}"] = number
                if (family, path) not in lines:
                    lines.append((family, path))
    if not lines:
        return Missing("no family has enough complete configurations for the values that it searches.")
    return Importance(numbers, lines, outcomes)


def drop_in_r2(values: pd.DataFrame, outcome: pd.Series[float]) -> dict[str, Number]:
    """Semi-partial R^2 of each column's rank in a least-squares fit of the outcome's rank, with its F test.

    With one column this is the square of Spearman's correlation, with p by permutation. With more columns there is no p
    if the fit leaves no residuals. Only monotone effects are seen; after an adaptive search the points are not an
    independent sample, so that p is only a rough guide.

    Args:
        values: One column per hyperparameter, one row per configuration.
        outcome: The outcome of each configuration.
    """
    ranks = values.rank().to_numpy(dtype=np.float64)
    y = outcome.rank().to_numpy(dtype=np.float64)
    full = _r2(ranks, y)
    n, k = ranks.shape
    if k == 1:
        # With ranks in perfect order, however many, the F test has no residual; so arrangements are counted instead.
        p = headline(ranks[:, 0], y, np.zeros(n)).p
        method = "square of the correlation of ranks; p over arrangements of the configurations"
        return {str(values.columns[0]): Number(full, "percent", p=p, n=n, unit=CONFIGURATION, method=method)}
    found = {}
    for place, name in enumerate(values.columns):
        loss = max(0.0, full - _r2(np.delete(ranks, place, axis=1), y))
        rest = 1 - full
        p = None if rest <= 1e-12 else float(fdtrc(1, n - k - 1, loss / rest * (n - k - 1)))
        method = "loss of R^2 of ranks when it is left out; F test"
        found[str(name)] = Number(loss, "percent", p=p, n=n, unit=CONFIGURATION, method=method)
    return found


def _r2(x: NDArray[Any], y: NDArray[Any]) -> float:
    design = np.column_stack([np.ones(len(y)), x])
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    centre = y - y.mean()
    return float(1 - residual @ residual / (centre @ centre))


def draw(result: Importance, numbers: Numbers) -> list[Block]:
    """One table."""
    table = []
    for family, path in result.lines:
        cells = []
        for outcome in result.outcomes:
            key = f"importance.{outcome}.{family}.{path}"
            cells.append(f"{{{key}}} ({{{key}:p}})" if key in numbers else "")
        table.append([family, short_path(path), *cells])
    caption = (
        "Share of the spread of each outcome (ranks, within the family) that is lost when a searched value is left out "
        "of a linear model; p unadjusted. Monotone effects only."
    )
    headings = ["family", "searched value", *(OUTCOMES[name][1] for name in result.outcomes)]
    return [Table(headings, table, caption, sortable=True)]


SECTION = Section("Importance of hyperparameters", compute, draw)
