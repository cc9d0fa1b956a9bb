"""Is Tr(F) the better predictor? Every other measure of the same models side by side, and Tr(F) given each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis import figures
from analysis.association import partial_correlation
from analysis.comparison import difference
from analysis.configurations import StudyTables
from analysis.document import Block, Figure, Missing, Paragraph, Section, Table
from analysis.numbers import CONFIGURATION, Number, Numbers, from_association
from analysis.sections import shared
from analysis.style import Axis

LARGER_IS_BETTER = ("margin",)  # every other measure is declared to fall with the outcome, as Tr(F) is
NOT_IN_LOGARITHMS = ("label_variance", "margin")  # every other measure is positive, of any size
COLUMNS = {"merged_trace": "ln_trace.merged"}  # Tr(F) over all weights, where only low-rank updates are trained
OUTCOMES = {"accuracy": ("accuracy.en", "English accuracy"), "gain": ("gain", "the gain")}


@dataclass(frozen=True)
class Predictors:
    """Numbers of each measure for each outcome.

    Attributes:
        numbers: predictor.OUTCOME.MEASURE with .given and .difference; predictor.OUTCOME.fisher_trace.
        measures: Names of the other measures.
        outcomes: Outcomes that are there.
    """

    numbers: dict[str, Number]
    measures: list[str]
    outcomes: list[str]


def compute(tables: StudyTables) -> Predictors | Missing:
    """Correlate each measure, turned so that its declared sign is negative, with each outcome, given family."""
    outcomes = [name for name, (column, _) in OUTCOMES.items() if tables.has(column, "ln_trace")]
    measures = [
        column.removeprefix("measure.")
        for column in tables.models.columns
        if column.startswith("measure.") and tables.has(column, "ln_trace")
    ]
    measures += [name for name, column in COLUMNS.items() if tables.has(column, "ln_trace")]
    if not measures or not outcomes:
        return Missing("no complete trial has another measure (measure.*) beside Tr(F) and an outcome.")
    numbers: dict[str, Number] = {}
    for outcome in outcomes:
        column = OUTCOMES[outcome][0]
        numbers[f"predictor.{outcome}.fisher_trace"] = shared.correlate(tables, "ln_trace", column)
        for measure in measures:
            name = COLUMNS.get(measure, f"measure.{measure}")
            means = tables.means("ln_trace", column, name)
            turned = _turned(measure, means[name].to_numpy(dtype=np.float64))
            trace, y, groups = means["ln_trace"], means[column], means["family"]
            key = f"predictor.{outcome}.{measure}"
            numbers[key] = from_association(partial_correlation(turned, y, groups))
            numbers[f"{key}.given"] = from_association(partial_correlation(trace, y, groups, [turned]))
            found = difference(trace, turned, y, groups)
            numbers[f"{key}.difference"] = Number(
                found.value, "correlation", found.low, found.high, None if found.low is None else 0.95, n=found.n,
                unit=CONFIGURATION, method="r of ln Tr(F) minus r of the measure; Zou's interval (MOVER)",
                reason=None if found.value is not None else "one of the two does not vary within families",
            )  # fmt: skip
    if all(numbers[f"predictor.{outcome}.fisher_trace"].value is None for outcome in outcomes):
        return Missing(f"{tables.unfitted}.")
    return Predictors(numbers, measures, outcomes)


def _turned(measure: str, values: np.ndarray) -> np.ndarray:
    """A measure on the scale and with the sign on which it is declared to fall with the outcome."""
    if measure not in (*NOT_IN_LOGARITHMS, *COLUMNS):
        values = np.log(values, out=np.full(len(values), np.nan), where=values > 0)
    return -values if measure in LARGER_IS_BETTER else values


def _better(numbers: Numbers, outcome: str, measures: list[str]) -> str:
    """One sentence: which measures Tr(F) beats and which beat it, by the interval of the difference."""
    found = {measure: numbers[f"predictor.{outcome}.{measure}.difference"] for measure in measures}
    beaten = [name for name, n in found.items() if n.high is not None and n.high < 0]
    winners = [name for name, n in found.items() if n.low is not None and n.low > 0]
    parts = [f"Tr(F) predicts {OUTCOMES[outcome][1]} better than {', '.join(beaten)}"] if beaten else []
    parts += [f"{', '.join(winners)} predicts it better than Tr(F)"] if winners else []
    if not parts:
        return f"For {OUTCOMES[outcome][1]} no measure is shown to predict better or worse than Tr(F)."
    return f"{'; '.join(parts)} (interval of the difference without 0)."


def draw(result: Predictors, numbers: Numbers) -> list[Block]:
    """For each outcome a sentence, a forest plot and a table."""
    blocks: list[Block] = [
        Paragraph(
            "Measures are turned so that the declared sign is negative: below 0 means that the measure goes with the "
            "outcome as declared. Measures that use labels are taken on training rows. p unadjusted."
        )
    ]
    for outcome in result.outcomes:
        start = f"predictor.{outcome}"
        lines = [("Tr(F)", f"{start}.fisher_trace", False), *((m, f"{start}.{m}", True) for m in result.measures)]
        lines += [(f"Tr(F) given {m}", f"{start}.{m}.given", False) for m in result.measures]
        rows = shared.forest_rows(lines, numbers)
        axis = Axis("value", f"correlation with {OUTCOMES[outcome][1]} and its 95 % interval", -1.02, 1.02)
        name = f"predictors-{outcome}"
        caption = f"Correlation of each measure with {OUTCOMES[outcome][1]}, given family; filled: Tr(F)."
        alternative = f"Forest plot of correlations with {OUTCOMES[outcome][1]}; the table has the same numbers."
        spec = figures.finish(figures.forest(f"{outcome}_predictors", axis))
        table = [["Tr(F)", f"{{{start}.fisher_trace}}", "", "", f"{{{start}.fisher_trace:n}}"]]
        for measure in result.measures:
            key = f"{start}.{measure}"
            table.append([measure, f"{{{key}}}", f"{{{key}.given}}", f"{{{key}.difference}}", f"{{{key}:n}}"])
        headings = ["measure", "r [95 % interval]", "Tr(F) given it", "r of Tr(F) minus its r", "n"]
        blocks += [
            Paragraph(_better(numbers, outcome, result.measures)),
            Figure(name, spec, {f"{outcome}_predictors": rows}, caption, alternative),
            Table(headings, table, f"Predictors of {OUTCOMES[outcome][1]}.", sortable=True),
        ]
    return blocks


SECTION = Section("Is Tr(F) the better predictor?", compute, draw)
