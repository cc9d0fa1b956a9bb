"""Figure 1 and H1: English validation accuracy against Tr(F)."""

from __future__ import annotations

from typing import Any

from analysis.configurations import StudyTables
from analysis.numbers import Numbers, plain
from analysis.page import composition
from analysis.page.document import Block, Found, Missing, Paragraph, Section
from analysis.page.style import Tip
from analysis.rows import field_name
from analysis.sections import figure_two, shared
from analysis.verdicts.headlines import headline_numbers

TRACE_ERROR = Tip("fisher_trace_se", "its standard error", ".2g")


def compute(tables: StudyTables) -> Found | Missing:
    """The headline of H1, also over other populations and given each control."""
    if not tables.has("accuracy.en", "ln_trace"):
        return Missing("no complete trial has both an English validation accuracy and a positive Tr(F).")
    return Found(headline_numbers(tables, "H1"), tables)


def _chart(tables: StudyTables, linked: bool = False) -> Any:
    options = {"size": (520, 340), "linked": linked, "title": "Figure 1" if linked else ""}
    return shared.accuracy_against_trace(tables, TRACE_ERROR, **options)


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """The figure and its headline; on the page, Figure 2 is attached below and shares its selections."""
    tables = result.tables
    gains = figure_two.languages_with_gain(tables)
    below = [figure_two.chart(tables, gains, linked=True)] if gains else []
    views = ["accuracy_en", *(field_name(figure_two.gain_column(language)) for language in gains)]
    page = composition.linked(_chart(tables, linked=True), below, views)
    seeds = "; thin lines join the seeds of one configuration" if shared.joined(tables.figure_rows) else ""
    caption = (
        "Figure 1. English validation accuracy against Tr(F) after English fine-tuning; each mark is one model. "
        "Colour and shape: family, its weights in the legend; larger marks: larger weights; hollow marks: models that "
        f"did not fit their training data{seeds}. A family of one configuration is drawn, not counted. "
        "On the page: click families in the legend to see them alone, click again to see all; drag over Figure 1 to "
        "pick models in both figures; point at a mark to see its trial in both, click on it for its row."
    )
    alternative = (
        "Scatter plot of English validation accuracy against the trace of the Fisher information on a logarithmic "
        "axis, one mark a model. Within families the correlation is {H1} over {H1:n} configurations."
    )
    text = shared.headline("H1", "English accuracy")
    if tables.adaptive:
        text += (
            f" Drawn, not counted here or in any other correlation: {plain(', '.join(sorted(tables.adaptive)))}, whose "
            "configurations an adaptive search picked by the accuracy and Tr(F) of earlier ones, so they are not an "
            "independent sample."
        )
    return [Paragraph(text), shared.marks("figure-1", _chart(tables), tables, caption, alternative, page)]


SECTION = Section("Figure 1: accuracy and Tr(F)", compute, draw)
