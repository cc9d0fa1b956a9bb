"""The association table: the headlines, beside what a referee would ask for next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers, from_association
from analysis.page import figures
from analysis.page.document import Block, Figure, Found, Missing, Paragraph, Section
from analysis.page.style import POINTS, Axis, Tip
from analysis.population import SENSITIVITY
from analysis.rows import MOST_MARKS, Rows, thinned
from analysis.sections import shared
from analysis.sign_errors import Pairs
from analysis.statistics.association import centred, leave_one_family_out, partial_correlation
from analysis.verdicts.headlines import EVERYTHING
from analysis.verdicts.statements import controls
from analysis.verdicts.wording import name_of

OUTCOMES = {"accuracy": ("accuracy.en", "H1", "English accuracy"), "gain": ("gain", "H4", "the gain")}
UNTRACED = "accuracy_untraced"  # English validation accuracy on the rows that fisher_trace did not use
TRIAL = "trial (seed within a configuration)"


@dataclass(frozen=True)
class Associations(Found):
    """The table's numbers, OUTCOME.WHAT, and its lines by outcome: (label, id, whether for comparison only)."""

    lines: dict[str, list[tuple[str, str, bool]]]


def compute(tables: StudyTables) -> Associations | Missing:
    """Every declared secondary analysis, for accuracy and for the gain."""
    numbers: dict[str, Number] = {}
    lines = {}
    pairs = Pairs.of(tables)
    for outcome, (column, head, _) in OUTCOMES.items():
        if tables.has(column, "ln_trace"):
            lines[outcome] = _lines(tables, outcome, column, head, pairs, numbers)
    if not lines:
        return Missing("no complete trial has both Tr(F) and an outcome.")
    return Associations(numbers, tables, lines)


def _lines(
    tables: StudyTables, outcome: str, column: str, head: str, pairs: Pairs, numbers: dict[str, Number]
) -> list[tuple[str, str, bool]]:
    """Add the numbers of one outcome, and return the lines of its table in order."""
    lines = [("headline: partial Pearson given family", head, False)]
    lines.append(("headline with all models", f"{head}.{EVERYTHING}", False))
    for percent in SENSITIVITY:
        lines.append((f"headline at {percent} % of the training accuracy", f"{head}.at.{percent}", False))

    def add(label: str, name: str, number: Number, compared: bool = False) -> None:
        numbers[f"{outcome}.{name}"] = number
        lines.append((label, f"{outcome}.{name}", compared))

    def correlated(label: str, name: str, x: str, y: str) -> None:
        if tables.has(x, y):
            add(label, name, shared.correlate(tables, x, y))

    add("Spearman, given family", "spearman", shared.correlate(tables, "ln_trace", column, ranks=True))
    correlated("ln of the median over examples in the place of ln Tr(F)", "median", "ln_trace_median", column)
    means = tables.means(column, "ln_trace")
    pooled = partial_correlation(means["ln_trace"], means[column], np.zeros(len(means)))
    add("pooled over families (mixes families; for comparison)", "pooled", from_association(pooled), True)
    if outcome == "accuracy":
        correlated("accuracy on the validation rows that Tr(F) did not see", "other_rows", "ln_trace", UNTRACED)
    correlated("Tr(F) on training rows (no example shared with the outcome)", "train_rows", "ln_trace.train", column)
    what, own = ("gain", "stage2.{}.gain") if outcome == "gain" else ("zero-shot accuracy", "accuracy.{}")
    for language in tables.languages:
        correlated(f"{what} in {language}", language, "ln_trace", own.format(language))
    counted = means.loc[means.groupby("family")["family"].transform("size") > 1]
    for family, found in leave_one_family_out(counted["ln_trace"], counted[column], counted["family"]).items():
        if found.families:
            add(f"without {family}", f"without.{family}", from_association(found))
    trials = tables.usable(column, "ln_trace")
    if len(trials) > trials["configuration"].nunique():
        seeds = pd.get_dummies(trials["seed"], dtype=float)
        for label, name, held_seeds in (
            ("over seeds within configurations (apart from dose)", "seeds", []),
            ("the same, given the seed itself", "seeds_given_seed", [seeds[c] for c in seeds.columns[1:]]),
        ):
            found = partial_correlation(trials["ln_trace"], trials[column], trials["configuration"], held_seeds)
            add(label, name, from_association(found, TRIAL))
    numbers[f"{outcome}.sign_error"] = pairs.sign_error(means, means["ln_trace"], means[column])
    return lines


