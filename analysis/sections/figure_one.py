"""Figure 1 and H1: English validation accuracy against Tr(F)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers, plain
from analysis.page import composition
from analysis.page.document import Block, Figure, Missing, Paragraph, Section
from analysis.page.style import Families, Tip
from analysis.rows import Rows, field_name
from analysis.sections import figure_two, shared
from analysis.verdicts.headlines import headline_numbers

TRACE_ERROR = Tip("fisher_trace_se", "its standard error", ".2g")


@dataclass(frozen=True)
class FigureOne:
    """The headline of H1, over other populations and given each control, and the marks.

    ``gains`` are the languages of Figure 2, which the page draws below with linked selections. ``adaptive`` families
    are drawn and not counted, since an adaptive search picked their configurations.
    """

    numbers: dict[str, Number]
    rows: Rows
    families: Families
    gains: list[str]
    adaptive: list[str]


def compute(tables: StudyTables) -> FigureOne | Missing:
    """Correlate English accuracy with ln Tr(F) over configurations, given family."""
    if not tables.has("accuracy.en", "ln_trace"):
        return Missing("no complete trial has both an English validation accuracy and a positive Tr(F).")
    numbers = headline_numbers(tables, "H1")
    gains = figure_two.languages_with_gain(tables)
    return FigureOne(numbers, tables.figure_rows, shared.families(tables), gains, sorted(tables.adaptive))


def _chart(result: FigureOne, linked: bool = False) -> Any:
    options = {"size": (520, 340), "linked": linked, "title": "Figure 1" if linked else ""}
    return shared.accuracy_against_trace(result.rows, result.families, TRACE_ERROR, **options)


def draw(result: FigureOne, numbers: Numbers) -> list[Block]:
    """The figure and its headline; on the page Figure 2 hangs below it and shares its selections."""
    below = [figure_two.chart(result.rows, result.families, result.gains, linked=True)] if result.gains else []
    views = ["accuracy_en", *(field_name(figure_two.gain_column(language)) for language in result.gains)]
    page = composition.finish(composition.linked(_chart(result, linked=True), below, views))
    spec = composition.finish(_chart(result))
    seeds = "; thin lines join the seeds of one configuration" if shared.joined(result.rows) else ""
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
    if result.adaptive:
        text += (
            f" Drawn, not counted here or in any other correlation: {plain(', '.join(result.adaptive))}, whose "
            "configurations an adaptive search picked by the accuracy and Tr(F) of earlier ones, so that they are no "
            "independent sample."
        )
    return [Paragraph(text), Figure("figure-1", spec, {"models": result.rows}, caption, alternative, page)]


SECTION = Section("Figure 1: accuracy and Tr(F)", compute, draw)
