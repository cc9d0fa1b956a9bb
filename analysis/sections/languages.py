"""Languages as units: zero-shot accuracy and second-stage gain in many languages against ln Tr(F)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.languages import known, like_english
from analysis.numbers import CONFIGURATION, Number, Numbers, count, plain
from analysis.page import composition, figures
from analysis.page.document import Block, Figure, Found, Missing, Paragraph, Section, Table
from analysis.page.style import POINTS, Axis
from analysis.rows import Rows
from analysis.sections import shared
from analysis.sections.figure_two import gain_column
from analysis.statistics.random_slopes import Estimate, between_languages, random_slopes

OUTCOMES = {"zero_shot": "zero-shot accuracy", "gain": "the gain of the second stage"}
KINDS = ("family", "script")
PER_UNIT = "points per unit of ln Tr(F)"


def _column(outcome: str, language: str) -> str:
    return gain_column(language) if outcome == "gain" else f"accuracy.{language}"


def _accuracies(tables: StudyTables) -> pd.DataFrame:
    """Zero-shot accuracies of fitted models [models, languages], the most accurate language first."""
    columns = {column: name for name in tables.languages if tables.has(column := f"accuracy.{name}")}
    found = tables.usable(*columns)[list(columns)].rename(columns=columns)
    return found[sorted(found, key=lambda language: -found[language].mean())]


def compute(tables: StudyTables) -> Found | Missing:
    """Means over fitted models, and the mixed model over their configurations.

    The numbers are languages.count, .mean, .worst, .accuracy.LANGUAGE, .accuracy.same_family and .accuracy.same_script;
    for each outcome languages.OUTCOME (the slope in the mean language), and its .spread, .LANGUAGE, .same_family and
    .same_script.
    """
    accuracies = _accuracies(tables)
    if accuracies.shape[1] < 2 or accuracies.empty:
        return Missing("it takes zero-shot accuracies in two languages or more, of a model that fitted.")
    numbers = {f"languages.accuracy.{name}": shared.mean(accuracies[name], "percent") for name in accuracies}
    means = {name: float(accuracies[name].mean()) for name in tables.languages if name in accuracies}
    worst = numbers[f"languages.accuracy.{accuracies.columns[-1]}"]
    numbers["languages.count"] = count(len(means))
    numbers["languages.mean"] = replace(worst, value=float(np.mean(list(means.values()))))
    numbers["languages.worst"] = worst
    numbers |= _by_kind("accuracy", means)
    for outcome in OUTCOMES:
        numbers |= _slopes(tables, outcome)
    return Found(numbers, tables)


def _slopes(tables: StudyTables, outcome: str) -> dict[str, Number]:
    languages = [language for language in tables.languages if tables.has(_column(outcome, language))]
    columns = [_column(outcome, language) for language in languages]
    if not columns:
        return {}
    means, key = tables.means("ln_trace", *columns), f"languages.{outcome}"
    found = random_slopes(means["ln_trace"], means[columns].to_numpy(), means["family"])
    method = "mixed model with random slopes of languages, within families; restricted likelihood in closed form"
    if isinstance(found, str):
        return {key: Number(None, "points", n=len(means), unit=CONFIGURATION, method=method, reason=found)}
    facts: dict[str, Any] = {"n": found.configurations, "families": found.families, "unit": CONFIGURATION}
    numbers = {key: _number(found.mean, method, **facts)}
    numbers[f"{key}.spread"] = Number(
        found.spread, "points", p=found.p_spread, method="standard deviation between languages; F test", **facts
    )
    for language, *parts in zip(languages, found.slopes, found.errors, found.degrees, strict=True):
        own = Estimate(*map(float, parts))
        numbers[f"{key}.{language}"] = _number(own, "slope in this language given family; t interval", **facts)
    return numbers | _by_kind(outcome, dict(zip(languages, found.slopes, strict=True)))


def _number(found: Estimate, method: str, **facts: Any) -> Number:
    return Number(found.value, "points", *found.interval, p=found.p, method=method, **facts)


def _by_kind(outcome: str, values: Mapping[str, float]) -> dict[str, Number]:
    """Languages with English's family or script minus the others; languages not in the table are left out."""
    numbers = {}
    for kind in KINDS:
        flags = {language: flag for language in values if (flag := like_english(language, kind)) is not None}
        found = between_languages([values[language] for language in flags], list(flags.values()))
        facts: dict[str, Any] = {"n": len(flags), "unit": "language"}
        method = f"languages of English's {kind} minus the others; pooled t, unadjusted"
        numbers[f"languages.{outcome}.same_{kind}"] = (
            Number(None, "points", method=method, reason=found, **facts)
            if isinstance(found, str)
            else _number(found, method, **facts)
        )
    return numbers


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """Sentences, the panels or the picker, each language's slope, and a table."""
    order = list(map(str, _accuracies(result.tables)))
    worst = plain(order[-1])
    blocks: list[Block] = [
        Paragraph(
            "Over {languages.count} languages, zero-shot accuracy is {languages.mean} on average and {languages.worst} "
            f"in the worst, {worst} ({{languages.mean:n}} fitted models)."
        )
    ]
    blocks += [Paragraph(_said(outcome, numbers)) for outcome in OUTCOMES if f"languages.{outcome}" in numbers]
    if told := _distance(numbers):
        blocks.append(Paragraph(told))
    blocks.append(_panels(result.tables, order))
    forest = [(language, f"languages.zero_shot.{language}", False) for language in order]
    forest = sorted((line for line in forest if line[1] in numbers), key=lambda line: numbers[line[1]].value or 0.0)
    if forest:
        lines = [("mean language", "languages.zero_shot", True), *forest]
        blocks.append(_forest(shared.forest_rows(lines, numbers)))
    blocks.append(_table(order, numbers))
    return blocks


