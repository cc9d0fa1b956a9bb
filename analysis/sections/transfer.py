"""The zero-shot transfer gap against Tr(F), measured on English and, where there is one, on that language's text."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers
from analysis.page import composition
from analysis.page.document import Block, Figure, Missing, Section
from analysis.page.style import Families
from analysis.rows import Rows
from analysis.sections import shared


@dataclass(frozen=True)
class Transfer:
    """Numbers transfer.en, .LANGUAGE and .own.LANGUAGE in lines (label, id); panels (column, trace column, title)."""

    numbers: dict[str, Number]
    lines: list[tuple[str, str]]
    panels: list[tuple[str, str, str]]
    rows: Rows
    families: Families


def compute(tables: StudyTables) -> Transfer | Missing:
    """Correlate gaps with ln Tr(F) over configurations, given family."""
    if not tables.has("transfer_gap", "ln_trace"):
        return Missing("no complete trial has zero-shot accuracies and Tr(F).")
    numbers = {"transfer.en": shared.correlate(tables, "ln_trace", "transfer_gap")}
    lines = [("mean gap, Tr(F) on English", "transfer.en")]
    panels = [("transfer_gap", "fisher_trace", "mean over languages")]
    for language in shared.by_mean(tables, tables.languages, "gap.{}".format):
        gap = f"gap.{language}"
        if not tables.has(gap, "ln_trace"):
            continue
        numbers[f"transfer.{language}"] = shared.correlate(tables, "ln_trace", gap)
        lines.append((f"gap to {language}, Tr(F) on English", f"transfer.{language}"))
        if tables.has(gap, f"ln_trace.{language}"):
            numbers[f"transfer.own.{language}"] = shared.correlate(tables, f"ln_trace.{language}", gap)
            lines.append((f"gap to {language}, Tr(F) on {language}", f"transfer.own.{language}"))
            panels.append((gap, f"fisher_trace.{language}", f"{language}, Tr(F) on {language}"))
    return Transfer(numbers, lines, panels, tables.figure_rows, shared.families(tables))


def draw(result: Transfer, numbers: Numbers) -> list[Block]:
    """Panels and a table."""
    chart = shared.against_trace(result.rows, result.families, result.panels, "transfer gap (points)")
    caption = "Zero-shot transfer gap (English minus target-language accuracy) against Tr(F); marks as in Figure 1."
    alternative = "Scatter plots of the transfer gap against the trace; correlation of the mean gap {transfer.en}."
    title = "Correlations of the transfer gap with ln Tr(F), given family; p unadjusted."
    return [
        Figure("transfer", composition.finish(chart), {"models": result.rows}, caption, alternative),
        shared.estimates(result.lines, numbers, title),
    ]


SECTION = Section("Zero-shot transfer", compute, draw)
