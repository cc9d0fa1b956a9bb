"""Figure 2 and H4: the gain of the second stage against Tr(F), a panel for each language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers
from analysis.page import composition
from analysis.page.document import Block, Figure, Missing, Paragraph, Section
from analysis.page.style import Families
from analysis.rows import Rows
from analysis.sections import shared
from analysis.verdicts.headlines import headline_numbers, over


@dataclass(frozen=True)
class FigureTwo:
    """The headline of H4, by language too, and the marks; ``linked``: the page draws them together with Figure 1."""

    numbers: dict[str, Number]
    rows: Rows
    families: Families
    languages: list[str]
    linked: bool


def languages_with_gain(tables: StudyTables) -> list[str]:
    """Target languages in which some model has both a gain and Tr(F), in the order of their panels."""
    found = [language for language in tables.languages if tables.has(gain_column(language), "ln_trace")]
    return shared.by_mean(tables, found, gain_column)


def gain_column(language: str) -> str:
    """The column of a language's gain."""
    return f"stage2.{language}.gain"


def compute(tables: StudyTables) -> FigureTwo | Missing:
    """Correlate the gain (mean over languages, and each) with ln Tr(F) over configurations, given family."""
    languages = languages_with_gain(tables)
    if not languages:
        return Missing("no complete trial has a second stage (data.stage2_examples is 0) and a positive Tr(F).")
    numbers = headline_numbers(tables, "H4")
    numbers |= {f"H4.{language}": over(tables, gain_column(language)) for language in languages}
    linked = tables.has("accuracy.en", "ln_trace")
    return FigureTwo(numbers, tables.figure_rows, shared.families(tables), languages, linked)


def chart(rows: Rows, families: Families, languages: list[str], linked: bool = False) -> Any:
    """The panels of Figure 2; linked they share the legend and the selections of Figure 1."""
    panels = [(gain_column(language), "fisher_trace", language) for language in languages]
    first = "Figure 2: " if linked else ""
    return shared.against_trace(rows, families, panels, "gain in accuracy (points)", linked=linked, first=first)


def draw(result: FigureTwo, numbers: Numbers) -> list[Block]:
    """The figure; on the page Figure 1 draws it, so that their selections are linked."""
    each = ", ".join(f"{language} {{H4.{language}}}" for language in result.languages)
    caption = (
        "Figure 2. Gain in accuracy from a second stage of fine-tuning in the target language, against Tr(F) before "
        "it (English validation); one panel a language"
        + (", the largest mean gain first" if shared.many(result.languages) else "")
        + ", marks as in Figure 1."
    )
    alternative = (
        "Scatter plots of the gain of the second stage against the trace of the Fisher information, one panel a "
        "language. Within families the correlation of the mean gain is {H4} over {H4:n} configurations."
    )
    text = f"{shared.headline('H4', 'the gain (mean over languages)')} By language: {each}."
    spec = composition.finish(chart(result.rows, result.families, result.languages))
    page: dict[str, Any] | None = {} if result.linked else None
    return [Paragraph(text), Figure("figure-2", spec, {"models": result.rows}, caption, alternative, page)]


SECTION = Section("Figure 2: second-stage gain and Tr(F)", compute, draw)
