"""One run of a study: Ray, the lock, study.json, the draws of its joint searches, the sweep, and tidying up."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from study.browse.telling import say
from study.config import StudyConfig
from study.plan.planning import PlannedTrial
from study.store.folders import next_run
from study.store.lock import DriverLock
from study.store.record_files import read_study, read_trials, write_study, write_trial
from study.store.records import StudyRecord, TrialRecord
from study.store.storage import STUDY_FILE, Store
from study.store.working_files import CHECKPOINTS, read_draws, tidy_checkpoints, write_draw
from study.sweep.answer import trace_advice
from study.sweep.interruption import Interruption
from study.sweep.progress import SweepProgress
from study.sweep.resources import Resources
from trainables.config.dotted_paths import parse
from trainables.errors import InputError

if TYPE_CHECKING:
    from study.sweep.optuna_search import JointSearch
    from trainables.assets import Assets


@dataclass(frozen=True)
class Work:
    """What one run does.

    Attributes:
        planned: The plan of the study.
        pending: The planned trials to run.
        kept: Trial id to record, for the other trials.
        found: What study.json said when this run was planned; None if there was none.
        records: Trial id to record, as they were then.
        record: What to write to study.json before the first trial; None if it is already there.
    """

    folder: Store
    study: StudyConfig
    planned: Sequence[PlannedTrial]
    pending: Sequence[PlannedTrial]
    kept: Mapping[str, TrialRecord]
    found: StudyRecord | None = None
    records: Mapping[str, TrialRecord] = field(default_factory=dict)
    record: StudyRecord | None = None


def drive(work: Work, assets: Assets, resources: Resources, console: Console, interruption: Interruption) -> bool:
    """Hold the study's lock, write study.json if it is new, and run the pending trials.

    Returns:
        Whether this run wrote a record for every pending trial.

    Raises:
        InputError: The storage cannot be written, or another driver runs the study or changed it after it was read.
        KeyboardInterrupt: A signal came before the sweep began.
    """
    from study.sweep.cluster import session
    from study.sweep.tune import sweep

    folder, pending = work.folder, work.pending
    written: set[str] = set()
    needless: set[str] = set()

    def write(record: TrialRecord) -> None:
        if not folder.exists(STUDY_FILE):
            raise FileNotFoundError(f"{folder.place(STUDY_FILE)} is gone")
        write_trial(folder, record)
        written.add(record.trial_id)
        if record.state != "failed":  # a failed trial may be tried again, and then resumes there
            needless.add(record.trial_id)
            tidy()

    def tidy() -> None:
        for trial_id in sorted(needless):
            with suppress(OSError):  # it is retried when the next trial ends
                folder.child(CHECKPOINTS).delete(f"{trial_id}.safetensors")
                needless.discard(trial_id)

    console.print("starting Ray")
    with session(resources) as decided:
        if decided.nodes > 1 and folder.is_local:
            say(
                console,
                f"note: {decided.nodes} nodes and a local storage: a node that does not see {folder.location} keeps no "
                f"checkpoint and saves no model; measurements need neither",
            )
        lock = DriverLock(folder, on_loss=lambda: interruption.request("another driver took the study over"))
        try:
            lock.acquire()
            _refuse_news(work)
            if work.record is not None:
                write_study(folder, work.record)
            name = next_run(folder)
        except (KeyboardInterrupt, InputError):
            _undo(folder, lock)
            raise
        try:
            searches = _searches(work, int(name))
            done = len(work.planned) - len(pending)
            with SweepProgress(console, pending, done, advise=trace_advice) as progress:
                sweep(pending, assets, decided, folder, name, write, progress, interruption, searches=searches)
        finally:
            tidy()
            tidy_checkpoints(folder)
            lock.release()
    return len(written) == len(pending)


def _refuse_news(work: Work) -> None:
    """Refuse to continue if another driver ran the study while this one spent time reading model and data."""
    found = read_study(work.folder) if work.folder.exists(STUDY_FILE) else None
    records, _ = read_trials(work.folder, strict=True)
    if found != work.found or records != work.records:
        raise InputError(f"another run changed {work.folder.location} in the meantime; type the command again")


def _undo(folder: Store, lock: DriverLock) -> None:
    """Leave an existing study as it was before the run, and nothing of a new one."""
    lock.release()
    with suppress(OSError):
        for name in folder.names():
            if name.startswith(".") and name.endswith(f".{os.getpid()}.part"):
                folder.delete(name)
        if not folder.names():
            folder.delete()


def _searches(work: Work, run: int) -> dict[str, JointSearch]:
    """The searches for the arms with slots that have trials to run; a grid needs no Optuna."""
    arms = [arm for arm in work.study.arms if arm.slots and any(row.arm == arm.name for row in work.pending)]
    if not arms:
        return {}
    from study.sweep.optuna_search import JointSearch

    return {
        arm.name: JointSearch(
            arm,
            work.study.base,
            [row for row in work.planned if row.arm == arm.name],
            work.kept,
            run,
            partial(write_draw, work.folder),
            {trial_id: parse(config) for trial_id, config in read_draws(work.folder).items()},
        )
        for arm in arms
    }
