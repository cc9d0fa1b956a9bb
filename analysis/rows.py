"""The rows behind figures and the page's table: one per model, with short field names and rounded numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

SIGNIFICANT = 5
MOST_MARKS = 2_000  # with more, marks hide each other and a browser takes seconds per figure
_IDENTITY = ("id", "label", "family", "configuration", "seed", "unfit", "dose", "dose_label", "settings")
_DRAWN = re.compile(
    r"accuracy\..+|fisher_trace|fisher_trace_se|fisher_trace\..+|gap\..+|transfer_gap|gain|distance|english_kept"
    r"|stage2\..+\.gain"
)


@dataclass(frozen=True)
class Rows:
    """A table for a figure.

    Attributes:
        columns: Field names: letters, digits and underscores only, since Vega reads a dot as a path.
        values: One list per row, with None for an absent value.
        note: What a caption says about rows that were left out; empty if there are none.
    """

    columns: list[str]
    values: list[list[Any]]
    note: str = ""

    def records(self, fields: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """The rows as mappings, with some of the fields or all."""
        wanted = set(self.columns if fields is None else fields)
        kept = [(index, name) for index, name in enumerate(self.columns) if name in wanted]
        return [{name: row[index] for index, name in kept} for row in self.values]

    def column(self, name: str) -> list[Any]:
        """The values of one field that are present."""
        index = self.columns.index(name)
        return [row[index] for row in self.values if row[index] is not None]


def field_name(column: str) -> str:
    """The field name, in a figure, of a column of a table.

    Example:
        >>> field_name("stage2.de.gain")
        'stage2_de_gain'
    """
    return "".join(c if c.isalnum() else "_" for c in column)


def rows(table: pd.DataFrame, columns: Sequence[str]) -> Rows:
    """The given columns of a table, as far as it has them, as rows for a figure.

    Numbers have five significant digits; those that are not finite count as absent.
    """
    present = [column for column in columns if column in table]
    cells = [_cells(table[column]) for column in present]
    return Rows([field_name(column) for column in present], [list(row) for row in zip(*cells, strict=True)])


def thinned(table: pd.DataFrame, what: str, most: int) -> tuple[pd.DataFrame, str]:
    """At most ``most`` evenly spaced rows of a table, and what a caption says about it (nothing if all are kept).

    Example:
        >>> thinned(pd.DataFrame({"x": range(5)}), "models", most=2)[1]
        'Of 5 models one in 3 is shown; trials.csv has all.'
    """
    step = max(1, math.ceil(len(table) / most))
    note = f"Of {len(table):,} {what} one in {step} is shown; trials.csv has all." if step > 1 else ""
    return table.iloc[::step], note


def _cells(series: pd.Series[Any]) -> list[Any]:
    kind = series.dtype
    if pd.api.types.is_bool_dtype(kind) or (pd.api.types.is_integer_dtype(kind) and not series.hasnans):
        return [int(value) for value in series.tolist()]
    if pd.api.types.is_numeric_dtype(kind):
        return [_rounded(value) for value in series.to_numpy(dtype=np.float64, na_value=np.nan).tolist()]
    return [None if value is None or value is pd.NA or value != value else value for value in series.tolist()]


def _rounded(value: float) -> float | None:
    return float(f"{value:.{SIGNIFICANT}g}") if math.isfinite(value) else None


def model_rows(models: pd.DataFrame, searched: Mapping[str, Sequence[str]]) -> Rows:
    """One row per model with all that figures draw; if there are very many models, only some."""
    models, note = thinned(models, "models", MOST_MARKS)
    identity = pd.DataFrame({
        "id": models["trial_id"], "label": models["label"], "family": models["family"],
        "configuration": models["configuration"], "seed": models["seed"], "unfit": ~models["fitted"].astype(bool),
        "dose": models["dose_rank"].fillna(0.5), "dose_label": [label.partition("=")[2] for label in models["label"]],
        "settings": settings(models, searched),
    })  # fmt: skip
    drawn = [column for column in models.columns if _DRAWN.fullmatch(column)]
    return replace(rows(pd.concat([identity, models[drawn]], axis=1), [*_IDENTITY, *drawn]), note=note)


def settings(models: pd.DataFrame, searched: Mapping[str, Sequence[str]]) -> list[str]:
    """The searched values of each model, as its tooltip shows them."""
    columns = {family: [f"config.{path}" for path in paths] for family, paths in searched.items()}
    needed = sorted({column for paths in columns.values() for column in paths if column in models})
    out = []
    for family, values in zip(models["family"], models[needed].to_dict("records"), strict=True):
        parts = [f"{short_path(column)} = {value_text(values.get(column))}" for column in columns.get(family, [])]
        out.append(", ".join(parts) or "nothing searched")
    return out


def value_text(value: object) -> str:
    """A setting or measurement, as tables show it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def short_path(column: str) -> str:
    """A label for a configuration path (with or without ``config.``): the path without the parts that all paths share.

    Example:
        >>> short_path("config.stages.0.penalties.fisher.weight")
        'penalties.fisher.weight'
    """
    return column.removeprefix("config.").removeprefix("stages.0.")
