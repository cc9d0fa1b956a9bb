"""Two paragraphs to paste into a paper: the methods in brief, and what the trials cost and on which hardware."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.models import floats
from analysis.numbers import Number, Numbers, count, plain
from analysis.page.document import Block, Found, Missing, Paragraph, Section
from analysis.rows import short_path

HOUR = 3600.0
NAMED = ("torch", "transformers", "ray")


def compute(tables: StudyTables) -> Found | Missing:
    """Sum the trials' seconds."""
    seconds, memory = floats(tables.trials, "seconds"), floats(tables.trials, "peak_memory_mib")
    timed, known = seconds[np.isfinite(seconds)], memory[np.isfinite(memory)]
    if not len(timed):
        return Missing("no trial has ended with its time.")
    numbers = {
        "compute.hours": Number(
            float(timed.sum()) / HOUR, "general", n=len(timed), unit="trial",
            method="wall-clock hours of trials, interrupted ones from checkpoint to checkpoint; waiting not counted",
        ),
        "compute.trials": count(len(timed)),
        "compute.mean": Number(float(timed.mean()) / 60, "general", n=len(timed), unit="trial", method="minutes"),
        "compute.configurations": count(tables.models["configuration"].nunique()),
        "compute.families": count(tables.models["family"].nunique()),
        "compute.seeds": count(tables.models["seed"].nunique()),
    }  # fmt: skip
    if len(known):
        numbers["compute.memory"] = Number(float(known.max()) / 1024, "general", n=len(known), unit="trial")
    return Found(numbers, tables)


def _methods(tables: StudyTables) -> str:
    """The methods paragraph, with the settings of all planned trials."""
    trials = tables.trials

    def of(path: str) -> str:
        return plain(_values(trials, f"config.{path}", "several values of " + short_path(path)))

    def rows(measured: str, path: str, absent: str = "all") -> str:
        return plain(_values(trials, measured, "") or _values(trials, f"config.{path}", "several numbers of") or absent)

    families = list(dict.fromkeys(tables.models["family"]))
    traced = rows("fisher_trace_examples", "measure.trace_examples")
    text = (
        f"We fine-tuned {of('model.name')} on {rows('train_examples', 'data.train_examples')} English rows of "
        f"{of('data.name')} (epochs: {of('stages.0.epochs')}, batch size: {of('stages.0.batch_size')}, AdamW, learning "
        f"rate: {of('stages.0.optimizer.learning_rate')}) in {{compute.configurations}} configurations of "
        "{compute.families} families (" + plain(", ".join(families)) + "), seeds a configuration: "
        "{compute.seeds}. Accuracy was measured on "
        f"{rows('validation_examples', 'data.validation_examples')} English validation rows and on those of each "
        "target language, and Tr(F), the trace of the Fisher information under the model's own labels, on "
        f"{traced} English ones."
    )  # fmt: skip
    if staged := [language for language in tables.languages if f"stage2.{language}.gain" in trials]:
        text += (
            f" A second stage continued with {of('data.stage2_examples')} rows of one language at a time "
            f"({plain(', '.join(staged))})."
        )
    return (
        f"{text} The unit of every correlation is a configuration (mean over its seeds); correlations are partial, "
        "given family, over models that reach {account.fit} of the reference's training accuracy, with two-sided p by "
        "permutation within families, adjusted by Holm over H1 to H4."
    )


def _compute(trials: pd.DataFrame, memory: bool) -> str:
    text = (
        "Compute: {compute.trials} trials took {compute.hours} hours together ({compute.mean} minutes each on average)"
        f" on {plain(_values(trials, 'device', 'several devices'))}"
    )
    for column, what in (("cpus", "CPUs a trial"), ("precision", "precision"), ("host", "machines")):
        if found := _values(trials, column, ""):
            text += f"; {what}: {plain(found)}"
    text += "; at most {compute.memory} GiB of memory a trial" if memory else ""
    versions = [f"{name} {found}" for name in NAMED if (found := _values(trials, f"version.{name}", ""))]
    software = f" Software: {plain(', '.join(versions))}." if versions else ""
    return f"{text}. Preliminary runs and reports are not counted.{software}"


def _values(trials: pd.DataFrame, column: str, many: str) -> str:
    """The distinct values of a column, the most frequent first; ``many``, if given, instead of more than three."""
    if column not in trials:
        return ""
    found = trials[column].dropna().map(lambda v: f"{v:,.6g}" if isinstance(v, int | float) else str(v)).value_counts()
    return many if many and len(found) > 3 else " or ".join(found.index)


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """The paragraphs."""
    tables = result.tables
    return [Paragraph(_methods(tables)), Paragraph(_compute(tables.trials, "compute.memory" in numbers))]


SECTION = Section("Methods paragraph and compute", compute, draw)
