"""The trials table, sortable: every planned trial with its identity and its main measurements."""

from __future__ import annotations

from dataclasses import dataclass, field

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers
from analysis.page.document import Block, Missing, Section, Table
from analysis.rows import Rows, rows
from trainables.config import ENGLISH

_SHOWN = {
    "arm": "family",
    "label": "model",
    "seed": "seed",
    "state": "state",
    "train_accuracy": "training accuracy",
    "accuracy.en": "accuracy en",
    "fisher_trace": "Tr(F)",
    "fisher_trace_se": "its s.e.",
    "transfer_gap": "transfer gap",
}


@dataclass(frozen=True)
class Trials:
    """The rows of the table, one for each planned trial, and their headings."""

    rows: Rows
    titles: list[str]
    numbers: dict[str, Number] = field(default_factory=dict)


def compute(tables: StudyTables) -> Trials | Missing:
    """Pick the columns."""
    if tables.trials.empty:
        return Missing("the plan has no trials.")
    shown = dict(_SHOWN)
    for language in tables.languages:
        shown[f"accuracy.{language}"] = f"accuracy {language}"
        shown[f"stage2.{language}.gain"] = f"gain {language}"
    for language in (ENGLISH, *tables.languages):
        shown[f"test.accuracy.{language}"] = f"test accuracy {language}"
        shown[f"test.f1.{language}"] = f"test F1 {language}"
        shown[f"stage2.{language}.test_accuracy"] = f"test accuracy {language} after stage 2"
    shown |= {"seconds": "seconds", "trial_id": "trial", "reason": "reason"}
    shown = {c: title for c, title in shown.items() if c in tables.trials and tables.trials[c].notna().any()}
    return Trials(rows(tables.trials, list(shown)), list(shown.values()))


def draw(result: Trials, numbers: Numbers) -> list[Block]:
    """The table."""
    caption = "Every planned trial; all columns are in trials.csv and trials.parquet, their meaning in columns.csv."
    return [Table(result.titles, [], caption, sortable=True, rows_of=("trials", result.rows))]


SECTION = Section("Trials", compute, draw)
