"""Choosing a model without target labels: what each named rule costs in target languages, relative to the oracle."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configurations import StudyTables
from analysis.models import floats
from analysis.numbers import CONFIGURATION, Number, Numbers, plain
from analysis.page.document import Block, Missing, Paragraph, Section, Table
from analysis.population import BASELINE
from analysis.regret import RESAMPLES, Measured, chosen, interval, regrets, resample
from analysis.selection_rules import RULES
from analysis.selection_rules.rule import ENGLISH_ACCURACY, IS_BASELINE, MARGIN, TARGET_TRACE, TRACE, Rule

FLATNESS = "regret.flatness_against_english"
RANDOM, BY_ENGLISH, BY_TRACE = "random", "english_accuracy", "small_trace"
COLUMNS = {  # what a rule may use, in words
    ENGLISH_ACCURACY: "English validation accuracy",
    TRACE: "a positive Tr(F) on English",
    MARGIN: "the margin (measure.margin)",
    IS_BASELINE: "a baseline",
    TARGET_TRACE: "Tr(F) on the text of every target language",
}


@dataclass(frozen=True)
class Regret:
    """The numbers of each rule that could choose.

    Attributes:
        numbers: regret.RULE, regret.RULE.LANGUAGE and regret.RULE.worst, and FLATNESS, which compares two rules.
        lines: (description, chosen configurations, id, worst language) for each line of the table.
        absent: For each rule that is left out, why, as a sentence.
        resampled: What the intervals resample, as a sentence.
        seeds: The largest number of models that any configuration has.
    """

    numbers: dict[str, Number]
    lines: list[tuple[str, str, str, str]]
    absent: list[str]
    resampled: str
    seeds: int


def compute(tables: StudyTables) -> Regret | Missing:
    """Let each rule choose a configuration, and compare its accuracy in target languages with that of the best one."""
    languages = [language for language in tables.languages if tables.has(f"accuracy.{language}")]
    if not languages:
        return Missing("no complete trial has a zero-shot accuracy in a target language.")
    accuracies = [floats(tables.models, f"accuracy.{language}") for language in languages]
    models = tables.models.iloc[np.flatnonzero(np.all(np.isfinite(accuracies), axis=0))]
    if models["configuration"].nunique() < 2:
        return Missing("fewer than two configurations have an accuracy in every target language.")
    measured, labels = _measured(tables.trials, models, languages)
    known = [replace(RULES[name], name=name) for name in RULES.known()]
    rules = [rule for rule in known if measured.allowed(rule).any()]
    once = np.ones((1, measured.accuracy.shape[2]))
    weights, of_languages = resample(measured)
    by_rule: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    numbers: dict[str, Number] = {}
    lines = []
    entries: list[Rule | None] = [*rules, *([None] if measured.fitted.any() else [])]
    for rule in entries:
        name = RANDOM if rule is None else rule.name
        found, drawn = regrets(measured, rule, once)[:, 0], regrets(measured, rule, weights)
        by_rule[name] = (found, drawn)
        key, worst = f"regret.{name}", int(found.argmax())
        free = int(measured.fitted.sum()) if rule is None else int(measured.allowed(rule).sum())
        blank = Number(None, "points", n=free, unit=CONFIGURATION)
        numbers[key] = _with_interval(blank, found, drawn, of_languages, measured)
        for language, value in zip(languages, found, strict=True):
            numbers[f"{key}.{language}"] = replace(blank, value=float(value))
        numbers[f"{key}.worst"] = replace(blank, value=float(found[worst]))
        if rule is None:
            lines.append(("a fitted configuration at random, on average", "", key, languages[worst]))
        else:
            said = ", ".join(dict.fromkeys(labels[place] for place in chosen(measured, rule, once)[:, 0]))
            lines.append((rule.description, said, key, languages[worst]))
    if {BY_TRACE, BY_ENGLISH} <= by_rule.keys():
        # The oracle cancels: regret by English validation minus regret by flatness is the accuracy gained by flatness.
        english, flat = by_rule[BY_ENGLISH], by_rule[BY_TRACE]
        blank = Number(None, "points", n=len(labels), unit=CONFIGURATION)
        numbers[FLATNESS] = _with_interval(blank, english[0] - flat[0], english[1] - flat[1], of_languages, measured)
    absent = [_absence(rule, measured) for rule in known if rule not in rules]
    return Regret(numbers, lines, absent, _resampled(measured), measured.seeds)


def _measured(trials: pd.DataFrame, models: pd.DataFrame, languages: list[str]) -> tuple[Measured, list[str]]:
    """The models by configuration and seed, and the label of each configuration.

    A trial that diverged or failed has no measurements, but its configuration counts as not fitted with every seed.
    """
    codes, rows = np.unique(models["configuration"].to_numpy(), return_inverse=True)
    seeds, columns = np.unique(models["seed"].to_numpy(), return_inverse=True)

    def grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.full((len(codes), len(seeds)), np.nan)
        out[rows, columns] = values
        return out

    measures = [str(name) for name in models if str(name).startswith("measure.")]
    looked_at = {name: grid(floats(models, name)) for name in (ENGLISH_ACCURACY, TRACE, *measures) if name in models}
    looked_at[IS_BASELINE] = grid(np.where(models["family"] == BASELINE, 1.0, np.nan))
    traces = [f"{TRACE}.{language}" for language in languages]
    lost = trials.loc[trials["state"].isin(["diverged", "failed"])]
    broken = pd.MultiIndex.from_frame(models[["arm", "label"]]).isin(pd.MultiIndex.from_frame(lost[["arm", "label"]]))
    unfit = ~models["fitted"].to_numpy(dtype=bool) | broken
    measured = Measured(
        accuracy=np.array([grid(floats(models, f"accuracy.{language}")) for language in languages]),
        columns=looked_at,
        target_trace=np.array([grid(floats(models, t)) for t in traces]) if set(traces) <= set(models) else None,
        fitted=np.bincount(rows, weights=unfit, minlength=len(codes)) == 0,
    )
    first = np.unique(rows, return_index=True)[1]
    return measured, [str(label) for label in models["label"].to_numpy()[first]]


def _with_interval(
    blank: Number, found: NDArray[np.float64], drawn: NDArray[np.float64], weights: NDArray[np.float64], of: Measured
) -> Number:
    """The mean over languages, with an interval if there is anything to resample."""
    number = replace(blank, value=float(found.mean()))
    if len(found) < 2 and of.seeds < 2:
        return number
    low, high = interval(drawn, weights)
    what = " and ".join(["seeds"] * (of.seeds > 1) + ["languages"] * (len(found) > 1))
    return replace(number, low=low, high=high, method=f"{RESAMPLES:,} resamples of {what}; percentiles")


def _resampled(measured: Measured) -> str:
    seeds, languages = measured.seeds > 1, len(measured.accuracy) > 1
    if seeds and languages:
        return "Intervals resample seeds and languages, and every rule and the oracle choose anew each time."
    if languages:
        return (
            "With one seed the intervals resample languages only, and say nothing of how a choice varies with the seed."
        )
    if seeds:
        return "With one target language the intervals resample seeds only, and say nothing of other languages."
    return "With one seed and one target language there is nothing to resample, so there are no intervals."


def _absence(rule: Rule, measured: Measured) -> str:
    """Why a rule is left out, as a sentence."""
    if rule.fitted_only and not measured.fitted.any():
        return f"The rule {rule.name} is left out: no configuration fitted its training data with every seed."
    needed = " and ".join(COLUMNS.get(name, name) for name in rule.needs)
    return f"The rule {rule.name} is left out: no configuration that it may choose has {needed}."


def closing(result: Regret | Missing, numbers: Numbers) -> str | None:
    """A template: what choosing by flatness would have cost or gained; None if one of the rules could not choose."""
    if isinstance(result, Missing) or FLATNESS not in numbers:
        return None
    number = numbers[FLATNESS]
    start = "Choosing by flatness (the smallest Tr(F) on English) instead of by English validation"
    change = f"{{{FLATNESS}}} points of accuracy in the target languages"
    if number.low is None or number.high is None:
        return f"{start} would have made a difference of {change}, but nothing could be resampled: too close to call."
    if number.low <= 0 <= number.high:
        labels = {key: label for _, label, key, _ in result.lines}
        by_trace = labels.get(f"regret.{BY_TRACE}")
        if by_trace is not None and by_trace == labels.get(f"regret.{BY_ENGLISH}"):
            start += f" would have taken the same configuration ({plain(by_trace)}): a difference of {change}"
            return f"{start}, too close to call."
        return f"{start} would have made a difference of {change}: too close to call."
    if result.seeds < 2:
        # The interval covers languages only, but which configuration a rule chooses depends on the seed as well.
        return f"{start} would have made a difference of {change} with this one seed; another seed might reverse it."
    verb = "gained accuracy" if number.low > 0 else "cost accuracy"
    return f"{start} would have {verb}: a difference of {change}."


def draw(result: Regret, numbers: Numbers) -> list[Block]:
    """How to read the table, the table, and what is left out."""
    table = [
        [plain(what), plain(label), f"{{{key}}}", f"{{{key}.worst}} ({plain(worst)})", f"{{{key}:n}}"]
        for what, label, key, worst in result.lines
    ]
    text = (
        "Regret is the accuracy of the oracle, the best configuration in a language, minus that of the configuration "
        "that a rule chose, in points; both are means over seeds. Rules that use Tr(F) or the margin, and the random "
        "choice, choose among configurations that fitted their training data with every seed; English validation, the "
        f"baseline and the oracle are free to take any. {result.resampled}"
    )
    headings = ["rule", "chosen", "regret, mean over languages [95 % interval]", "worst language", "configurations"]
    caption = "Regret in target languages (points) of choosing a configuration without target labels."
    blocks: list[Block] = [Paragraph(text), Table(headings, table, caption, sortable=True)]
    blocks += [Paragraph(" ".join(result.absent))] if result.absent else []
    said = closing(result, numbers)
    return [*blocks, *([Paragraph(said)] if said else [])]


SECTION = Section("Choosing a model without target labels", compute, draw)
