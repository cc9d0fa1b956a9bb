"""A study folder as tables: one row for each planned trial, one row for each point of a curve.

It reads study.json, records, draws and the lock, from any file system that pyarrow supports, even as the study runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from study.store.account import account, trial_states
from study.store.lock import is_running
from study.store.record_files import read_study, read_trials
from study.store.storage import Store, open_store
from study.store.working_files import read_draws
from trainables.config import ENGLISH
from trainables.config.dotted_paths import flatten, parse, paths
from trainables.measuring.measurements import DEFINITIONS, defined_as

IDENTITY = ["study", "trial_id", "arm", "label", "seed", "state", "reason"]
PROVENANCE = ["run", "seconds", "steps", "peak_memory_mib", "device", "host"]
CURVES = ["trial_id", "stage", "language", "step", "epoch", "name", "x", "value", "standard_error"]


@dataclass(frozen=True)
class StudyResults:
    """What a study found so far.

    Attributes:
        study: Content of study.json.
        trials: One row for each planned trial, in plan order; what was not measured is missing.
        curves: One row for each point of a curve.
        account: Number of planned trials, and of those in each state; the states sum to ``planned``.
        unreadable: File name of each record that cannot be used, with the reason.
        configs: Trial id to its configuration as it ran; else as it was drawn; else as it was planned.
    """

    study: dict[str, Any]
    trials: pd.DataFrame
    curves: pd.DataFrame
    account: dict[str, int]
    unreadable: list[tuple[str, str]]
    running: bool
    configs: dict[str, dict[str, Any]]


def load(folder: str) -> StudyResults:
    """Read a study from its folder, a local path or a URI; InputError when the folder is no study."""
    return load_store(open_store(folder))


def load_store(folder: Store) -> StudyResults:
    """Read a study from an opened folder; InputError when the folder is no study."""
    study = read_study(folder)
    records, damaged = read_trials(folder)
    planned = {row.trial_id for row in study.plan}
    unreadable = [(f"{trial_id}.json", reason) for trial_id, reason in damaged.items()]
    unreadable += [(f"{trial_id}.json", "not in the plan") for trial_id in records if trial_id not in planned]
    states = trial_states(study, records, damaged)
    searched: dict[str, list[str]] = {}  # only arms whose configurations are drawn one after another
    draws: dict[str, dict[str, Any]] = {}
    if any(row.slot is not None for row in study.plan):
        searched = {arm.name: arm.searched for arm in study.study_config().arms if arm.slots is not None}
        draws = read_draws(folder)
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    configs: dict[str, dict[str, Any]] = {}
    for row in study.plan:
        record = records.get(row.trial_id)
        configs[row.trial_id] = draws.get(row.trial_id, row.config) if record is None else record.config
        undrawn = [] if record is not None or row.trial_id in draws else searched.get(row.arm, [])
        damage = damaged.get(row.trial_id)
        found: dict[str, Any] = {"study": study.study, **row.model_dump(include=set(IDENTITY))}
        found |= {"state": states[row.trial_id], "reason": damage and f"its record cannot be read: {damage}"}
        if record is not None:
            found |= {"reason": record.reason} | record.measurements | record.provenance
        rows.append(found | _configuration(configs[row.trial_id], undrawn))
        curves += [{"trial_id": row.trial_id, **point.model_dump()} for point in (record.curves if record else ())]
    return StudyResults(
        study=study.model_dump(mode="json"),
        trials=pd.DataFrame(rows, columns=_columns(rows)),
        curves=pd.DataFrame(curves, columns=CURVES),
        account=account(states.values()),
        unreadable=unreadable,
        running=is_running(folder),
        configs=configs,
    )


def _configuration(config: dict[str, Any], undrawn: list[str]) -> dict[str, Any]:
    """The columns ``config.PATH``; what a slot searches is missing until it is drawn."""
    values = flatten(parse(config)) | dict.fromkeys(undrawn)
    names = _configuration_columns()
    return {names[path]: ",".join(map(str, v)) if isinstance(v, list) else v for path, v in values.items()}


@cache
def _configuration_columns() -> dict[str, str]:
    """Path to column name. Thousands of rows share the names, so each is made, and hashed, only once."""
    return {path: f"config.{path}" for path in paths()}


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    """Identity, configuration, measurements in the order of their definitions, provenance."""
    found = list(dict.fromkeys(name for row in rows for name in row))
    config = [name for name in found if name.startswith("config.")]
    order = {name: number for number, name in enumerate(DEFINITIONS)}
    rank = {name: order[defined] for name in found if (defined := defined_as(name)) is not None}
    measured = sorted(rank, key=lambda name: (rank[name], not name.endswith(f".{ENGLISH}")))
    taken = {*IDENTITY, *config, *measured, *PROVENANCE}
    return [*IDENTITY, *config, *measured, *PROVENANCE, *(name for name in found if name not in taken)]


def is_missing(value: Any) -> bool:
    """Whether a cell of the trials table is empty: None, or the NaN with which pandas marks a missing value."""
    return value is None or value != value
