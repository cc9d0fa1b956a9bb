"""Terminal tables: the studies of a storage, the trials of a study, a plan."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from study.config import StudyConfig
from study.plan.planning import draft
from study.store.account import RARE, STATES, account, trial_states
from study.store.folders import start_command, studies
from study.store.lock import is_running
from study.store.record_files import read_study, read_trials
from study.store.results import is_missing
from study.store.storage import Store
from study.store.storage_error import StorageError
from trainables.config.dotted_paths import flatten, paths
from trainables.errors import InputError

REASON_WIDTH = 100


def table(*columns: str, rows: Iterable[Sequence[str]], left: Collection[str], title: str | None = None) -> Table:
    """A table of up to tens of rows, in the style that all tables share; see ``aligned`` for longer ones.

    Args:
        left: Columns that are set flush left; the others flush right.
        title: A line above the table.
    """
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")
    for column in columns:
        made.add_column(column, justify="left" if column in left else "right", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def studies_table(storage: Store) -> Table | str:
    """A row per study (account, age, best English accuracy), or a sentence if none; InputError if unreadable."""
    if not studies(storage):
        return f"{storage.location} holds no study yet; start one with: {start_command(storage)}"
    rows: list[tuple[str, dict[str, int], list[str]]] = []
    for name in studies(storage):
        folder = storage.child(name)
        try:
            study = read_study(folder)
            records, unreadable = read_trials(folder)
        except InputError as error:
            if isinstance(error, StorageError) and not storage.is_local:
                raise
            rows.append((name, {}, ["", "", f"'show {name}' says why not"]))
            continue
        counts = account(trial_states(study, records, unreadable).values())
        best = max((r.measurements.get("accuracy.en", -math.inf) for r in records.values()), default=-math.inf)
        age = duration((datetime.now(UTC) - datetime.fromisoformat(study.created)).total_seconds())
        running = "yes" if is_running(folder) else ""
        rows.append((name, counts, [running, age, f"{best:.3f}" if math.isfinite(best) else ""]))
    states = [s for s in ("planned", *STATES) if s not in RARE or any(c.get(s) for _, c, _ in rows)]
    cells = [(name, *(str(counts.get(state, "")) for state in states), *rest) for name, counts, rest in rows]
    return table("study", *states, "running", "age", "best accuracy en", rows=cells, left=("study",))


def trials_table(trials: pd.DataFrame) -> str:
    """The trials with the figures that the paper is about: a header, then one aligned line per trial."""
    others = [name for name in trials.columns if re.fullmatch(r"accuracy\.(?!en$).+", name)]
    gains = [name for name in trials.columns if re.fullmatch(r"stage2\..+\.gain", name)]
    errors = _texts(trials.get("fisher_trace_se"), trials, ".2g")
    traces = _texts(trials.get("fisher_trace"), trials, ".4g")
    return aligned(
        {
            "trial": list(trials["trial_id"]),
            "label": list(trials["label"]),
            "seed": _texts(trials["seed"], trials, "d"),
            "state": list(trials["state"]),
            "train": _texts(trials.get("train_accuracy"), trials, ".3f"),
            "accuracy en": _texts(trials.get("accuracy.en"), trials, ".3f"),
            "other languages": _texts(trials[others].mean(axis=1), trials, ".3f"),
            "Tr(F)": [f"{trace} ± {se}" if se else trace for trace, se in zip(traces, errors, strict=True)],
            "gain": _texts(trials[gains].mean(axis=1), trials, "+.3f"),
            "seconds": _texts(trials.get("seconds"), trials, ".0f"),
            **({"reason": _reasons(trials)} if trials["reason"].notna().any() else {}),
        },
        left=("trial", "label", "state", "reason"),
    )


def _reasons(trials: pd.DataFrame) -> list[str]:
    """Why each trial is not complete; cut short, since ``show NAME TRIAL`` and the other formats give the full text."""
    texts = ("" if is_missing(reason) else " ".join(str(reason).split()) for reason in trials["reason"])
    return [text if len(text) <= REASON_WIDTH else f"{text[: REASON_WIDTH - 3]}..." for text in texts]


def _texts(values: pd.Series[Any] | None, trials: pd.DataFrame, form: str) -> list[str]:
    """A column of numbers as text; empty where nothing was measured."""
    if values is None:
        return [""] * len(trials)
    return ["" if is_missing(value) else format(value, form) for value in values]


def columns_table(trials: pd.DataFrame) -> str:
    """Chosen columns of the trials table as aligned lines: numbers to six digits, missing values left blank."""
    shown = {name: [_plain_text(value) for value in trials[name]] for name in trials.columns}
    return aligned(shown, left=[name for name in shown if not pd.api.types.is_numeric_dtype(trials[name])])


def _plain_text(value: Any) -> str:
    if is_missing(value):
        return ""
    return format(value, ".6g") if isinstance(value, float) else " ".join(str(value).split())


def aligned(columns: Mapping[str, Sequence[str]], left: Collection[str]) -> str:
    """A table as plain lines; rich takes about a millisecond per row, which is too slow for thousands.

    Args:
        columns: Maps each header to its cells.
        left: Columns that are set flush left; the others flush right.

    Example:
        >>> print(aligned({"a": ["x", "yyy"], "n": ["10", "9"]}, left=["a"]))
        a     n
        x    10
        yyy   9
    """
    padded = []
    for name, cells in columns.items():
        width = max(map(len, [name, *cells]))
        padded.append([cell.ljust(width) if name in left else cell.rjust(width) for cell in (name, *cells)])
    return "\n".join("  ".join(row).rstrip() for row in zip(*padded, strict=True))


def trials_json(trials: pd.DataFrame) -> str:
    """The trials table as a JSON list, one line per row, with exact numbers; what was not measured is null."""
    rows = ({str(k): None if is_missing(v) else v for k, v in row.items()} for row in trials.to_dict("records"))
    return "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in rows) + "\n]"


def arms_table(study: StudyConfig) -> Table:
    """What a study would run: its arms with their values."""
    trials = draft(study)
    drawn = {arm.name: arm.space_text() for arm in study.arms if arm.slots is not None}
    rows = []
    for arm, group in groupby(trials, key=lambda trial: trial.arm):
        labels = [trial.label for trial in group]
        rows.append((arm, escape(drawn.get(arm, " ".join(dict.fromkeys(labels)))), str(len(labels))))
    title = f"{study.name}: {len(trials)} trials"
    return table("arm", "configurations", "trials", rows=rows, left=("arm", "configurations"), title=title)


def base_table(study: StudyConfig) -> Table:
    """What all trials of a study have in common: the base trial, with the meaning of every path."""
    meanings, columns = paths(), ("path", "value", "meaning")
    rows = []
    for path, value in flatten(study.base).items():
        shown = ",".join(map(str, value)) if isinstance(value, list) else json.dumps(value)
        rows.append((path, escape(shown), meanings[path]))
    return table(*columns, rows=rows, left=columns, title="base trial; change it with --set PATH=VALUE")


def duration(seconds: float) -> str:
    """A time span for people.

    Example:
        >>> [duration(s) for s in (8, 95, 5400, 200_000)]
        ['8 s', '2 min', '1 h 30 min', '2 d 7 h']
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
