"""Is Tr(F) the better predictor? Every other measure of the same models beside it, and which of them clearly wins."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis.configurations import StudyTables
from analysis.models import floats, logarithm
from analysis.numbers import CONFIGURATION, Number, Numbers, from_association, listed
from analysis.page import composition, figures
from analysis.page.document import Block, Figure, Found, Missing, Paragraph, Section, Table
from analysis.page.style import Axis
from analysis.sections import shared
from analysis.sections.shared import OUTCOMES
from analysis.sign_errors import Pairs
from analysis.statistics.association import partial_correlation
from analysis.statistics.comparison import difference
from analysis.statistics.permutation import holm
from analysis.statistics.power import ALPHA
from analysis.verdicts.wording import capital

LARGER_IS_BETTER = ("margin",)  # every other measure, like Tr(F), is declared to be better when smaller
NOT_IN_LOGARITHMS = ("label_variance", "margin")  # every other measure is positive and varies over orders of magnitude
COLUMNS = {  # measures other than measure.NAME: name -> column of the models
    "merged_trace": "fisher_trace.merged",  # Tr(F) over all weights, if only low-rank updates are trained
    **{name: name for name in ("path_curvature", "path_kl_en", "path_direction", "path_curvature_target")},
}
TURNED = "turned."
TRACE = "fisher_trace"
HEADINGS = (
    "outcome", "measure", "r [95 % interval]", "Tr(F) given it", "it given Tr(F)", "r of Tr(F) minus its r",
    "p after Holm", "sign error", "n",
)  # fmt: skip


def with_measures(tables: StudyTables) -> tuple[StudyTables, list[str]]:
    """The study, with every measure as a column ``turned.NAME`` of its models, and the measures' names."""
    measured = [str(column) for column in tables.models.columns if str(column).startswith("measure.")]
    found = {column.removeprefix("measure."): column for column in measured}
    found = {name: column for name, column in (found | COLUMNS).items() if tables.has(column, "ln_trace")}
    columns = {}
    for name, column in found.items():
        values = floats(tables.models, column)
        if name not in NOT_IN_LOGARITHMS:  # model by model, as for ln Tr(F)
            values = logarithm(values)
        columns[TURNED + name] = -values if name in LARGER_IS_BETTER else values
    return tables.with_columns(columns), list(found)


def _outcomes(tables: StudyTables) -> list[str]:
    return [name for name, (column, _) in OUTCOMES.items() if tables.has(column, "ln_trace")]


def compute(tables: StudyTables) -> Found | Missing:
    """Correlate each measure, turned so that its declared sign is negative, with each outcome, given family.

    The numbers are predictor.OUTCOME.MEASURE with .given, .given_trace, .difference and .sign_error; for fisher_trace,
    only the correlation and .sign_error.
    """
    outcomes = _outcomes(tables)
    turned, measures = with_measures(tables)
    if not measures or not outcomes:
        return Missing("no complete trial has another measure (measure.*) beside Tr(F) and an outcome.")
    pairs = Pairs.of(tables)
    numbers: dict[str, Number] = {}
    for outcome in outcomes:
        column, start = OUTCOMES[outcome][0], f"predictor.{outcome}"
        means = tables.means("ln_trace", column)
        numbers[f"{start}.{TRACE}"] = shared.correlate(tables, "ln_trace", column)
        numbers[f"{start}.{TRACE}.sign_error"] = pairs.sign_error(means, means["ln_trace"], means[column])
        for measure in measures:
            means = turned.means("ln_trace", column, TURNED + measure)
            found = _compared(means["ln_trace"], means[TURNED + measure], means[column], means["family"])
            found[".sign_error"] = pairs.sign_error(means, means[TURNED + measure], means[column])
            numbers |= {f"{start}.{measure}{name}": number for name, number in found.items()}
        differences = [f"{start}.{measure}.difference" for measure in measures]
        for key, p in holm({key: numbers[key].p for key in differences}).items():
            numbers[key] = replace(numbers[key], p_adjusted=p)
    if all(numbers[f"predictor.{outcome}.{TRACE}"].value is None for outcome in outcomes):
        return Missing(f"{tables.unfitted}.")
    return Found(numbers, tables)


def _compared(
    trace: pd.Series[float], measure: pd.Series[float], y: pd.Series[float], groups: pd.Series[str]
) -> dict[str, Number]:
    """A measure's correlation, both partial correlations and the difference, by the suffix of their ids."""
    found = difference(trace, measure, y, groups)
    return {
        "": from_association(partial_correlation(measure, y, groups)),
        ".given": from_association(partial_correlation(trace, y, groups, [measure])),
        ".given_trace": from_association(partial_correlation(measure, y, groups, [trace])),
        ".difference": Number(
            found.value, "correlation", found.low, found.high, found.p, n=found.n,
            unit=CONFIGURATION, method="r of ln Tr(F) minus r of the measure; Zou's interval (MOVER)",
            reason=None if found.value is not None else "one of the two does not vary within families",
        ),
    }  # fmt: skip


