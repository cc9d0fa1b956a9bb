"""Layers: where Tr(F) sits, by family and by depth, and which depth's part goes with the outcomes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.depth import DEPTHS, PARAMETERS, TRACE, Depths
from analysis.models import floats
from analysis.numbers import Number, Numbers, Style, listed
from analysis.page import composition, figures
from analysis.page.document import Block, Figure, Missing, Section, Table
from analysis.rows import Rows
from analysis.sections import shared
from analysis.sections.shared import OUTCOMES

DESCRIBED: dict[str, tuple[str, Style]] = {  # what is said of a depth's part beside its correlations
    "share": ("share of Tr(F)", "share"),
    "per_parameter": ("Tr(F) per parameter, relative to the whole model", "general"),
}


@dataclass(frozen=True)
class Layers:
    """Numbers layers.DEPTH.share, .per_parameter and .OUTCOME, its correlation with ln of the part at that depth.

    There is no .per_parameter where parameters were not counted. ``rows`` are family, part, share; ``parts`` maps a
    depth to its parts in words.
    """

    numbers: dict[str, Number]
    rows: Rows
    families: list[str]
    names: list[str]
    parts: dict[str, str]


def compute(tables: StudyTables) -> Layers | Missing:
    """Mean share of Tr(F) of each part by family; shares and correlations of each depth over fitted models."""
    depths = Depths.of(tables.models)
    traces, entries = (depths.sums(tables.models, prefix) for prefix in (TRACE, PARAMETERS))
    whole, all_entries = floats(tables.models, "fisher_trace"), np.nansum(list(entries.values()), axis=0)
    columns = {}
    with np.errstate(divide="ignore", invalid="ignore"):  # a part may be 0, or its parameters not counted
        for depth in DEPTHS:
            share = columns[f"share.{depth}"] = traces[depth] / whole
            columns[f"per_parameter.{depth}"] = share / (entries[depth] / all_entries)
            columns[f"ln.{depth}"] = np.log(np.where(traces[depth] > 0, traces[depth], np.nan))
    models = pd.concat([tables.models, pd.DataFrame(columns, index=tables.models.index)], axis=1)
    by_depth = replace(tables, models=models)
    numbers: dict[str, Number] = {}
    for depth in DEPTHS:
        for what, (_, style) in DESCRIBED.items():
            values = by_depth.usable("ln_trace", f"{what}.{depth}")[f"{what}.{depth}"]
            if len(values):
                numbers[f"layers.{depth}.{what}"] = shared.mean(values, style)
    parts = {depth: depths.parts(depth) for depth in DEPTHS if f"layers.{depth}.share" in numbers}
    if not parts:
        return Missing("no fitted model has the parts of Tr(F) by layer.")
    for outcome, (column, _) in OUTCOMES.items():
        if tables.has(column, "ln_trace"):
            for depth in parts:
                numbers[f"layers.{depth}.{outcome}"] = shared.correlate(by_depth, f"ln.{depth}", column)
    said = {depth: f"{of[0]} to {of[-1]}" if of[2:] else listed(of) for depth, of in parts.items()}
    return Layers(numbers, *_shares(tables, depths.names), depths.names, said)


def _shares(tables: StudyTables, names: list[str]) -> tuple[Rows, list[str]]:
    """The mean share of each part over the models of a family, and the families."""
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


def draw(result: Layers, numbers: Numbers) -> list[Block]:
    """A table of shares by family as a figure, and a table by depth."""
    spec = composition.finish(figures.heat("layers", result.families, result.names, "share of Tr(F)"))
    caption = "Share of Tr(F) that each part of the model holds, mean over the models of a family."
    alternative = "Table of the share of the trace in each part of the model, by family."
    titles = {what: title for what, (title, _) in DESCRIBED.items()}
    titles |= {name: f"r: {title}" for name, (_, title) in OUTCOMES.items()}
    shown = [what for what in titles if any(f"layers.{depth}.{what}" in numbers for depth in result.parts)]
    table = []
    for depth, parts in result.parts.items():
        keys = [f"layers.{depth}.{what}" for what in shown]
        cells = [f"{{{key}}}" if key in numbers else "" for key in keys]
        table.append([depth, parts, *cells, f"{{layers.{depth}.share:n}}"])
    said = (
        "Tr(F) by depth over fitted models; a layer is early, middle or late by the third that its centre lies in. "
        "r [95 % interval]: correlation of the ln of that part with the outcome, given family, below 0 as declared; "
        "unadjusted."
    )
    return [
        Figure("layers", spec, {"layers": result.rows}, caption, alternative),
        Table(["depth", "parts", *(titles[what] for what in shown), "models"], table, said),
    ]


SECTION = Section("Layers", compute, draw)
