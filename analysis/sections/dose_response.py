"""Dose-response, H2 and H3: each family's weights against Tr(F), and the best weights of two kinds compared."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers, from_association
from analysis.page import composition, figures
from analysis.page.document import Block, Found, Missing, Paragraph, Section, Table
from analysis.rows import Rows, short_path, thinned
from analysis.sections import shared
from analysis.statistics.permutation import headline
from analysis.statistics.power import ALPHA
from analysis.verdicts.margins import EQUIVALENCE_MARGIN

CONSISTENCY = "config.stages.0.consistency.weight"
FISHER = "config.stages.0.penalties.fisher.weight"
TRACE_WEIGHT = "weight_in_trace_units"
MOST_LISTED = 500  # configurations in the table, and weights in a panel: to sort them, Vega nests a condition for each


def _doses(tables: StudyTables) -> dict[str, str]:
    """The families that have models and a single numeric dose, with the dose's column."""
    there = set(tables.models["family"])
    return {f: column for f in tables.families if f in there and (column := tables.dose(f)) is not None}


def compute(tables: StudyTables) -> Found | Missing:
    """H2, H3 and trends: each weight's rank against ln Tr(F) and accuracy, and the best weights of two kinds."""
    doses = _doses(tables)
    numbers = {
        f"trend.{family}.{name}": _trend(tables, column, measured, family)
        for family, column in doses.items()
        for name, measured in (("trace", "ln_trace"), ("accuracy", "accuracy.en"))
    }
    if CONSISTENCY in tables.models and tables.has(CONSISTENCY, "ln_trace"):
        numbers["H2"] = _trend(tables, CONSISTENCY, "ln_trace")
    if (equal := _equivalence(tables)) is not None:
        numbers["H3"] = equal
    if not doses:
        return Missing("no family searches a single numeric weight.", numbers)
    return Found(numbers, tables)


def _trend(tables: StudyTables, dose: str, measured: str, family: str | None = None) -> Number:
    """Correlation of a dose's rank within its family with a measurement, given family, with p by permutation."""
    means = tables.means(dose, measured)
    if family is not None:
        means = means.loc[means["family"] == family]
    # A family with only one weight says nothing about the effect of the weight.
    means = means.loc[means.groupby("family")[dose].transform("nunique") > 1]
    ranks = means.groupby("family")[dose].rank()
    return from_association(headline(ranks, means[measured], means["family"]))


def _equivalence(tables: StudyTables) -> Number | None:
    """English accuracy with the best Fisher penalty minus that with the best consistency weight, chosen on other seeds.

    For each seed, both weights are those with the best mean over all other seeds; the difference at the seed itself is
    one unit. Equivalence is tested by two one-sided t tests against a margin of one point; outside the margin, p is
    that of the test for a difference beyond it. As the weights of the seeds are chosen on overlapping data, few seeds
    give a rough answer, which the interval shows. None if the study lacks one of the kinds.
    """
    models = tables.usable("accuracy.en", fit=0.0)
    weights = tables.models.loc[models.index].reindex(columns=[CONSISTENCY, FISHER]).apply(pd.to_numeric).fillna(0.0)
    consistent = models.loc[(weights[CONSISTENCY] > 0) & (weights[FISHER] == 0)]
    penalised = models.loc[(weights[FISHER] > 0) & (weights[CONSISTENCY] == 0)]
    if consistent.empty or penalised.empty:
        return None
    pivots = [side.pivot_table("accuracy.en", "configuration", "seed") for side in (penalised, consistent)]
    seeds = sorted(set(pivots[0].columns) & set(pivots[1].columns))
    method = "weight chosen on the other seeds; two one-sided t tests over seeds, margin 1 point"
    blank = Number(None, "points", n=len(seeds), unit="seed", method=method)
    if len(seeds) < 2:
        return replace(blank, reason="it takes two seeds or more to choose the weight on other seeds")
    found = np.array([_chosen(pivots[0], seeds, s) - _chosen(pivots[1], seeds, s) for s in seeds])
    found = found[np.isfinite(found)]
    blank, n = replace(blank, n=len(found)), len(found)
    if n < 2:
        return replace(blank, reason="too few configurations have all seeds")
    mean, error = float(found.mean()), float(found.std(ddof=1)) / math.sqrt(n)
    if error <= 1e-12:
        return replace(blank, reason="the seeds do not differ, so their spread cannot be judged")
    half = float(stdtrit(n - 1, 0.975)) * error
    p, needed = _margin_p(mean, error, n), _seeds_needed(mean, error * math.sqrt(n), n)
    return replace(blank, value=mean, low=mean - half, high=mean + half, p=p, needed=needed)


def _chosen(pivot: pd.DataFrame, seeds: list[int], seed: int) -> float:
    """Accuracy at one seed of the configuration that is best on the other seeds."""
    others = pivot[[s for s in seeds if s != seed]].dropna()
    return math.nan if others.empty else float(pivot.loc[others.index, seed].to_numpy()[others.mean(axis=1).argmax()])


