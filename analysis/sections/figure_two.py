"""Figure 2 and H4: the gain of the second stage against Tr(F), with a panel for each language."""

from __future__ import annotations

from typing import Any

from analysis.configurations import StudyTables
from analysis.numbers import Numbers
from analysis.page.document import Block, Found, Missing, Paragraph, Section
from analysis.sections import shared
from analysis.verdicts.headlines import headline_numbers, over


def languages_with_gain(tables: StudyTables) -> list[str]:
    """Target languages in which at least one model has both a gain and Tr(F), in panel order."""
    found = [language for language in tables.languages if tables.has(gain_column(language), "ln_trace")]
    return shared.by_mean(tables, found, gain_column)


def gain_column(language: str) -> str:
    """The column with the gain in a language."""
    return f"stage2.{language}.gain"


def compute(tables: StudyTables) -> Found | Missing:
    """The headline of H4 (mean over languages), also over other populations, given each control, and by language."""
    languages = languages_with_gain(tables)
    if not languages:
        return Missing("no complete trial has a second stage (data.stage2_examples is 0) and a positive Tr(F).")
    numbers = headline_numbers(tables, "H4")
    return Found(numbers | {f"H4.{language}": over(tables, gain_column(language)) for language in languages}, tables)


def chart(tables: StudyTables, languages: list[str], linked: bool = False) -> Any:
    """The panels of Figure 2; if ``linked``, they share the legend and the selections of Figure 1."""
    panels = [(gain_column(language), "fisher_trace", language) for language in languages]
    first = "Figure 2: " if linked else ""
    return shared.against_trace(tables, panels, "gain in accuracy (points)", linked=linked, first=first)


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """The figure; if there is a Figure 1, that draws it on the page, so that their selections are linked."""
    tables = result.tables
    languages = languages_with_gain(tables)
    each = ", ".join(f"{language} {{H4.{language}}}" for language in languages)
    caption = (
        "Figure 2. Gain in accuracy from a second stage of fine-tuning in the target language, against Tr(F) before "
        "it (English validation); one panel a language"
        + (", the largest mean gain first" if shared.many(languages) else "")
        + ", marks as in Figure 1."
    )
    alternative = (
        "Scatter plots of the gain of the second stage against the trace of the Fisher information, one panel a "
        "language. Within families the correlation of the mean gain is {H4} over {H4:n} configurations."
    )
    text = f"{shared.headline('H4', 'the gain (mean over languages)')} By language: {each}."
    page: dict[str, Any] | None = {} if tables.has("accuracy.en", "ln_trace") else None
    return [
        Paragraph(text),
        shared.marks("figure-2", chart(tables, languages), tables, caption, alternative, page),
    ]


SECTION = Section("Figure 2: second-stage gain and Tr(F)", compute, draw)
