"""What a study writes: study.json before the first trial, and one record for each trial that ended.

A study's folder holds ``study.json``, ``trials/TRIAL_ID.json``, ``draws/TRIAL_ID.json`` (what was drawn for each
started trial of an arm with slots), ``runs/NNNN`` (one Tune experiment per run or resume), ``report/`` and, while it
runs, the driver's lock and ``checkpoints/``; on request, also ``models/`` and ``predictions/TRIAL_ID.parquet``. Every
file is whole or absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from study.config import StudyConfig
from study.plan.planning import PlannedTrial
from trainables.config.dotted_paths import parse
from trainables.errors import InputError
from trainables.schema import Frozen, describe

SCHEMA_VERSION: Literal[1] = 1

State = Literal["complete", "not_reached", "diverged", "failed"]
TrialId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""Part of a file name: study.json may come from elsewhere, and must not lead out of the study's folder."""


class PlanRow(Frozen):
    """One planned trial."""

    trial_id: TrialId
    arm: str
    label: str
    seed: int
    config: dict[str, Any]
    slot: int | None = None


class StudyRecord(Frozen):
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
        """The planned trials in plan order."""
        return [PlannedTrial(r.trial_id, r.arm, r.label, r.seed, parse(r.config), r.slot) for r in self.plan]

    def extended(
        self, config: StudyConfig, trials: Sequence[PlannedTrial], fingerprints: Mapping[str, Mapping[str, str]]
    ) -> StudyRecord:
        """The record of the same study with a larger plan.

        Args:
            trials: The larger plan, which includes this one's rows.
            fingerprints: Those of all models and data that the larger plan names; known ones are kept.
        """
        found = {kind: {**more, **self.fingerprints.get(kind, {})} for kind, more in fingerprints.items()}
        changes = {"config": config.model_dump(mode="json"), "plan": plan_rows(trials), "fingerprints": found}
        return self.model_copy(update=changes)

    def study_config(self) -> StudyConfig:
        """The study's configuration; InputError when this version of the program cannot interpret it."""
        try:
            return StudyConfig.model_validate(self.config)
        except ValidationError as error:
            raise InputError(f"study {self.study} was written by another version: {describe(error)}") from None


class CurveRow(Frozen):
    """One point of a curve."""

    stage: int
    language: str
    step: int
    epoch: float
    name: str
    value: float
    x: float | None = None
    standard_error: float | None = None


class TrialError(Frozen):
    """Why a trial failed."""

    type: str
    message: str
    log_tail: str


class TrialRecord(Frozen):
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
    measurements: dict[str, float] = Field({})
    curves: list[CurveRow] = Field([])
    provenance: dict[str, Any] = Field({})
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
        fingerprints: ``models`` and ``data`` map names to fingerprints, ``revisions`` maps models to commit hashes.
        notes: What a person should know about its models and data, one sentence each.
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
    """The plan as study.json stores it."""
    return tuple(PlanRow(**vars(trial) | {"config": trial.config.model_dump(mode="json")}) for trial in trials)
