"""What a study writes: study.json before the first trial, and one record for each trial that ended.

A study's folder holds ``study.json``, ``trials/TRIAL_ID.json``, ``draws/TRIAL_ID.json`` (what was drawn for each trial
of an arm with slots that started), ``runs/NNNN`` (one Tune experiment a run or resume), ``report/`` and, while it
runs, the driver's lock and ``checkpoints/``; where asked for, ``models/`` and ``predictions/TRIAL_ID.parquet``. Every
file is whole or absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from study.config import NAME, StudyConfig, describe
from study.plan.planning import PlannedTrial
from study.store.commands import start_command
from study.store.storage import STUDY_FILE, Store
from study.store.storage_error import cause
from trainables.config.dotted_paths import parse
from trainables.errors import InputError

REPORT_PAGE = "report/report.html"
SCHEMA_VERSION: Literal[1] = 1

State = Literal["complete", "not_reached", "diverged", "failed"]
TrialId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""A file's name: study.json may come from elsewhere, and must not lead out of the study's folder."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Recorded(BaseModel):
    """The base of what is read back from a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PlanRow(Recorded):
    """One planned trial."""

    trial_id: TrialId
    arm: str
    label: str
    seed: int
    config: dict[str, Any]
    slot: int | None = None


class StudyRecord(Recorded):
    """The content of study.json."""

    schema_version: Literal[1] = SCHEMA_VERSION
    study: str
    created: str
    description: str
    config: dict[str, Any]
    plan: tuple[PlanRow, ...]
    fingerprints: dict[str, dict[str, str]]
    versions: dict[str, str | bool | None]
    notes: tuple[str, ...] = ()

    def planned(self) -> list[PlannedTrial]:
        """The plan.

        Returns:
            The planned trials in plan order.
        """
        return [PlannedTrial(r.trial_id, r.arm, r.label, r.seed, parse(r.config), r.slot) for r in self.plan]

    def extended(
        self, config: StudyConfig, trials: Sequence[PlannedTrial], fingerprints: Mapping[str, Mapping[str, str]]
    ) -> StudyRecord:
        """The record of the same study with a larger plan.

        Args:
            config: The larger study.
            trials: Its plan, of which this one's rows are a part.
            fingerprints: Of all models and data that it names; those known before stay.

        Returns:
            The new content of study.json.
        """
        found = {kind: {**more, **self.fingerprints.get(kind, {})} for kind, more in fingerprints.items()}
        changes = {"config": config.model_dump(mode="json"), "plan": plan_rows(trials), "fingerprints": found}
        return self.model_copy(update=changes)

    def study_config(self) -> StudyConfig:
        """The study's configuration.

        Returns:
            It, with its description.

        Raises:
            InputError: This version of the program does not know what the file holds.
        """
        try:
            return StudyConfig.model_validate(self.config)
        except ValidationError as error:
            raise InputError(f"study {self.study} was written by another version: {describe(error)}") from None


class CurveRow(Recorded):
    """One point of a curve."""

    stage: int
    language: str
    step: int
    epoch: Finite
    name: str
    value: Finite
    x: Finite | None = None
    standard_error: Finite | None = None


class TrialError(Recorded):
    """Why a trial failed."""

    type: str
    message: str
    log_tail: str


class TrialRecord(Recorded):
    """The content of trials/TRIAL_ID.json."""

    schema_version: Literal[1] = SCHEMA_VERSION
    study: str
    trial_id: TrialId
    arm: str
    label: str
    seed: int
    state: State
    reason: str | None = None
    config: dict[str, Any]
    measurements: dict[str, Finite] = {}
    curves: list[CurveRow] = []
    provenance: dict[str, Any] = {}
    error: TrialError | None = None


def new_study(
    config: StudyConfig,
    trials: Sequence[PlannedTrial],
    fingerprints: Mapping[str, Mapping[str, str]],
    versions: Mapping[str, str | bool | None],
    notes: Sequence[str] = (),
) -> StudyRecord:
    """The record of a study that starts now.

    Args:
        config: Its configuration.
        trials: Its plan.
        fingerprints: ``models`` and ``data``, each name to fingerprint, and ``revisions``, model to commit hash.
        versions: Versions of the software.
        notes: What a person should know of its models and data, a sentence each.

    Returns:
        The content of study.json.
    """
    return StudyRecord(
        study=config.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        description=config.description,
        config=config.model_dump(mode="json"),
        plan=plan_rows(trials),
        fingerprints={kind: dict(found) for kind, found in fingerprints.items()},
        versions=dict(versions),
        notes=tuple(notes),
    )