def _deviations(tables: StudyTables) -> Rows:
    """The headline's data: configurations of families of two or more, each variable minus its family's mean."""
    means = tables.means("accuracy.en", "ln_trace")
    means = means.loc[means.groupby("family")["family"].transform("size") > 1]
    if means.empty:
        return Rows([], [])
    moved = centred(means[["ln_trace", "accuracy.en"]].to_numpy(), means["family"].to_numpy())
    shown, note = thinned(means.assign(x=moved[:, 0], y=moved[:, 1]), "configurations", MOST_MARKS)
    first = tables.models.drop_duplicates("configuration")
    doses = dict(zip(first["configuration"], first["dose_rank"].fillna(0.5).astype(float), strict=True))
    names = ["id", "label", "family", "configuration", "unfit", "dose", "x", "y"]
    values = [
        [label, label, family, configuration, 0, doses[configuration], x, y]
        for label, family, configuration, x, y in zip(
            *(shown[column].tolist() for column in ("label", "family", "configuration", "x", "y")), strict=True
        )
    ]
    return Rows(names, values, note)


def draw(result: Associations, numbers: Numbers) -> list[Block]:
    """A scatter plot of the headline's data and, for each outcome, a forest plot with a table."""
    blocks: list[Block] = []
    deviations = _deviations(result.tables)
    if deviations.values and "accuracy" in result.lines:
        x = Axis.over("x", "ln Tr(F) minus the family's mean", deviations.column("x"))
        title = "English accuracy minus the family's mean (points)"
        y = Axis.over("y", title, deviations.column("y"), number=POINTS)
        tips = [Tip("label", "configuration"), Tip("x", "ln Tr(F)", "+.3f"), Tip("y", "accuracy", "+.4f")]
        looks = shared.families(result.tables)
        chart = figures.models("deviations", x, y, looks, tips, size=(360, 260), zero=True, joined=False)
        caption = (
            "What the headline of H1 sees: configurations (means over seeds) as deviations from their family's mean."
        )
        alternative = "Scatter plot of family-centred accuracy against family-centred log trace; correlation {H1}."
        blocks.append(Figure("within-families", chart, {"deviations": deviations}, caption, alternative))
    for outcome, found in result.lines.items():
        _, head, name = OUTCOMES[outcome]
        given = [(f"given {name_of(head, control)}", control, False) for control in controls(head, numbers)]
        lines = [*found[:1], *given, *found[1:]]
        rows = shared.forest_rows(lines, numbers)
        x = Axis("value", "correlation with ln Tr(F) and its 95 % interval", -1.02, 1.02)
        chart = figures.forest(f"{outcome}_forest", x, bands=(-0.3, 0.0, 0.3))
        caption = f'Correlations of {name} with ln Tr(F). Dashed: 0 and the bounds of "no association", -.3 and .3.'
        alternative = f"Forest plot of the correlations of {name} with ln Tr(F); the table below has the same numbers."
        if rows.values:
            blocks.append(Figure(f"associations-{outcome}", chart, {f"{outcome}_forest": rows}, caption, alternative))
        caption = f"Associations of {name} with ln Tr(F); p unadjusted, only the headlines are tested for a verdict."
        blocks.append(shared.estimates([(label, key) for label, key, _ in lines], numbers, caption))
        key = f"{outcome}.sign_error"
        text = f"Sign error of Tr(F) for {name}: {{{key}:reason}}."
        if numbers[key].value is not None:
            text = (
                f"Sign error: of {{{key}:n}} pairs of configurations that differ in one hyperparameter, a share of "
                f"{{{key}}} is ranked against the declared sign by Tr(F) (0 perfect, 0.5 a coin)."
            )
        blocks.append(Paragraph(text))
    return blocks


SECTION = Section("Association table", compute, draw)
