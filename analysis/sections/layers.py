"""Layers: how Tr(F) is distributed over a model, by family and depth, and which depth's part goes with the outcomes.

The depths of a model are its embeddings, its early, middle and late layers, and its head.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import StudyTables
from analysis.models import floats, logarithm
from analysis.numbers import Number, Numbers, Style, listed
from analysis.page import figures
from analysis.page.document import Block, Figure, Found, Missing, Section, Table
from analysis.rows import Rows
from analysis.sections import shared
from analysis.sections.shared import OUTCOMES

TRACE, PARAMETERS = "fisher_trace_layers.", "fisher_trace_parameters."
DEPTHS = ("embeddings", "early", "middle", "late", "head")
_ABSENT = -1
DESCRIBED: dict[str, tuple[str, Style]] = {  # what is reported of a depth's part beside correlations
    "share": ("share of Tr(F)", "share"),
    "per_parameter": ("Tr(F) per parameter, relative to the whole model", "general"),
}


@dataclass(frozen=True)
class Depths:
    """The depth of each layer group of each model.

    Attributes:
        names: Layer groups in the order of the network: embeddings, layers by number, head.
        places: Index in DEPTHS of each group in each model, -1 if the model has no such group [groups, models].
    """

    names: list[str]
    places: NDArray[np.intp]

    @classmethod
    def of(cls, models: pd.DataFrame) -> Depths:
        """The layer groups of the given models.

        A layer is early, middle or late by the third in which its centre lies: (i + 1/2) / n for layer i of the
        model's n layers.
        """
        names = [str(column).removeprefix(TRACE) for column in models.columns if str(column).startswith(TRACE)]
        names.sort(key=lambda name: (*_order(name), name))
        kinds = np.array([_order(name)[0] for name in names], dtype=np.intp)[:, None]
        present = np.isfinite(_table(models, TRACE, names))
        layers = present & (kinds == 1)
        centres, count = 2 * np.cumsum(layers, axis=0) - 1, layers.sum(axis=0)  # twice (i + 1/2), and n
        thirds = 1 + (3 * centres >= 2 * count) + (3 * centres > 4 * count)
        places = np.where(layers, thirds, np.where(kinds == 0, 0, len(DEPTHS) - 1))
        return cls(names, np.where(present, places, _ABSENT))

    def parts(self, depth: str) -> list[str]:
        """The layer groups that are at a depth in any model, in order."""
        found = (self.places == DEPTHS.index(depth)).any(axis=1)
        return [name for name, there in zip(self.names, found, strict=True) if there]

    def sums(self, models: pd.DataFrame, prefix: str) -> dict[str, NDArray[np.float64]]:
        """TRACE or PARAMETERS (``prefix``) summed over the layer groups at each depth [models].

        NaN if a model has no such part, or if it was not measured.
        """
        values, found = _table(models, prefix, self.names), {}
        for place, depth in enumerate(DEPTHS):
            chosen = self.places == place
            found[depth] = np.where(chosen.any(axis=0), np.where(chosen, values, 0.0).sum(axis=0), np.nan)
        return found


def _table(models: pd.DataFrame, prefix: str, names: list[str]) -> NDArray[np.float64]:
    return np.array([floats(models, prefix + name) for name in names]).reshape(len(names), len(models))


def _order(name: str) -> tuple[int, int]:
    """Sort key: 0 for embeddings, 1 for a layer, 2 for the head; then the order among those."""
    if "embed" in name:
        return 0, 0
    number = re.search(r"\d+$", name)
    return (1, int(number[0])) if number else (2, int(name != "pooler"))


def compute(tables: StudyTables) -> Found | Missing:
    """Numbers layers.DEPTH.share, .per_parameter and .OUTCOME (the correlation of the outcome with ln of that part).

    All are over fitted models. There is no .per_parameter if parameters were not counted.
    """
    depths = Depths.of(tables.models)
    traces, entries = (depths.sums(tables.models, prefix) for prefix in (TRACE, PARAMETERS))
    whole, all_entries = floats(tables.models, "fisher_trace"), np.nansum(list(entries.values()), axis=0)
    columns = {}
    with np.errstate(divide="ignore", invalid="ignore"):  # a part may be 0, or its parameters uncounted
        for depth in DEPTHS:
            share = columns[f"share.{depth}"] = traces[depth] / whole
            columns[f"per_parameter.{depth}"] = share / (entries[depth] / all_entries)
            columns[f"ln.{depth}"] = logarithm(traces[depth])
    by_depth = tables.with_columns(columns)
    numbers: dict[str, Number] = {}
    for depth in DEPTHS:
        for what, (_, style) in DESCRIBED.items():
            values = by_depth.usable("ln_trace", f"{what}.{depth}")[f"{what}.{depth}"]
            if len(values):
                numbers[f"layers.{depth}.{what}"] = shared.mean(values, style)
    found = _depths_with_shares(numbers)
    if not found:
        return Missing("no fitted model has the parts of Tr(F) by layer.")
    for outcome, (column, _) in OUTCOMES.items():
        if tables.has(column, "ln_trace"):
            for depth in found:
                numbers[f"layers.{depth}.{outcome}"] = shared.correlate(by_depth, f"ln.{depth}", column)
    return Found(numbers, tables)


def _depths_with_shares(numbers: Mapping[str, Number]) -> list[str]:
    return [depth for depth in DEPTHS if f"layers.{depth}.share" in numbers]


def _shares(tables: StudyTables, names: list[str]) -> tuple[Rows, list[str]]:
    """The mean share of each part over the models of each family, as rows (family, part, share), and the families."""
    columns = [TRACE + name for name in names]
    models = tables.usable("ln_trace", "fisher_trace")
    parts = tables.models.loc[models.index, columns].astype(float)
    shares = parts.div(models["fisher_trace"], axis=0).groupby(models["family"]).mean()
    families = [family for family in tables.families if family in shares.index]
    values = [
        [family, name, float(f"{float(shares[column][family]):.5g}")]
        for family in families
        for name, column in zip(names, columns, strict=True)
        if np.isfinite(shares[column][family])
    ]
    return Rows(["row", "column", "value"], values), families


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """The shares by family as a heat map, and a table by depth."""
    depths = Depths.of(result.tables.models)
    rows, families = _shares(result.tables, depths.names)
    chart = figures.heat("layers", families, depths.names, "share of Tr(F)")
    caption = "Share of Tr(F) that each part of the model holds, mean over the models of a family."
    alternative = "Table of the share of the trace in each part of the model, by family."
    titles = {what: title for what, (title, _) in DESCRIBED.items()}
    titles |= {name: f"r: {title}" for name, (_, title) in OUTCOMES.items()}
    found = _depths_with_shares(numbers)
    shown = [what for what in titles if any(f"layers.{depth}.{what}" in numbers for depth in found)]
    table = []
    for depth in found:
        parts = depths.parts(depth)
        keys = [f"layers.{depth}.{what}" for what in shown]
        cells = [f"{{{key}}}" if key in numbers else "" for key in keys]
        said = f"{parts[0]} to {parts[-1]}" if parts[2:] else listed(parts)
        table.append([depth, said, *cells, f"{{layers.{depth}.share:n}}"])
    described = (
        "Tr(F) by depth over fitted models; a layer is early, middle or late by the third that its centre lies in. "
        "r [95 % interval]: correlation of the ln of that part with the outcome, given family, below 0 as declared; "
        "unadjusted."
    )
    return [
        Figure("layers", chart, {"layers": rows}, caption, alternative),
        Table(["depth", "parts", *(titles[what] for what in shown), "models"], table, described),
    ]


SECTION = Section("Layers", compute, draw)
