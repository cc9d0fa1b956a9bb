"""How reliable ln Tr(F), accuracy and gain are as variables, and how few examples dominate Tr(F)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.numbers import CONFIGURATION, Number, Numbers, from_association
from analysis.page.document import Block, Missing, Paragraph, Section, Table
from analysis.statistics.association import Array, partial_correlation
from analysis.statistics.measurement_error import Reliability, disattenuated, examples_needed, reliability
from analysis.verdicts.controls import halves_of, rows_of_validation
from analysis.verdicts.declared import HYPOTHESES

TARGET = 0.9
NAMES = {"trace": "ln Tr(F)", "accuracy": "English accuracy", "gain": "gain of the second stage"}
OUTCOMES = {"H1": "accuracy", "H4": "gain"}
EXAMPLE_SHARE = 0.25  # of Tr(F), due to one per cent of the examples; above this, a few of them dominate


@dataclass(frozen=True)
class Reliabilities:
    """Numbers reliability.WHAT, reliability.trace.needed, HYPOTHESIS.disattenuated, trace.top1 and trace.top5.

    ``missing`` lists what could not be estimated, one sentence each.
    """

    numbers: dict[str, Number]
    missing: list[str]


def compute(tables: StudyTables) -> Reliabilities | Missing:
    """Reliabilities of configuration means, with error variances from recorded standard errors and row counts."""
    found = {"trace": _trace(tables), "accuracy": _accuracy(tables), "gain": _gain(tables)}
    numbers, missing = {}, []
    for what, one in found.items():
        if one is None or one.value is None:
            if one is not None and tables.has("ln_trace"):
                missing.append(f"{NAMES[what]}: {one.reason}.")
            continue
        numbers[f"reliability.{what}"] = Number(
            one.value, "correlation", n=one.n, families=one.families, unit=CONFIGURATION,
            method="1 - mean error variance / variance, within families; errors as if no two models shared an example",
        )  # fmt: skip
    numbers |= _needed(tables, found["trace"]) | _largest(tables)
    for key, what in OUTCOMES.items():
        one, trace = found[what], found["trace"]
        outcome = HYPOTHESES[key].outcome
        if one is not None and trace is not None and tables.has(outcome, "ln_trace"):
            means = tables.means(outcome, "ln_trace")
            measured = partial_correlation(means["ln_trace"], means[outcome], means["family"])
            numbers[f"{key}.disattenuated"] = from_association(disattenuated(measured, trace, one))
    if not any(name.startswith("reliability.") for name in numbers):
        return Missing("the records hold no standard error of Tr(F) over two fitted configurations of a family.")
    return Reliabilities(numbers, missing)


def _means(tables: StudyTables, column: str, errors: Array | pd.Series[float]) -> Reliability:
    """Reliability of a configuration's mean over seeds, from the error variance of each model [models]."""
    means = tables.with_columns({"error": errors}).means(column, "error")
    return reliability(means[column], means["error"] / means["seeds"], means["family"])


def _trace(tables: StudyTables) -> Reliability | None:
    if not tables.has("ln_trace", "fisher_trace_se"):
        return None
    relative = tables.models["fisher_trace_se"] / tables.models["fisher_trace"]  # delta method: se of ln F is se / F
    return _means(tables, "ln_trace", relative**2)


def _binomial(tables: StudyTables, column: str) -> pd.Series[float] | None:
    rows = rows_of_validation(tables)
    if rows is None or column not in tables.models:
        return None
    share = tables.models[column].astype(float).clip(0.0, 1.0)
    return share * (1 - share) / rows


def _accuracy(tables: StudyTables) -> Reliability | None:
    errors = _binomial(tables, "accuracy.en")
    return None if errors is None or not tables.has("accuracy.en") else _means(tables, "accuracy.en", errors)


def _gain(tables: StudyTables) -> Reliability | None:
    """With halves of the rows, from what they do not share; otherwise, from binomial errors before and after."""
    if not tables.has("gain"):
        return None
    if (halves := halves_of(tables)) is not None:
        apart = halves["half1.gain"] - halves["half2.gain"]
        error = float(((apart - apart.mean()) ** 2).sum()) / max(1, len(apart) - 1) / 4
        return reliability(halves["gain"], np.full(len(halves), error), halves["family"])
    languages = [language for language in tables.languages if f"stage2.{language}.gain" in tables.models]
    columns = [f"stage2.{language}.accuracy_{when}" for language in languages for when in ("before", "after")]
    parts = [_binomial(tables, column) for column in columns]
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    return _means(tables, "gain", sum(known[1:], known[0]) / len(languages) ** 2)


def _needed(tables: StudyTables, found: Reliability | None) -> dict[str, Number]:
    if found is None or not tables.has("fisher_trace_examples"):
        return {}
    examples = float(tables.usable("ln_trace", "fisher_trace_examples")["fisher_trace_examples"].median())
    needed = examples_needed(found, examples, TARGET) if np.isfinite(examples) else None
    if needed is None:
        return {}
    method = "error variance of ln Tr(F) taken as inverse to the examples"
    return {"reliability.trace.needed": Number(float(needed), "count", n=found.n, unit=CONFIGURATION, method=method)}


def _largest(tables: StudyTables) -> dict[str, Number]:
    out = {}
    for name in ("top1", "top5"):
        column = f"fisher_trace_{name}"
        if tables.has(column):
            values = tables.usable(column, adaptive=True)[column]
            if len(values):
                median, method = float(values.median()), "median over fitted models"
                out[f"trace.{name}"] = Number(median, "percent", n=len(values), unit="trial", method=method)
    return out


def draw(result: Reliabilities, numbers: Numbers) -> list[Block]:
    """A table, and sentences on what follows from it."""
    table = [
        [NAMES[what], f"{{reliability.{what}}}", f"{{reliability.{what}:n}}"]
        for what in NAMES
        if f"reliability.{what}" in numbers
    ]
    caption = (
        "Reliability within families: the share of a variable's variance over configurations that is no error of "
        "measurement. At least so much, since all models are measured on the same examples."
    )
    blocks: list[Block] = [Table(["variable", "reliability", "n"], table, caption)]
    text = [
        f"{key}: the correlation of what both variables measure, r over the root of their reliabilities, is "
        f"{{{key}.disattenuated}}; as measured it is {{{key}}}."
        for key in OUTCOMES
        if f"{key}.disattenuated" in numbers and key in numbers and numbers[f"{key}.disattenuated"].value is not None
    ]
    text += [
        f"{key}: there is no such correlation, as {{{key}.disattenuated:reason}}."
        for key in OUTCOMES
        if f"{key}.disattenuated" in numbers and numbers[f"{key}.disattenuated"].reason
    ]
    if "reliability.trace.needed" in numbers:
        text.append(
            "A reliability of nine tenths of ln Tr(F) needs {reliability.trace.needed} examples a trace "
            "(measure.trace_examples)."
        )
    if "trace.top1" in numbers:
        text.append("The largest hundredth of the examples holds {trace.top1} of Tr(F)")
        text[-1] += ", the largest twentieth {trace.top5}." if "trace.top5" in numbers else "."
        if (numbers["trace.top1"].value or 0.0) > EXAMPLE_SHARE:
            text.append("So a few examples dominate Tr(F); the line with the median does not depend on them.")
    text += result.missing
    return [*blocks, *([Paragraph(" ".join(text))] if text else [])]


SECTION = Section("Reliability", compute, draw)
