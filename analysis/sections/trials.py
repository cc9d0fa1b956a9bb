"""The trials table, which is sortable: planned trials, with what identifies them and their main measurements."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.models import floats
from analysis.numbers import Numbers
from analysis.page.document import Block, Found, Missing, Section, Table
from analysis.rows import rows
from trainables.config import ENGLISH

MOST_ROWS = 1_000  # of more trials, the page has those that readers look for
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


def compute(tables: StudyTables) -> Found | Missing:
    """No numbers, as every cell belongs to a single trial."""
    return Missing("the plan has no trials.") if tables.trials.empty else Found({}, tables)


def _columns(tables: StudyTables) -> dict[str, str]:
    """The columns that are shown, those with any value, and their headings."""
    shown = dict(_SHOWN)
    for language in tables.languages:
        shown[f"accuracy.{language}"] = f"accuracy {language}"
        shown[f"stage2.{language}.gain"] = f"gain {language}"
    for language in (ENGLISH, *tables.languages):
        shown[f"test.accuracy.{language}"] = f"test accuracy {language}"
        shown[f"test.f1.{language}"] = f"test F1 {language}"
        shown[f"stage2.{language}.test_accuracy"] = f"test accuracy {language} after stage 2"
    shown |= {"seconds": "seconds", "trial_id": "trial", "reason": "reason"}
    return {c: title for c, title in shown.items() if c in tables.trials and tables.trials[c].notna().any()}


def _looked_for(trials: pd.DataFrame) -> pd.DataFrame:
    """All trials or, of very many, those that ended incomplete, then the most accurate and flattest; in plan order."""
    if len(trials) <= MOST_ROWS:
        return trials
    accuracy, trace = pd.Series(-floats(trials, "accuracy.en")), pd.Series(floats(trials, "fisher_trace"))
    best = np.fmin(accuracy.rank(), trace.rank())
    order = np.lexsort((best, trials["state"].map({"complete": 1, "unfinished": 2}).fillna(0)))
    return trials.iloc[np.sort(order[:MOST_ROWS])]


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """The table."""
    columns, planned = _columns(result.tables), len(result.tables.trials)
    shown = rows(_looked_for(result.tables.trials), list(columns))
    caption = "Every planned trial; all columns are in trials.csv and trials.parquet, their meaning in columns.csv."
    if len(shown.values) < planned:
        caption = (
            f"{len(shown.values):,} of {planned:,} planned trials: those that ended incomplete, then the most accurate "
            "in English and those with the smallest Tr(F). All trials, with all columns, are in trials.csv and "
            "trials.parquet, their meaning in columns.csv."
        )
    return [Table(list(columns.values()), [], caption, sortable=True, rows_of=("trials", shown))]


SECTION = Section("Trials", compute, draw)
