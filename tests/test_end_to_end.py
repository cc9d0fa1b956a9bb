"""The program as people use it: a tiny random encoder and tiny data through Ray, both stages, killed and resumed.

What it may claim of the tiny encoder is nothing about accuracy: only that every number is there, and the same twice.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from study.store.results import StudyResults, load

ROOT = Path(__file__).resolve().parents[1]
ARMS = "baseline,kl=0.6,fpen=0.01,fpen=1,l2=0.001,noise=0.1"
PROVENANCE = ("version.", "run", "seconds", "peak_memory_mib", "device", "host", "commit", "dirty")


class Study:
    """One storage, and the commands typed at it."""

    def __init__(self, storage: Path, model: Path, data: Path) -> None:
        self.storage = storage
        settings = {
            "model.name": model,
            "data.source": data,
            "data.train_examples": 64,
            "data.stage2_examples": 16,
            "data.max_length": 32,
            "stages.0.epochs": 12,
            "stages.0.optimizer.learning_rate": 1e-3,
            "measure.trace_examples": 8,
        }
        self.options = ["pawsx", "--arms", ARMS, "--seeds", "1", "--languages", "de,zh"]
        for path, value in settings.items():
            self.options += ["--set", f"{path}={value}"]

    @property
    def folder(self) -> Path:
        return self.storage / "pawsx"

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "study", *words, "--storage", str(self.storage)],
            cwd=ROOT,
            env={**os.environ, "RAY_memory_monitor_refresh_ms": "0", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def type(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=300)
        assert all(line.startswith("note: ") for line in err.splitlines()), err
        return process.returncode, out

    def records(self) -> list[Path]:
        return list(self.folder.glob("trials/*.json"))

    def results(self) -> StudyResults:
        return load(str(self.folder))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_data: Path) -> tuple[Study, str]:
    """A study that ran without an interruption, and what it said."""
    study = Study(tmp_path_factory.mktemp("whole"), tiny_model, tiny_data)
    code, said = study.type("run", *study.options)
    assert code == 0
    return study, said


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_data: Path) -> tuple[Study, set[str]]:
    """The same study, whose driver was killed when two trials had ended, and those two."""
    study = Study(tmp_path_factory.mktemp("resumed"), tiny_model, tiny_data)
    driver = study.start("run", *study.options)
    deadline = time.monotonic() + 120
    while len(study.records()) < 2:
        assert time.monotonic() < deadline, driver.communicate()
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    finished = {path.stem for path in study.records()}
    assert 2 <= len(finished) < 6
    code, said = study.type("resume", "pawsx")
    assert code == 0
    assert said.splitlines()[1] == f"pawsx: {len(finished)} of 6 trials are finished"
    return study, finished


def test_it_ends_with_the_answer_the_account_and_the_page(whole: tuple[Study, str]) -> None:
    study, said = whole
    *lines, account, trials, page = said.splitlines()
    answers = [line for line in lines if line.startswith("H")]
    assert answers[0].startswith("H1 ")
    *lines, choosing = lines
    assert lines[-len(answers) :] == answers
    assert choosing.startswith("Choosing by flatness ")
    assert account == "6 trials planned: 6 complete"
    assert trials.startswith("trials: fisher-study show pawsx --storage ")
    assert page == f"report: {study.folder}/report/report.html"
    assert (study.folder / "report" / "report.html").is_file()


def test_every_trial_has_both_stages_and_its_provenance(whole: tuple[Study, str]) -> None:
    trials = whole[0].results().trials
    assert list(trials.label) == ["baseline", "kl=0.6", "fpen=0.01", "fpen=1", "l2=0.001", "noise=0.1"]
    assert set(trials.state) == {"complete"}
    for column in ("accuracy.en", "accuracy.de", "accuracy.zh", "fisher_trace", "fisher_trace_se", "fisher_trace.train",
                   "train_accuracy", "stage2.de.gain", "stage2.zh.gain", "steps", "seconds"):  # fmt: skip
        assert trials[column].notna().all(), column
    assert (trials["fisher_trace"] > 0).all()
    assert trials["fisher_trace"].nunique() == 6
    layers = [column for column in trials if column.startswith("fisher_trace_layers.")]
    assert trials[layers].sum(axis=1).to_numpy() == pytest.approx(trials["fisher_trace"].to_numpy())
    for column in ("host", "device", "version.torch", "version.ray", "model_fingerprint", "data_fingerprint"):
        assert trials[column].nunique() == 1
    curves = whole[0].results().curves
    assert set(curves.trial_id) == set(trials.trial_id)
    assert {"train_loss", "accuracy.en"} <= set(curves.name)
    assert set(curves.language[curves.stage == 1]) == {"de", "zh"}


def test_tensorboard_finds_the_run(whole: tuple[Study, str]) -> None:
    events = list((whole[0].folder / "runs" / "0001").glob("*/events.out.tfevents.*"))
    assert len(events) == 6
    assert all(b"stage0/en/train_loss" in event.read_bytes() for event in events)


def test_typed_again_it_answers_and_runs_nothing(whole: tuple[Study, str]) -> None:
    study, said = whole
    before = {path: path.stat().st_mtime_ns for path in study.records()}
    code, again = study.type("run", *study.options)
    assert code == 0
    assert again.splitlines()[-1] == said.splitlines()[-1]
    assert {path: path.stat().st_mtime_ns for path in study.records()} == before
    assert [path.name for path in (study.folder / "runs").iterdir()] == ["0001"]


def test_a_resume_does_not_run_finished_trials_again(resumed: tuple[Study, set[str]]) -> None:
    study, finished = resumed
    trials = study.results().trials
    assert set(trials.state) == {"complete"}
    assert set(trials.trial_id[trials.run == "0001"]) == finished
    assert set(trials.run) == {"0001", "0002"}
    assert not study.results().running


def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(
    whole: tuple[Study, str], resumed: tuple[Study, set[str]]
) -> None:
    one, other = whole[0].results(), resumed[0].results()
    measured = [column for column in one.trials if not column.startswith(PROVENANCE)]
    assert len(measured) > 100
    pd.testing.assert_frame_equal(one.trials[measured], other.trials[measured], check_exact=True)
    pd.testing.assert_frame_equal(one.curves, other.curves, check_exact=True)


def test_the_table_as_json_has_every_trial(whole: tuple[Study, str]) -> None:
    code, out = whole[0].type("show", "pawsx", "--json")
    assert code == 0
    rows = json.loads(out)
    assert [row["fisher_trace"] for row in rows] == list(whole[0].results().trials["fisher_trace"])
