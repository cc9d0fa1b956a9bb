"""Layers: where Tr(F) sits, by family, and which layers' part goes with accuracy."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from analysis import figures
from analysis.association import partial_correlation
from analysis.configurations import StudyTables
from analysis.document import Block, Figure, Missing, Section, Table
from analysis.numbers import Number, Numbers, from_association
from analysis.rows import Rows
from analysis.sections import shared

PREFIX = "fisher_trace_layers."


@dataclass(frozen=True)
class Layers:
    """Shares and correlations.

    Attributes:
        numbers: layers.NAME: correlation of the ln of that part with English accuracy.
        rows: Family, part, share.
        families: Families in order.
        names: Parts in order.
    """

    numbers: dict[str, Number]
    rows: Rows
    families: list[str]
    names: list[str]


def compute(tables: StudyTables) -> Layers | Missing:
    """Mean share of Tr(F) of each part by family; correlation of each part with accuracy over configurations."""
    columns = [c for c in tables.models.columns if c.startswith(PREFIX) and tables.has(c, "ln_trace")]
    if not columns:
        return Missing("no complete trial has the parts of Tr(F) by layer.")
    columns.sort(key=_natural)
    models = tables.usable("ln_trace", "fisher_trace", *columns)
    names = [column.removeprefix(PREFIX) for column in columns]
    shares = models[columns].div(models["fisher_trace"], axis=0).groupby(models["family"]).mean()
    families = [family for family in tables.families if family in shares.index]
    values = [
        [family, name, float(f"{float(shares[column][family]):.5g}")]
        for family in families
        for name, column in zip(names, columns, strict=True)
    ]
    numbers = {}
    if tables.has("accuracy.en"):
        for name, column in zip(names, columns, strict=True):
            means = tables.means(column, "accuracy.en")
            part = means[column].to_numpy(dtype=np.float64)
            logs = np.log(part, out=np.full(len(part), np.nan), where=part > 0)
            numbers[f"layers.{name}"] = from_association(
                partial_correlation(logs, means["accuracy.en"], means["family"])
            )
    return Layers(numbers, Rows(["row", "column", "value"], values), families, names)


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Order that puts layer 10 after layer 9, the embeddings first and the classifier last."""
    place = 0 if "embed" in name else 2 if "classifier" in name or "pooler" in name else 1
    parts = re.split(r"(\d+)", name)
    return [(0, place), *((1, int(part)) if part.isdigit() else (2, part) for part in parts if part)]


def draw(result: Layers, numbers: Numbers) -> list[Block]:
    """A table of shares as a figure, and the correlations."""
    spec = figures.finish(figures.heat("layers", result.families, result.names, "share of Tr(F)"))
    caption = "Share of Tr(F) that each part of the model holds, mean over the models of a family."
    alternative = "Table of the share of the trace in each part of the model, by family."
    blocks: list[Block] = [Figure("layers", spec, {"layers": result.rows}, caption, alternative)]
    table = [
        shared.estimate_line(name, f"layers.{name}", numbers) for name in result.names if f"layers.{name}" in numbers
    ]
    if table:
        caption = "Correlation of the ln of each part with English accuracy, given family; p unadjusted."
        blocks.append(Table(shared.ESTIMATE_COLUMNS, table, caption, sortable=True))
    return blocks


SECTION = Section("Layers", compute, draw)