def _margin_p(mean: float, error: float, n: int) -> float:
    """P-value of "differs by the margin or more" inside the margin, of "differs by at most the margin" outside it."""
    distance = abs(EQUIVALENCE_MARGIN - abs(mean))
    return float(stdtr(n - 1, -distance / error))


def _seeds_needed(mean: float, deviation: float, n: int) -> int | None:
    """Seeds at which the same mean and spread would decide at Holm's first step; None if over a thousand."""
    enough = (seeds for seeds in range(n + 1, 1001) if _margin_p(mean, deviation / math.sqrt(seeds), seeds) < ALPHA / 4)
    return next(enough, None)


def _table(tables: StudyTables, doses: Iterable[str]) -> Table:
    """A table of the configurations of families with doses."""
    out = []
    means = tables.means("accuracy.en", "ln_trace", fit=0.0)
    means = means.loc[means["family"].isin(list(doses))]
    means, left_out = thinned(means, "configurations", MOST_LISTED)
    extra = tables.models.groupby("configuration").agg(
        fitted=("fitted", "sum"),
        **({TRACE_WEIGHT: (TRACE_WEIGHT, "first")} if TRACE_WEIGHT in tables.models else {}),
    )
    for row in means.join(extra, on="configuration").to_dict("records"):
        unit = row.get(TRACE_WEIGHT, math.nan)
        cells = [row["family"], row["label"].partition("=")[2], "" if math.isnan(unit) else f"{unit:.3g}"]
        cells += [str(row["seeds"]), f"{100 * row['accuracy.en']:.2f}", f"{math.exp(row['ln_trace']):.4g}"]
        out.append([*cells, str(int(row["fitted"]))])
    headings = ["family", "weight", "weight on Tr(F) itself", "seeds", "English accuracy (%)", "Tr(F)", "fitted models"]
    text = (
        "Configurations: mean accuracy and geometric mean of Tr(F) over seeds. The Fisher penalty's weight acts on "
        "Tr(F) / B; the third column is that weight divided by the batch size B."
    )
    return Table(headings, out, f"{text} {left_out}".strip(), sortable=True)


def _drawn(rows: Rows, family: str, order: list[str]) -> tuple[list[str], str]:
    """The dose labels of a panel in order (some of very many), and a Vega expression that picks their models."""
    there = {row["dose_label"] for row in rows.records(["family", "dose_label"]) if row["family"] == family}
    present, where = [label for label in order if label in there], f"datum.family == '{family}'"
    if len(present) <= MOST_LISTED:
        return present, where
    labels = present[:: math.ceil(len(present) / MOST_LISTED)]
    return labels, f"{where} && indexof({json.dumps(labels)}, datum.dose_label) >= 0"


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """A panel for each family, the trends, and a table of the configurations."""
    tables, rows = result.tables, result.tables.figure_rows
    doses, looks = _doses(tables), shared.families(tables)
    y, tips = shared.axis(rows, ["fisher_trace"], "Tr(F) (log scale)", log=True), shared.tips(shared.TRACE)
    panels, many = [], False
    for family, column in doses.items():
        ordered = tables.models.loc[tables.models["family"] == family].sort_values(column)["label"].drop_duplicates()
        labels, where = _drawn(rows, family, [label.partition("=")[2] for label in ordered])
        many |= len(ordered) > MOST_LISTED
        panels.append(figures.doses("models", labels, y, looks, tips, where=where, title=family, x=short_path(column)))
    caption = "Tr(F) over each family's weights; marks are models, the line joins the means over seeds."
    if many:
        caption += f" Of a family with more, {MOST_LISTED} evenly spaced weights at the most are shown."
    alternative = "Panels, one a family, of the trace of the Fisher information over the regulariser's weight."
    trends = [
        [family, *(f"{{trend.{family}.{name}}}, {{trend.{family}.{name}:p}}" for name in ("trace", "accuracy")),
         f"{{trend.{family}.trace:n}}"] for family in doses
    ]  # fmt: skip
    blocks: list[Block] = [shared.marks("dose-response", composition.row(panels), tables, caption, alternative)]
    if "H2" in numbers:
        text = "H2: the correlation of the rank of the consistency weight and ln Tr(F) is {H2}, {H2:p}, over {H2:n} "
        blocks.append(Paragraph(f"{text}configurations."))
    if "H3" in numbers and numbers["H3"].value is not None:
        text = (
            "H3: the best Fisher penalty minus the best consistency weight, each chosen on the other seeds, is {H3} "
            "points of English accuracy over {H3:n} seeds."
        )
        blocks.append(Paragraph(text))
    headings = ["family", *(f"r of weight's rank and {x}" for x in ("ln Tr(F)", "English accuracy")), "configurations"]
    trend = Table(headings, trends, "Trend tests by family (permutation p, unadjusted).")
    return [*blocks, trend, _table(tables, doses)]


SECTION = Section("Dose-response", compute, draw)
