"""The zero-shot transfer gap against Tr(F) measured on English and, where available, on the target language's text."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.configurations import StudyTables
from analysis.numbers import Numbers
from analysis.page.document import Block, Found, Missing, Section
from analysis.sections import shared


def _languages(tables: StudyTables) -> list[str]:
    return shared.by_mean(tables, tables.languages, "gap.{}".format)


def _lines(tables: StudyTables) -> Iterator[tuple[str, str, str, str]]:
    """Label, id, column of Tr(F) and column of the gap, for each correlation."""
    yield "mean gap, Tr(F) on English", "transfer.en", "ln_trace", "transfer_gap"
    for language in _languages(tables):
        gap, own = f"gap.{language}", f"ln_trace.{language}"
        if tables.has(gap, "ln_trace"):
            yield f"gap to {language}, Tr(F) on English", f"transfer.{language}", "ln_trace", gap
            if tables.has(gap, own):
                yield f"gap to {language}, Tr(F) on {language}", f"transfer.own.{language}", own, gap


def compute(tables: StudyTables) -> Found | Missing:
    """Correlate gaps with ln Tr(F) over configurations, given family."""
    if not tables.has("transfer_gap", "ln_trace"):
        return Missing("no complete trial has zero-shot accuracies and Tr(F).")
    return Found({key: shared.correlate(tables, trace, gap) for _, key, trace, gap in _lines(tables)}, tables)


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """Panels and a table."""
    tables = result.tables
    panels = [("transfer_gap", "fisher_trace", "mean over languages")]
    panels += [
        (f"gap.{language}", f"fisher_trace.{language}", f"{language}, Tr(F) on {language}")
        for language in _languages(tables)
        if f"transfer.own.{language}" in numbers
    ]
    chart = shared.against_trace(tables, panels, "transfer gap (points)")
    caption = "Zero-shot transfer gap (English minus target-language accuracy) against Tr(F); marks as in Figure 1."
    alternative = "Scatter plots of the transfer gap against the trace; correlation of the mean gap {transfer.en}."
    title = "Correlations of the transfer gap with ln Tr(F), given family; p unadjusted."
    lines = [(label, key) for label, key, _, _ in _lines(tables)]
    return [shared.marks("transfer", chart, tables, caption, alternative), shared.estimates(lines, numbers, title)]


SECTION = Section("Zero-shot transfer", compute, draw)