def plan_rows(trials: Sequence[PlannedTrial]) -> tuple[PlanRow, ...]:
    """The plan as study.json holds it.

    Args:
        trials: The planned trials.

    Returns:
        One row for each.
    """
    return tuple(
        PlanRow(
            trial_id=t.trial_id,
            arm=t.arm,
            label=t.label,
            seed=t.seed,
            config=t.config.model_dump(mode="json"),
            slot=t.slot,
        )
        for t in trials
    )


def write_study(folder: Store, record: StudyRecord) -> None:
    """Write study.json.

    Args:
        folder: The study's folder.
        record: Its content.
    """
    folder.write(STUDY_FILE, (json.dumps(record.model_dump(mode="json"), indent=1) + "\n").encode())


def read_study(folder: Store) -> StudyRecord:
    """Read study.json.

    Args:
        folder: The study's folder.

    Returns:
        Its content.

    Raises:
        InputError: There is none, or it is damaged.
    """
    try:
        content = folder.read(STUDY_FILE)
        return StudyRecord.model_validate_json(content)
    except FileNotFoundError:
        raise InputError(f"{folder.location} is no study: it has no {STUDY_FILE}") from None
    except ValidationError as error:
        _refuse_newer(content, folder.place(STUDY_FILE))
        raise InputError(
            f"{folder.place(STUDY_FILE)} is damaged ({describe(error)}); restore it from a copy, "
            f"or delete the folder and run the study again"
        ) from None


def _refuse_newer(content: bytes, place: str) -> None:
    """What a later version of the program wrote is not damaged, and must not be written over."""
    try:
        version = json.loads(content)["schema_version"]
    except (ValueError, TypeError, KeyError):
        return
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InputError(f"{place} was written by a later version of fisher-study: update this one")


def write_trial(folder: Store, record: TrialRecord) -> None:
    """Write the record of a trial that ended.

    Args:
        folder: The study's folder.
        record: The record; a number that is not finite is refused by its type.
    """
    content = json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"
    folder.child("trials").write(f"{record.trial_id}.json", content.encode())


def read_trials(folder: Store, strict: bool = False) -> tuple[dict[str, TrialRecord], dict[str, str]]:
    """Read the records of a study.

    Args:
        folder: The study's folder.
        strict: Refuse to go on when a local storage, too, does not give one of them, which may be as good as any.

    Returns:
        Trial id to record, and trial id to the reason why its record cannot be read.

    Raises:
        InputError: A later version of the program wrote one of them.
        OSError: An object storage cannot be read, or, when strict, one of them.
    """
    records: dict[str, TrialRecord] = {}
    unreadable: dict[str, str] = {}
    trials = folder.child("trials")
    for name in trials.names():
        if name.startswith(".") or not name.endswith(".json"):
            continue  # a record that was being written when its driver died
        trial_id = name.removesuffix(".json")
        content = b""
        try:
            content = trials.read(name)
            record = TrialRecord.model_validate_json(content)
            parse(record.config)
        except OSError as error:
            if strict or not folder.is_local:  # an object storage that is away would be asked for every record
                raise
            unreadable[trial_id] = cause(error)
        except ValidationError as error:
            _refuse_newer(content, trials.place(name))
            unreadable[trial_id] = describe(error)
        except InputError as error:
            unreadable[trial_id] = str(error)
        else:
            records[trial_id] = record
    return records, unreadable


def next_run(folder: Store) -> str:
    """The name of the next Tune experiment: ``0001``, ``0002``, ...

    Args:
        folder: The study's folder.

    Returns:
        The name.
    """
    numbers = [int(name) for name in folder.child("runs").names() if name.isdigit()]
    return f"{max(numbers, default=0) + 1:04d}"


def study_folder(storage: Store, name: str) -> Store:
    """The folder of a study that must exist.

    Args:
        storage: The storage.
        name: The study's name.

    Returns:
        The folder.

    Raises:
        InputError: The storage holds no such study; the message lists those that it holds.
    """
    folder = storage.child(name)
    if not re.fullmatch(NAME, name) or not folder.exists(STUDY_FILE):
        known = studies(storage)
        none = f"it holds no study yet; start one with: {start_command(storage)}"
        held = f"it holds {', '.join(known)}" if known else none
        raise InputError(f"{storage.location} holds no study {name!r}; {held}")
    return folder


def studies(storage: Store) -> list[str]:
    """Names of the studies in a storage, sorted.

    Args:
        storage: The storage.

    Returns:
        The names; none when the storage does not exist. A local folder that this user may not read is passed over.

    Raises:
        OSError: The storage cannot be read.
    """
    found = []
    for name in storage.names():
        try:
            if storage.child(name).exists(STUDY_FILE):
                found.append(name)
        except OSError:
            if not storage.is_local:
                raise
    return found