def standing(numbers: Numbers, outcome: str, measures: list[str]) -> tuple[list[str], list[str]]:
    """Which measures win against Tr(F), and which lose.

    Since the declared sign is negative, the better of two has the smaller correlation. It wins if the difference is
    significant after Holm over the measures and its own interval lies below 0. So if neither goes with the outcome as
    declared, neither wins.
    """
    start = f"predictor.{outcome}"

    def goes_as_declared(name: str) -> bool:
        high = numbers[f"{start}.{name}"].high
        return high is not None and high < 0

    winners, losers = [], []
    for measure in measures:
        found = numbers[f"{start}.{measure}.difference"]
        if found.value is None or found.p_adjusted is None or found.p_adjusted >= ALPHA:
            continue
        if found.value > 0 and goes_as_declared(measure):
            winners.append(measure)
        if found.value < 0 and goes_as_declared(TRACE):
            losers.append(measure)
    return winners, losers


def said(numbers: Numbers, outcomes: list[str], measures: list[str]) -> str:
    """Which measures win: a sentence for each outcome with a winner, and one for all other outcomes."""
    sentences, undecided = [], []
    for outcome in outcomes:
        winners, losers = standing(numbers, outcome, measures)
        parts = [f"{listed(winners)} {'win' if winners[1:] else 'wins'} against Tr(F)"] if winners else []
        others = "every other measure" if losers == measures and measures[1:] else losers and listed(losers)
        parts += [f"Tr(F) wins against {others}"] if losers else []
        name = OUTCOMES[outcome][1]
        if parts:
            sentences.append(f"As a predictor of {name}, {'; '.join(parts)}.")
        else:
            undecided.append(name)
    if undecided:
        others = "any other measure" if measures[1:] else measures[0]
        sentences.append(f"Neither Tr(F) nor {others} is decidedly the better predictor of {listed(undecided, 'or')}.")
    return " ".join(sentences)


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """Which measures win, how to read the results, a panel for each outcome, and the table."""
    outcomes, (_, measures) = _outcomes(result.tables), with_measures(result.tables)
    panels, data, table = [], {}, []
    for outcome in outcomes:
        start, name = f"predictor.{outcome}", OUTCOMES[outcome][1]
        names = sorted((TRACE, *measures), key=lambda measure: _place(numbers[f"{start}.{measure}"]))
        labels = {measure: "Tr(F)" if measure == TRACE else measure for measure in names}
        lines = [(labels[measure], f"{start}.{measure}", measure != TRACE) for measure in names]
        data[f"{outcome}_predictors"] = shared.forest_rows(lines, numbers)
        axis = Axis("value", "correlation, 95 % interval", -1.02, 1.02)
        panels.append(figures.forest(f"{outcome}_predictors", axis, title=capital(name), width=250))
        for measure in names:
            key = f"{start}.{measure}"
            beside = [f"{{{key}.given}}", f"{{{key}.given_trace}}", f"{{{key}.difference}}"]
            beside.append(f"{{{key}.difference:p_adjusted}}")
            cells = [""] * 4 if measure == TRACE else beside
            table.append(
                [capital(name), labels[measure], f"{{{key}}}", *cells, f"{{{key}.sign_error}}", f"{{{key}:n}}"]
            )
    caption = "Correlation of each measure with each outcome over fitted models, given family; filled: Tr(F)."
    alternative = "Forest plots of the correlations of all measures with each outcome; the table has the same numbers."
    reading = (
        "Measures are turned so that the declared sign is negative: below 0 means that the measure goes with the "
        "outcome as declared. A measure wins when it does so by its own interval and its difference to Tr(F) is "
        "decided after Holm's adjustment over the measures of that outcome. Measures that use labels are taken on "
        "training rows; those of a path know the second stage."
    )
    title = (
        "Predictors by outcome, the closest first. Intervals of correlations: Fisher's z; of differences: Zou 2007. "
        "Sign error: share of pairs that differ in one hyperparameter and are ranked against the declared sign "
        "(0 perfect, 0.5 a coin)."
    )
    return [
        Paragraph(said(numbers, outcomes, measures)),
        Paragraph(reading),
        Figure("predictors", composition.row(panels, columns=2), data, caption, alternative),
        Table(HEADINGS, table, title, sortable=True),
    ]


def _place(number: Number) -> float:
    """The sort key of a line, its correlation; a measure without one comes last."""
    return 2.0 if number.value is None else number.value


SECTION = Section("Is Tr(F) the better predictor?", compute, draw)
