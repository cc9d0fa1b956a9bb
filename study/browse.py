"""Terminal tables: the studies of a storage, the trials of a study, one trial, a plan."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from study.account import STATES, account, trial_states
from study.config import StudyConfig
from study.lock import live_holder
from study.plan import draft
from study.progress import duration
from study.records import TrialRecord, read_study, read_trials, studies
from study.results import StudyResults
from study.storage import Store
from trainables.config import flatten, parse, paths
from trainables.errors import InputError
from trainables.measurements import DEFINITIONS


def _table(*columns: str, title: str | None = None, left: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", overflow="fold")
    return table


def studies_table(storage: Store) -> Table | str:
    """The studies of a storage.

    Args:
        storage: The storage.

    Returns:
        One row for each study: its account, its age, its best English accuracy; a sentence when there is none.
    """
    if not studies(storage):
        return f"{storage.location} holds no study yet; start one with 'fisher-study run'"
    table = _table("study", "planned", *STATES[:4], "running", "age", "best accuracy en", left=("study",))
    for name in studies(storage):
        folder = storage.child(name)
        try:
            study = read_study(folder)
        except InputError:
            table.add_row(name, *[""] * 5, "", "", "study.json is damaged")
            continue
        records, unreadable = read_trials(folder)
        counts = account(trial_states(study, records, unreadable).values())
        best = max((r.measurements.get("accuracy.en", -math.inf) for r in records.values()), default=-math.inf)
        age = datetime.now(UTC) - datetime.fromisoformat(study.created)
        table.add_row(
            name,
            *(str(counts[state]) for state in ("planned", *STATES[:4])),
            "yes" if live_holder(folder) else "",
            duration(age.total_seconds()),
            f"{best:.3f}" if math.isfinite(best) else "",
        )
    return table


def trials_table(results: StudyResults) -> Table:
    """The trials of a study with the figures that the paper is about.

    Args:
        results: The study's tables.

    Returns:
        One row for each planned trial.
    """
    table = _table(
        "trial",
        "label",
        "seed",
        "state",
        "train",
        "accuracy en",
        "other languages",
        "Tr(F)",
        "gain",
        "seconds",
        title=f"{results.study['study']}{' (running)' if results.running else ''}",
        left=("trial", "label", "state"),
    )
    for row in results.trials.to_dict("records"):
        others = [v for k, v in row.items() if re.fullmatch(r"accuracy\.(?!en$).+", str(k)) and pd.notna(v)]
        gains = [v for k, v in row.items() if re.fullmatch(r"stage2\..+\.gain", str(k)) and pd.notna(v)]
        trace = _number(row.get("fisher_trace"), ".4g")
        error = _number(row.get("fisher_trace_se"), ".2g")
        table.add_row(
            row["trial_id"],
            row["label"],
            str(row["seed"]),
            row["state"],
            _number(row.get("train_accuracy"), ".3f"),
            _number(row.get("accuracy.en"), ".3f"),
            _number(_mean(others), ".3f"),
            f"{trace} ± {error}" if error else trace,
            _number(_mean(gains), "+.3f"),
            _number(row.get("seconds"), ".0f"),
        )
    return table


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _number(value: Any, form: str) -> str:
    return "" if value is None or pd.isna(value) else format(value, form)


def find_trial(results: StudyResults, name: str) -> str:
    """The id of the trial that a person names.

    Args:
        results: The study's tables.
        name: An id, the beginning of one, or a label that only one trial has.

    Returns:
        The trial's id.

    Raises:
        InputError: No trial is called so, or several are.
    """
    trials = results.trials
    match = trials[trials.trial_id.str.startswith(name) | (trials.label == name)]
    if len(match) == 1:
        return str(match.trial_id.iloc[0])
    if match.empty:
        raise InputError(
            f"study {results.study['study']} has no trial {name!r}; name one by its id, the beginning of it, or its "
            f"label: 'fisher-study show {results.study['study']}' lists them"
        )
    ids = ", ".join(f"{row.trial_id} (seed {row.seed})" for row in match.itertuples())
    raise InputError(f"{name!r} may be any of {ids}; name one by its id")


def trial_tables(results: StudyResults, trial_id: str, record: TrialRecord | None) -> list[Table]:
    """One trial: what it changes in the base trial, what it found, where it ran, what went wrong.

    Args:
        results: The study's tables.
        trial_id: The trial.
        record: Its record, or None when it is unfinished.

    Returns:
        Tables, in the order of interest.
    """
    row = results.trials.set_index("trial_id").loc[trial_id]
    head = _table("", "", title=f"trial {trial_id}", left=("",))
    head.show_header = False
    for name in ("label", "seed", "state", "reason"):
        head.add_row(name, "" if pd.isna(row[name]) else escape(str(row[name])))
    tables = [head]
    planned = next(p for p in results.study["plan"] if p["trial_id"] == trial_id)
    base, own = (flatten(parse(config)) for config in (results.study["config"]["base"], planned["config"]))
    changes = _table("configuration", "base", "this trial", left=("configuration",))
    for path, value in own.items():
        if value != base[path]:
            changes.add_row(path, escape(json.dumps(base[path])), escape(json.dumps(value)))
    tables.append(changes)
    if record is None:
        return tables
    found = _table("measurement", "value", "definition", left=("measurement", "definition"))
    for name, value in record.measurements.items():
        found.add_row(name, f"{value:.6g}", definition(name))
    where = _table("provenance", "value", left=("provenance", "value"))
    for name, value in record.provenance.items():
        where.add_row(name, escape(str(value)))
    tables += [found, where]
    if record.error is not None:
        error = _table("error", left=("error",))
        error.add_row(escape(record.error.log_tail))
        tables.append(error)
    return tables


def definition(name: str) -> str:
    """What a measurement means and in which unit.

    Args:
        name: Its column.

    Returns:
        The definition, empty for an unknown name.

    Example:
        >>> definition("accuracy.de")
        'validation accuracy after stage 0 (fraction)'
    """
    for template, text in DEFINITIONS.items():
        if re.fullmatch(re.escape(template).replace("LANG", "[^.]+").replace("NAME", ".+"), name):
            return text
    return ""


def trials_json(results: StudyResults) -> str:
    """The trials table as JSON, every number exact.

    Args:
        results: The study's tables.

    Returns:
        A list of rows; what was not measured is null.
    """
    rows = [{str(k): _plain(v) for k, v in row.items()} for row in results.trials.to_dict("records")]
    return json.dumps(rows, indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    return None if value is None or pd.isna(value) else value


def plan_tables(study: StudyConfig) -> list[Table]:
    """What a study would run.

    Args:
        study: The study.

    Returns:
        Its arms with their values, and the base trial with the meaning of every path.
    """
    rows = draft(study)
    arms = _table(
        "arm", "configurations", "trials", title=f"{study.name}: {len(rows)} trials", left=("arm", "configurations")
    )
    for arm, group in groupby(rows, key=lambda row: row.arm):
        trials = list(group)
        arms.add_row(arm, " ".join(dict.fromkeys(trial.label for trial in trials)), str(len(trials)))
    title = "base trial; change it with --set PATH=VALUE"
    base = _table("path", "value", "meaning", title=title, left=("path", "value", "meaning"))
    meanings: Mapping[str, str] = paths()
    for path, value in flatten(study.base).items():
        base.add_row(path, ",".join(value) if isinstance(value, list) else json.dumps(value), meanings[path])
    return [arms, base]
