"""The adapter with stand-ins for Tune and for the trial itself."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import trainables.trial
from trainables import provenance, tune_trainable
from trainables.config import TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.errors import Diverged
from trainables.measuring.measurements import CurvePoint, Measurements
from trainables.software import software
from trainables.tune_trainable import OUTCOME, PeakMemory, run_trial

ASSETS: Any = SimpleNamespace(
    fingerprints=lambda config: ("weights", "rows"),
    model=lambda config: SimpleNamespace(revision="c0ffee", hidden_size=8),
)
CONFIG = {"trial_id": "abc", "trial": TrialConfig(seed=3).model_dump(mode="json")}


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    resources = SimpleNamespace(required_resources={"CPU": 1.0})
    context = SimpleNamespace(get_trial_resources=lambda: resources)
    monkeypatch.setattr(tune_trainable, "tune", SimpleNamespace(report=sent.append, get_context=lambda: context))
    return sent


def trial(monkeypatch: pytest.MonkeyPatch, found: Measurements | Exception, *points: CurvePoint) -> None:
    def fine_tune(config: TrialConfig, assets: Any, report: Any, checkpoint: Any, *savers: Any) -> Measurements:
        assert config.seed == 3
        for point in points:
            report(point)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(trainables.trial, "fine_tune", fine_tune)


LOSS = CurvePoint(stage=0, language="en", step=4, epoch=1.0, name="train_loss", value=0.1 + 0.2)


def test_a_complete_trial_reports_everything_once(
    reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"accuracy.en": 0.1 + 0.2, "fisher_trace": 1 / 3}
    trial(monkeypatch, Measurements(values, [LOSS], steps=12), LOSS)
    run_trial(CONFIG, ASSETS)
    interim, last = reports
    assert interim == {"stage0/en/train_loss": 0.1 + 0.2, "epoch": 1.0}
    outcome = json.loads(last[OUTCOME])
    assert {name: last[name] for name in values} == values
    assert outcome["measurements"] == values
    assert (outcome["state"], outcome["reason"]) == ("complete", None)
    assert outcome["curves"] == [LOSS.as_dict()]
    provenance = outcome["provenance"]
    assert provenance["steps"] == 12
    assert provenance["seconds"] >= 0
    assert (provenance["model_fingerprint"], provenance["data_fingerprint"]) == ("weights", "rows")
    assert provenance["model_revision"] == "c0ffee"
    assert provenance["device"] == ("cpu" if not torch.cuda.is_available() else torch.cuda.get_device_name())
    assert provenance["version.torch"] in (
        torch.__version__,
        torch.__version__.partition("+")[0],
    )  # PyPI drops the build
    for name in ("fisher-study", "python", "ray", "transformers", "tokenizers", "optuna", "code"):
        assert f"version.{name}" in provenance


def test_a_diverged_trial_keeps_its_finite_curve(
    reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = CurvePoint(stage=0, language="en", step=8, epoch=2.0, name="train_loss", value=math.nan)
    trial(monkeypatch, Diverged("train_loss is nan in step 7"), LOSS, bad)
    run_trial(CONFIG, ASSETS)
    assert len(reports) == 2
    outcome = json.loads(reports[-1][OUTCOME])
    assert (outcome["state"], outcome["reason"]) == ("diverged", "train_loss is nan in step 7")
    assert outcome["measurements"] == {}
    assert outcome["curves"] == [LOSS.as_dict()]
    assert "steps" not in outcome["provenance"]  # unknown, and not 0


@pytest.mark.parametrize(("nll", "state"), [(0.25, "not_reached"), (0.2, "not_reached"), (0.19, "complete")])
def test_a_trial_that_did_not_reach_its_loss_keeps_everything_in_a_state_of_its_own(
    reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, nll: float, state: str
) -> None:
    values = {"accuracy.en": 0.5, "until.train_nll": nll}
    trial(monkeypatch, Measurements(values, [LOSS], steps=12), LOSS)
    config = with_values(
        TrialConfig(seed=3), {"stages.0.until.train_nll": 0.2, "stages.0.until.max_epochs": 7}
    ).model_dump(mode="json")
    run_trial(CONFIG | {"trial": config}, ASSETS)
    outcome = json.loads(reports[-1][OUTCOME])
    assert (outcome["state"], outcome["measurements"], outcome["provenance"]["steps"]) == (state, values, 12)
    assert outcome["curves"] == [LOSS.as_dict()]
    why = f"train_nll is {nll:g} after 7 epochs, not below 0.2"
    assert outcome["reason"] == (why if state == "not_reached" else None)


class Folder:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def read(self, name: str) -> bytes:
        if name not in self.kept:
            raise FileNotFoundError(name)
        return self.kept[name]

    def write(self, name: str, content: bytes) -> None:
        self.kept[name] = content


def test_a_trial_goes_on_from_its_checkpoint_while_nothing_changed(
    reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder()
    places: list[int] = []

    def fine_tune(config: TrialConfig, assets: Any, report: Any, checkpoint: Any, *savers: Any) -> Measurements:
        standing = checkpoint.load(torch.device("cpu"))
        places.append(standing.steps)
        standing.steps += 1
        checkpoint.save(standing)
        return Measurements({})

    monkeypatch.setattr(trainables.trial, "fine_tune", fine_tune)
    for _ in range(2):
        run_trial(CONFIG, ASSETS, folder)
    assert json.loads(reports[-1][OUTCOME])["provenance"]["continued_from"] == "the start"
    other = SimpleNamespace(**{**vars(ASSETS), "fingerprints": lambda config: ("other", "rows")})
    run_trial(CONFIG, other, folder)
    assert "another configuration" in json.loads(reports[-1][OUTCOME])["provenance"]["checkpoint"]
    monkeypatch.setattr(provenance, "software", lambda: software() | {"version.code": "new"})
    run_trial(CONFIG, other, folder)
    changed = {**CONFIG, "trial": TrialConfig(seed=4).model_dump(mode="json")}
    run_trial(changed, other, folder)
    monkeypatch.setattr(provenance, "training_dtype", lambda *device_and_model: torch.bfloat16)
    run_trial(changed, other, folder)
    assert places == [0, 1, 0, 0, 0, 0]
    assert list(folder.kept) == ["abc.safetensors"]


def test_a_trial_that_raises_reports_no_outcome(reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    trial(monkeypatch, RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        run_trial(CONFIG, ASSETS)
    assert reports == []


def test_a_trial_that_raises_carries_the_end_of_its_log(
    reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fine_tune(*rest: Any) -> Measurements:
        os.write(2, b"what a library said\n")
        raise RuntimeError("broken")

    monkeypatch.setattr(trainables.trial, "fine_tune", fine_tune)
    with pytest.raises(RuntimeError, match="broken") as raised:
        run_trial(CONFIG, ASSETS)
    assert raised.value.__notes__ == ["The end of its log:\nwhat a library said"]


@pytest.mark.parametrize(("cpus", "threads"), [(2.0, 2), (0.25, 1)])
def test_threads_are_the_cpus_of_the_trial(
    reports: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, cpus: float, threads: int
) -> None:
    used: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    tune_trainable.tune.get_context().get_trial_resources().required_resources["CPU"] = cpus
    trial(monkeypatch, Measurements({}))
    run_trial(CONFIG, ASSETS)
    assert used == [threads]
    assert json.loads(reports[-1][OUTCOME])["provenance"]["cpus"] == cpus


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures the process, not the GPU")
def test_peak_memory_is_that_of_one_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    big = PeakMemory()
    block = bytearray(300 * 2**20)
    del block
    first = big.mib()
    second = PeakMemory().mib()
    if first is None or second is None:
        pytest.skip("this system does not let a process reset its peak")
    assert first - second > 250

    def refuse(self: Path, text: str) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    assert PeakMemory().mib() is None
