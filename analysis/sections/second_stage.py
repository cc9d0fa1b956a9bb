"""The second stage: gain, distance travelled and English kept, and the gain given the accuracy before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers, Style
from analysis.page import composition
from analysis.page.document import Block, Figure, Missing, Paragraph, Section, Table
from analysis.page.style import Families
from analysis.rows import Rows
from analysis.sections import path_table, shared

_MEASURED = {
    "distance": "distance travelled (L2 norm)",
    "english_kept": "change of English accuracy (points)",
}


@dataclass(frozen=True)
class SecondStage:
    """Numbers stage2.mean.WHAT and stage2.WHAT for gain, distance and English kept; tables with a row by language."""

    numbers: dict[str, Number]
    rows: Rows
    families: Families
    measured: list[str]
    table: list[list[str]]
    paths: list[list[str]]


def compute(tables: StudyTables) -> SecondStage | Missing:
    """Means over models, and correlations with ln Tr(F) over configurations."""
    if not tables.has("gain"):
        return Missing("no complete trial has a second stage in every target language.")
    measured = [name for name in _MEASURED if tables.has(name, "ln_trace")]
    numbers = {f"stage2.mean.{name}": _mean(tables, name) for name in ("gain", *measured)}
    for name in measured:
        numbers[f"stage2.{name}"] = shared.correlate(tables, "ln_trace", name)
    numbers |= path_table.numbers(tables)
    parts = ("accuracy_before", "accuracy_after", "gain", "distance", "accuracy_en_after")
    table = []
    for language in tables.languages:
        columns = [f"stage2.{language}.{part}" for part in parts]
        if tables.has(columns[2]):
            models = tables.models.loc[tables.usable(columns[2], adaptive=True).index].reindex(columns=columns)
            cells = [models[column].mean() for column in columns]
            shown = [
                f"{value:.3g}" if part == "distance" else f"{100 * value:.2f}"
                for part, value in zip(parts, cells, strict=True)
            ]
            table.append([language, str(len(models)), *("" if text == "nan" else text for text in shown)])
    return SecondStage(numbers, tables.figure_rows, shared.families(tables), measured, table, path_table.rows(tables))


def _mean(tables: StudyTables, column: str) -> Number:
    values = tables.usable(column, adaptive=True)[column]
    style: Style = "general" if column == "distance" else "points"
    if not len(values):
        return replace(shared.mean(values, style), value=None, reason="no model fitted its training data")
    return shared.mean(values, style)


def draw(result: SecondStage, numbers: Numbers) -> list[Block]:
    """Sentences, two panels, a table by language."""
    gained = numbers["stage2.mean.gain"].value is not None
    text = [
        "The second stage changes accuracy by {stage2.mean.gain} points on average over languages "
        "(fitted models: {stage2.mean.gain:n})."
        if gained
        else "There is no mean gain of the second stage: {stage2.mean.gain:reason}."
    ]
    if (given := numbers.get("H4.given.accuracy_before")) is not None and given.value is not None:
        text.append(
            "Given the accuracy before it, the correlation of the gain and ln Tr(F) is {H4.given.accuracy_before}, "
            "{H4.given.accuracy_before:p}."
        )
    if gained and "distance" in result.measured:
        text.append("Distance travelled and ln Tr(F): {stage2.distance}, {stage2.distance:p}.")
    if gained and "english_kept" in result.measured:
        text.append(
            "English accuracy changes by {stage2.mean.english_kept} points; with ln Tr(F): {stage2.english_kept}, "
            "{stage2.english_kept:p}."
        )
    blocks: list[Block] = [Paragraph(" ".join(text))]
    if result.measured:
        panels = [(name, "fisher_trace", _MEASURED[name]) for name in result.measured]
        chart = shared.against_trace(result.rows, result.families, panels, "", same=False, zero=False)
        caption = "Distance travelled (all parameters) and English kept, against Tr(F); means over languages."
        alternative = (
            "Scatter plots of distance and change of English accuracy against the trace of the Fisher information."
        )
        blocks.append(Figure("second-stage", composition.finish(chart), {"models": result.rows}, caption, alternative))
    headings = ["language", "models", "before (%)", "after (%)", "gain (points)", "distance", "English after (%)"]
    blocks.append(Table(headings, result.table, "The second stage by language, means over models."))
    return [*blocks, path_table.table(result.paths, numbers)] if result.paths else blocks


SECTION = Section("Second stage", compute, draw)