def _said(outcome: str, numbers: Numbers) -> str:
    key, name = f"languages.{outcome}", OUTCOMES[outcome]
    if numbers[key].value is None:
        return f"No mixed model of {name} over languages: {{{key}:reason}}."
    spread = f"{key}.spread"
    return (
        f"In the mean language, {name} changes by {{{key}}} {PER_UNIT}, {{{key}:p}} ({{{key}:n}} fitted "
        f"configurations, {{{key}:families}} families); slopes differ between languages by a standard deviation of "
        f"{{{spread}}} (equal slopes: {{{spread}:p}})."
    )


def _distance(numbers: Numbers) -> str:
    """How languages with English's family, and those with its script, differ from the others: one sentence each."""
    told = []
    for kind in KINDS:
        parts = [
            f"{what} {{{key}}}, {{{key}:p}}"
            for what, key in (
                ("accuracy (points)", f"languages.accuracy.same_{kind}"),
                ("its slope", f"languages.zero_shot.same_{kind}"),
                ("the slope of the gain", f"languages.gain.same_{kind}"),
            )
            if key in numbers and numbers[key].value is not None
        ]
        if parts:
            told.append(f"Languages of English's {kind} minus the others: {'; '.join(parts)}.")
        else:
            told.append(f"No comparison by {kind}: {{languages.accuracy.same_{kind}:reason}}.")
    return " ".join(told)


def _panels(tables: StudyTables, order: Sequence[str]) -> Figure:
    panels = [(f"accuracy.{language}", "fisher_trace", language) for language in order]
    title = "zero-shot accuracy (%)"
    spec = shared.against_trace(tables, panels, title, zero=False)
    page = None
    if shared.many(panels):
        rows, looks = tables.figure_rows, shared.families(tables)
        x = shared.axis(rows, ["fisher_trace"], "Tr(F) (log scale)", log=True)
        y = shared.axis(rows, [column for column, _, _ in panels], title, number=POINTS)
        one = figures.models("models", x, y.of("chosen"), looks, shared.tips(shared.TRACE), joined=shared.joined(rows))
        page = composition.picked(one, "language", order, "accuracy_")
    caption = (
        "Zero-shot accuracy against Tr(F) on English, a panel a language, the most accurate first; marks as in "
        "Figure 1." + (" On the page: one panel, whose language is picked below it." if page else "")
    )
    alternative = (
        "Scatter plots of zero-shot accuracy against the trace, one panel a language; {languages.mean} on average."
    )
    return shared.marks("languages", spec, tables, caption, alternative, page)


def _forest(lines: Rows) -> Figure:
    low, high = lines.column("low"), lines.column("high")
    x = Axis.over("value", f"slope of zero-shot accuracy ({PER_UNIT})", [*low, *high, 0.0], number=POINTS)
    caption = (
        "Slope of zero-shot accuracy on ln Tr(F) within families in each language, the steepest fall first, with 95 % "
        "intervals; the open mark is the mean language of the mixed model."
    )
    alternative = "Forest plot of each language's slope; in the mean language {languages.zero_shot}."
    return Figure("languages-slopes", figures.forest("languages", x), {"languages": lines}, caption, alternative)


def _table(order: Sequence[str], numbers: Numbers) -> Table:
    lines = []
    for language in order:
        found = known(language)
        cells = [f"{{languages.accuracy.{language}}}"]
        cells += [f"{{{key}}}" if (key := f"languages.{outcome}.{language}") in numbers else "" for outcome in OUTCOMES]
        lines.append([plain(language), *((found.family, found.script) if found else ("", "")), *cells])
    columns = ["language", "family", "script", "zero-shot accuracy", "its slope", "slope of the gain"]
    caption = f"Languages; slopes in {PER_UNIT} within families, unadjusted."
    return Table(columns, lines, caption, sortable=True)


SECTION = Section("Languages as units", compute, draw)
