"""The account of trials: how many are in each state and why, and which models fitted their training data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from analysis.configurations import StudyTables
from analysis.models import NOT_REACHED, floats
from analysis.numbers import Number, Numbers, count, listed, plain
from analysis.page.document import Block, Found, Paragraph, Section, Table
from analysis.population import BASELINE, SENSITIVITY

STATES = ("complete", NOT_REACHED, "diverged", "failed", "unfinished", "unreadable")
RARE = (NOT_REACHED, "unreadable")  # states that get a column only if a trial is in them
SHIFT_GRID = 2  # if more of a family's weights collapsed, its grid should change


@dataclass(frozen=True)
class Account(Found):
    """Where every planned trial went.

    Attributes:
        states: The states that have a column.
        fit: Which models count as fitted and how many do, in a sentence or two.
        excluded: What some models lack for Figure 1, and the number formats used, one sentence each.
    """

    states: list[str]
    fit: str
    excluded: list[str]


def compute(tables: StudyTables) -> Account:
    """Count trials and models."""
    models = tables.models
    numbers = {f"account.{state}": count(tables.account.get(state, 0)) for state in ("planned", *STATES)}
    states = [state for state in STATES if tables.account.get(state, 0) or state not in RARE]
    numbers["account.collapsed"] = count(int(models["collapsed"].sum()))
    numbers["account.configurations"] = count(int(models["configuration"].nunique()))
    numbers["account.families"] = count(len(tables.families))
    fit = _fit(tables, numbers)
    return Account(numbers, tables, states, fit, [*_excluded(tables, numbers), *_formats(tables, numbers)])


def _fit(tables: StudyTables, numbers: dict[str, Number]) -> str:
    """The declared population in words; adds its counts to the numbers."""
    known = np.isfinite(floats(tables.models, "train_accuracy"))
    fitted = tables.models["fitted"].to_numpy(dtype=bool)
    numbers["account.fitted"] = count(int(fitted.sum()))
    numbers["account.unfit"] = count(int((known & ~fitted).sum()))
    numbers["account.fit"] = Number(tables.fit, "share")
    numbers |= {f"account.fit.{percent}": Number(share, "share") for percent, share in SENSITIVITY.items()}
    if not known.any():
        return "No model has a training accuracy, so none is known to have fitted its training data."
    reference = tables.reference
    if not np.isfinite(reference.value):
        return "No trial reached the training loss that it was to reach, so none counts as fitted."
    numbers["account.reference"] = Number(
        reference.value, "percent", n=reference.n, unit="trial", method=reference.what
    )
    text = (
        "A model has fitted its training data when its training accuracy is at least {account.fit} of the reference's, "
        f"{{account.reference}} ({reference.what}): {{account.fitted}} have, {{account.unfit}} have not "
        "(hollow marks, outside the headlines)"
    )
    if lacking := int((~known).sum()):
        numbers["account.fit_unknown"] = count(lacking)
        text += ", of {account.fit_unknown} the training accuracy is unknown"
    if not (numbers["account.unfit"].value and numbers["account.collapsed"].value):
        return f"{text}."
    return f"{text}. Of those that have not, {{account.collapsed}} collapsed: they do no better than chance."


def _excluded(tables: StudyTables, numbers: dict[str, Number]) -> list[str]:
    """Sentences on models that lack what a headline needs; adds their counts to the numbers."""
    out = []
    for column, what in (("accuracy.en", "English validation accuracy"), ("ln_trace", "a positive Tr(F)")):
        if lacking := int((~np.isfinite(floats(tables.models, column))).sum()):
            key = f"account.without.{column}"
            numbers[key] = count(lacking)
            out.append(f"Models without a finite value of {what}, in no figure that needs it: {{{key}}}.")
    return out


def _formats(tables: StudyTables, numbers: dict[str, Number]) -> list[str]:
    """A sentence on number formats, if models were computed in several."""
    models = tables.models
    found = Counter(models["precision"].dropna().tolist()) if "precision" in models else Counter[str]()
    if len(found) < 2:
        return []
    numbers |= {f"account.precision.{name}": count(times) for name, times in found.items()}
    formats = listed([f"{name} ({{account.precision.{name}}} models)" for name in found])
    own = list(dict.fromkeys(models.loc[models["family"] == BASELINE, "precision"].dropna()))
    baseline = f", those of the baseline in {listed(own)}" if own else ""
    return [
        f"Passes of training and evaluation were computed in {formats}{baseline}. Where two models differ in that, "
        "their comparison compares the formats, too; Tr(F) is computed in float32 in all."
    ]


def _said(state: str) -> str:
    return state.replace("_", " ")


def line(numbers: Numbers, running: bool) -> str:
    """The account of trials in one line."""
    counted = [state for state in STATES if state == "complete" or numbers[f"account.{state}"].value]
    states = ", ".join(f"{{account.{state}}} {_said(state)}" for state in counted)
    end = "; the study is still running" if running else ""
    trials = "trial" if numbers["account.planned"].value == 1 else "trials"
    return numbers.text(f"{{account.planned}} {trials} planned: {states}{end}.")


def advice(result: Account, numbers: Numbers) -> str | None:
    """What to change if models collapsed; None if too few did to justify another study."""
    fallen, complete = (numbers[f"account.{what}"].value for what in ("collapsed", "complete"))
    if fallen and fallen == complete:
        return (
            "Every model collapsed: none does much better on its training examples than the share of their most "
            "frequent label. Train longer (stages.0.epochs, data.train_examples) or change "
            "stages.0.optimizer.learning_rate, for the baseline first; if that learns, lower the weights of the others."
        )
    models = result.tables.models
    collapsed = models.loc[models["collapsed"].to_numpy(dtype=bool)].groupby("family")["configuration"].nunique()
    if shift := [family for family in result.tables.families if collapsed.get(family, 0) > SHIFT_GRID]:
        return f"More than two configurations collapsed in {', '.join(shift)}: shift that grid by a decade."
    return None


def _by_family(result: Account) -> Table:
    trials, models, rows = result.tables.trials, result.tables.models, []
    for family in result.tables.families:
        planned, mine = trials.loc[trials["arm"] == family], models.loc[models["family"] == family]
        cells = [
            planned["label"].nunique(),
            len(planned),
            *((planned["state"] == state).sum() for state in result.states),
        ]
        rows.append([family, *map(str, [*cells, mine["fitted"].sum(), mine["collapsed"].sum()])])
    headings = ["family", "configurations", "planned", *map(_said, result.states), "fitted", "collapsed"]
    return Table(headings, rows, "Trials by family and state.", sortable=True)


def _reasons(tables: StudyTables) -> list[tuple[str, str, str]]:
    """Trial or file, state, and reason, for all that is neither complete nor unfinished."""
    trials = tables.trials
    ended = trials.loc[trials["state"].isin(["diverged", "failed", NOT_REACHED])] if len(trials) else trials
    reasons = [
        (str(r.trial_id), f"{r.state}, {r.label}, seed {r.seed}", str(r.reason or "no reason recorded"))
        for r in ended.itertuples()
    ]
    return [*reasons, *((name, "unreadable", reason) for name, reason in tables.unreadable)]


def draw(result: Account, numbers: Numbers) -> list[Block]:
    """Sentences and up to three tables."""
    blocks: list[Block] = [
        Paragraph(
            f"{line(numbers, result.tables.running)} Families planned: {{account.families}}; configurations with a "
            "model: {account.configurations}."
        ),
        Paragraph(result.fit),
        *(Paragraph(text) for text in result.excluded),
    ]
    if (text := advice(result, numbers)) is not None:
        blocks.append(Paragraph(text))
    blocks.append(_by_family(result))
    if reasons := _reasons(result.tables):
        shown = [[plain(cell) for cell in reason] for reason in reasons[:50]]
        more = f" The first 50 of {len(reasons):,}." if len(reasons) > 50 else ""
        blocks.append(Table(["trial or file", "state", "reason"], shown, f"Why trials are not complete.{more}"))
    if notes := [[plain(str(note))] for note in result.tables.study.get("notes", ())]:
        blocks.append(Table(["note"], notes, "Notes on the models and the data."))
    return blocks


SECTION = Section("Account of trials", compute, draw)
