"""What several sections share: marks of the models, panels against Tr(F), correlations, table lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.models import floats
from analysis.numbers import Number, Numbers, Style, from_association
from analysis.page import composition, figures
from analysis.page.document import Figure, Table
from analysis.page.style import POINTS, Axis, Families, Tip
from analysis.population import SENSITIVITY
from analysis.rows import Rows, field_name
from analysis.statistics.association import partial_correlation

ACCURACY = Tip("accuracy_en", "English accuracy", ".4f")
TRACE = Tip("fisher_trace", "Tr(F)", ".4g")
LISTED_WEIGHTS = 7
MOST_JOINED = 150  # with more configurations, the lines that join seeds would hide the marks
MOST_LARGE = 6  # panels of full size; if there are more, all are drawn small
OUTCOMES = {  # on which predictors are compared: part of an id -> (column of the models, name)
    "accuracy": ("accuracy.en", "English accuracy"),
    "zero_shot": ("zero_shot", "mean zero-shot accuracy"),
    "zero_shot_worst": ("zero_shot_worst", "zero-shot accuracy in the worst language"),
    "gain": ("gain", "the gain of the second stage"),
}


def families(tables: StudyTables) -> Families:
    """The families of a study, with their weights as a legend lists them."""
    return Families(tuple(tables.families), tuple(_legend(tables, family) for family in tables.families))


def _legend(tables: StudyTables, family: str) -> str:
    column = tables.dose(family)
    if column is None:
        return family
    values = sorted(set(pd.to_numeric(tables.trials.loc[tables.trials["arm"] == family, column])))
    if len(values) > LISTED_WEIGHTS:
        return f"{family}   {values[0]:.2g} to {values[-1]:.2g}, {len(values)} values"
    return f"{family}   {', '.join(f'{value:g}' for value in values)}"


def joined(rows: Rows) -> bool:
    """Whether a figure of these models joins the seeds of each configuration."""
    configurations = rows.column("configuration")
    return len(set(configurations)) <= min(MOST_JOINED, len(configurations) - 1)


def tips(*measured: Tip) -> list[Tip]:
    """A model's tooltip: configuration, settings, seed and trial, then the figure's own values."""
    return [Tip("label", "model"), Tip("settings", "settings"), Tip("seed", "seed"), Tip("id", "trial"), *measured]


def axis(rows: Rows, columns: Sequence[str], title: str, *, log: bool = False, number: str = "") -> Axis:
    """An axis for the first of some columns of the trials table, with a range that covers the values of all of them.

    A logarithmic axis ignores values that are not positive.
    """
    fields = [field_name(column) for column in columns]
    values = [float(v) for field in fields for v in rows.column(field) if v > 0 or not log]
    return Axis.over(fields[0], title, values, log=log, number=number)


def many(panels: Sequence[object]) -> bool:
    """Whether these are so many panels that they are drawn small and the page may offer a list to pick from."""
    return len(panels) > MOST_LARGE


def by_mean(tables: StudyTables, languages: Sequence[str], column: Callable[[str], str]) -> list[str]:
    """Languages in panel order: as configured or, if there are many, the largest mean first."""
    if not many(languages):
        return list(languages)
    return sorted(languages, key=lambda language: -float(np.nanmean(floats(tables.models, column(language)))))


def marks(name: str, chart: Any, tables: StudyTables, caption: str, alternative: str, page: Any = None) -> Figure:
    """A figure with one mark per model."""
    return Figure(name, chart, {"models": tables.figure_rows}, caption, alternative, page)


def against_trace(
    tables: StudyTables, panels: Sequence[tuple[str, str, str]], title: str, *, linked: bool = False,
    same: bool = True, first: str = "", zero: bool = True,
) -> Any:  # fmt: skip
    """Panels, side by side, of a measurement against a trace of the same models.

    Args:
        panels: (column, column of the trace, title) of each panel.
        title: Title of the vertical axes.
        linked: Take part in the page's selections, with the legend in another chart.
        same: Use one vertical axis for all panels, titled once; otherwise each panel has its own, titled by the panel.
        first: Text to put before the title of the first panel.
        zero: Draw a line at 0.
    """
    rows, looks = tables.figure_rows, families(tables)
    x = axis(rows, list(dict.fromkeys(trace for _, trace, _ in panels)), "Tr(F) (log scale)", log=True)
    y = axis(rows, [column for column, _, _ in panels], title, number=POINTS)
    small = many(panels)
    across = 5 if small else 3
    charts = []
    for place, (column, trace, name) in enumerate(panels):
        outer = place % across == 0 if small else place == 0
        own = y.of(field_name(column), title if outer else "")
        if not same:
            own = axis(rows, [column], name, number=POINTS)
        said = tips(Tip(own.field, name, ".4f"), Tip(field_name(trace), "Tr(F)", ".4g"))
        charts.append(
            figures.models(
                "models", x.of(field_name(trace), "" if small and place + across < len(panels) else None), own, looks,
                said, title=first * (place == 0) + name if same else "", size=(118, 118) if small else (220, 220),
                legend=not linked, joined=joined(rows), linked=linked, zero=zero,
            )
        )  # fmt: skip
    return composition.row(charts, across)


def accuracy_against_trace(tables: StudyTables, *further: Tip, **options: Any) -> Any:
    """English accuracy against Tr(F), with options of :func:`figures.models`."""
    rows = tables.figure_rows
    x = axis(rows, ["fisher_trace"], "Tr(F) on English validation (log scale)", log=True)
    y = axis(rows, ["accuracy.en"], "English validation accuracy", number=".0%")
    said = tips(ACCURACY, TRACE, *further)
    return figures.models("models", x, y, families(tables), said, joined=joined(rows), **options)


def mean(values: pd.Series[float], style: Style) -> Number:
    """The mean of a measurement over fitted models."""
    return Number(float(values.mean()), style, n=len(values), unit="trial", method="mean over fitted models")


def correlate(tables: StudyTables, x: str, y: str, *, ranks: bool = False) -> Number:
    """The partial correlation (Spearman's, if ``ranks``) of two columns over configurations, given family."""
    means = tables.means(x, y)
    return from_association(partial_correlation(means[x], means[y], means["family"], ranks=ranks))


def headline(key: str, outcome: str) -> str:
    """A template: the headline of H1 or H4, and the same over other populations."""
    said = []
    for percent in SENSITIVITY:
        name = f"{key}.at.{percent}"
        population = f"at {{account.fit.{percent}}} of the reference's training accuracy"
        said.append(f"{population} {{{name}}} (configurations: {{{name}:n}})")
    return (
        f"Headline, {key}: within families the partial correlation of {outcome} and ln Tr(F) is {{{key}}}, {{{key}:p}} "
        f"(fitted configurations: {{{key}:n}}, families: {{{key}:families}}). With all models {{{key}.with_all}} "
        f"(configurations: {{{key}.with_all:n}}); {'; '.join(said)}."
    )


def estimates(lines: Iterable[tuple[str, str]], numbers: Numbers, caption: str, *, sortable: bool = True) -> Table:
    """A table of correlations from lines (label, id)."""
    table = []
    for label, key in lines:
        defined = numbers[key].value is not None
        found = [f"{{{key}}}", f"{{{key}:p}}"] if defined else [f"{{{key}:reason}}", ""]
        table.append([label, *found, f"{{{key}:n}}"])
    return Table(("", "r [95 % interval]", "p", "n"), table, caption, sortable=sortable)


def forest_rows(lines: Sequence[tuple[str, str, bool]], numbers: Numbers) -> Rows:
    """Rows of a forest chart from lines (label, id, whether for comparison only), without undefined numbers."""
    values = [
        [label, place, n.value, n.low, n.high, int(opened), numbers.quote(key)]
        for place, (label, key, opened) in enumerate(lines)
        if (n := numbers[key]).value is not None
    ]
    return Rows(["label", "order", "value", "low", "high", "open", "text"], values)
