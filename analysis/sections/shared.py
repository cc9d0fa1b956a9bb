"""What several sections draw alike: the look of the families, the axes, what a mark says."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.configurations import StudyTables
from analysis.figures import Axis, Families, Tip
from analysis.rows import Rows, field_name

TRACE_TITLE = "Tr(F) on English validation (log scale)"
TRACE = Tip("fisher_trace", "Tr(F)", ".4g")
LISTED_WEIGHTS = 7


def families(tables: StudyTables) -> Families:
    """The families of a study with their weights, as a legend lists them.

    Args:
        tables: The study.

    Returns:
        Names and legend texts.
    """
    return Families(tuple(tables.families), tuple(_legend(tables, family) for family in tables.families))


def _legend(tables: StudyTables, family: str) -> str:
    column = tables.dose(family)
    if column is None:
        return family
    values = sorted(set(pd.to_numeric(tables.trials.loc[tables.trials["arm"] == family, column])))
    if len(values) > LISTED_WEIGHTS:
        return f"{family}   {values[0]:.2g} to {values[-1]:.2g}, {len(values)} values"
    return f"{family}   {', '.join(f'{value:g}' for value in values)}"


def tips(*measured: Tip) -> list[Tip]:
    """What a model's mark says when pointed at: trial, configuration, then the figure's own values.

    Args:
        measured: The figure's values.

    Returns:
        The lines.
    """
    return [Tip("label", "model"), Tip("settings", "settings"), Tip("seed", "seed"), Tip("id", "trial"), *measured]


def value_axis(models: Rows, column: str, title: str, *, log: bool = False, number: str = "~g") -> Axis:
    """An axis over all values of a column of the model rows.

    Args:
        models: The rows.
        column: Column of the trials table.
        title: With the unit.
        log: Logarithmic; values that are not positive are not shown.
        number: d3 format of the labels.

    Returns:
        The axis.
    """
    return shared_axis(models, [column], title, log=log, number=number)


def shared_axis(models: Rows, columns: Sequence[str], title: str, *, log: bool = False, number: str = "~g") -> Axis:
    """One axis for several columns, for panels that a reader compares; it draws the first.

    Args:
        models: The rows.
        columns: Columns of the trials table.
        title: With the unit.
        log: Logarithmic.
        number: d3 format of the labels.

    Returns:
        The axis.
    """
    fields = [field_name(column) for column in columns]
    values = [float(v) for field in fields for v in models.column(field) if v > 0 or not log]
    return Axis.over(fields[0], title, values, log=log, number=number)
