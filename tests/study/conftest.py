"""Study folders without training: a small study, its plan by made-up fingerprints, and records with made-up numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from study.config import Arm, StudyConfig
from study.plan.planning import PlannedTrial, plan
from study.search_space import Grid
from study.store.record_files import write_study, write_trial
from study.store.records import TrialRecord, new_study
from study.store.storage import Store, open_store
from trainables.config import TrialConfig

KL = "stages.0.consistency.weight"


@pytest.fixture
def small_study() -> StudyConfig:
    """A baseline and two consistency weights, two seeds: six trials."""
    return StudyConfig(
        name="small", seeds=2, arms=(Arm(name="baseline"), Arm(name="kl", search={KL: Grid(values=(0.0, 0.5))}))
    )


def fingerprints(config: TrialConfig) -> tuple[str, str]:
    return f"model {config.model.name}", f"data {config.data.name}"


def record_of(trial: PlannedTrial, study: str = "small", **changes: object) -> TrialRecord:
    fields: dict[str, object] = {
        "study": study,
        "trial_id": trial.trial_id,
        "arm": trial.arm,
        "label": trial.label,
        "seed": trial.seed,
        "state": "complete",
        "config": trial.config.model_dump(mode="json"),
        "measurements": {
            "fisher_trace": 0.1 + 0.2,
            "fisher_trace_se": 0.01,
            "train_accuracy": 1.0,
            "accuracy.de": 0.5,
            "accuracy.en": 0.7,
            "stage2.de.gain": 0.1,
        },
        "curves": [{"stage": 0, "language": "en", "step": 3, "epoch": 1.0, "name": "train_loss", "value": 0.1 + 0.2}],
        "provenance": {"run": "0001", "seconds": 2.5, "steps": 3, "host": "here", "version.torch": "2.13.0"},
    }
    return TrialRecord.model_validate(fields | changes)


MakeStudy = Callable[..., tuple[Store, list[PlannedTrial]]]


@pytest.fixture
def make_study(tmp_path: Path, small_study: StudyConfig) -> MakeStudy:
    """Writes a study's folder with records of its first trials."""

    def make(records: int = 0, study: StudyConfig = small_study) -> tuple[Store, list[PlannedTrial]]:
        folder = open_store(str(tmp_path / "studies")).child(study.name)
        trials = plan(study, fingerprints)
        versions = {
            "version.code": "c0de",
            "version.torch": "2",
            "version.transformers": "5",
            "version.tokenizers": "0",
        }
        write_study(folder, new_study(study, trials, {"models": {}, "data": {}}, versions))
        for trial in trials[:records]:
            write_trial(folder, record_of(trial, study.name))
        return folder, trials

    return make


@pytest.fixture
def make_record() -> Callable[..., TrialRecord]:
    """A record of a planned trial."""
    return record_of
