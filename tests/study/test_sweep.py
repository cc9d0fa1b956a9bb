"""The sweep on a real local Ray, with trials that take no time and fail in every way."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from study.interruption import Interruption
from study.plan import PlannedTrial
from study.progress import SweepProgress
from study.records import TrialRecord
from study.resources import Resources, prepare_ray
from study.storage import open_store
from trainables.config import TrialConfig
from trainables.errors import InputError

prepare_ray("local")

from study.sweep import session, sweep  # noqa: E402 (Ray reads the environment when it is imported)


@pytest.fixture(scope="module")
def resources() -> Iterator[Resources]:
    os.environ.update(RAY_memory_monitor_refresh_ms="0")  # a busy machine is not to end a trial
    with session(Resources(max_failures=1)) as decided:
        yield decided


def planned(*labels: str) -> list[PlannedTrial]:
    return [PlannedTrial(f"id-{label}", "arm", label, i, TrialConfig(seed=i)) for i, label in enumerate(labels)]


def run_all(
    labels: list[str], resources: Resources, folder: Path, assets: Any = None, stop_after: int | None = None
) -> tuple[dict[str, TrialRecord], str, Interruption]:
    def trainable(config: dict[str, Any], assets: Any) -> None:
        import json
        import os
        import time
        from pathlib import Path

        from ray import tune

        name = config["trial_id"].removeprefix("id-")
        seed = config["trial"]["seed"]
        tune.report({"stage0/en/train_loss": 1.0})
        marker = Path(assets["folder"]) / name
        first_try = not marker.exists()
        marker.touch()
        if name == "raises":
            raise ValueError("first line\nsecond line")
        if name == "raises-once" and first_try:
            raise ValueError("once")
        if name == "dies":
            os._exit(1)
        if name == "silent":
            return
        if name.startswith("slow"):
            time.sleep(60)
        measurements = {"accuracy.en": 0.1 + 0.2, "nll.en": float(assets["array"].sum()), "nll.de": seed}
        state = "diverged" if name == "diverges" else "complete"
        outcome = {
            "state": state,
            "reason": None,
            "measurements": measurements,
            "curves": [],
            "provenance": {"pid": os.getpid()},
        }
        tune.report({**measurements, "outcome": json.dumps(outcome)})

    trials = planned(*labels)
    records: dict[str, TrialRecord] = {}
    console = Console(file=io.StringIO(), width=200)
    with Interruption() as interruption, SweepProgress(console, trials, done=0) as progress:

        def write(record: TrialRecord) -> None:
            assert record.trial_id not in records
            records[record.trial_id] = record
            if len(records) == stop_after:
                threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()

        assets = {"folder": str(folder), "array": np.arange(1000)}
        sweep(
            trials,
            assets,
            resources,
            open_store(str(folder / "study")),
            "0001",
            write,
            progress,
            interruption,
            trainable,
        )
    output = console.file
    assert isinstance(output, io.StringIO)
    return {record.label: record for record in records.values()}, output.getvalue(), interruption


def test_a_cluster_that_is_not_there_is_said_at_once() -> None:
    message = r"no Ray cluster answers at 127\.0\.0\.1:1 \(.*\); start one with 'ray start'"
    with pytest.raises(InputError, match=message), session(Resources(address="127.0.0.1:1")):
        raise AssertionError("not reached")


def test_what_ray_says_of_a_cluster_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nMore of it.")

    monkeypatch.setattr("ray.init", init)
    message = r"cannot use the Ray cluster at auto: Could not find any running Ray instance\.$"
    with pytest.raises(InputError, match=message), session(Resources(address="auto")):
        raise AssertionError("not reached")


def test_every_end_of_a_trial(resources: Resources, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    labels = ["a", "raises", "raises-once", "diverges", "dies", "silent", "b"]
    records, shown, interruption = run_all(labels, resources, tmp_path)
    assert interruption.reason is None
    assert {label: record.state for label, record in records.items()} == {
        "a": "complete", "raises": "failed", "raises-once": "complete", "diverges": "diverged", "dies": "failed",
        "b": "complete",
    }  # fmt: skip
    for label in ("a", "b", "raises-once", "diverges"):
        record = records[label]
        assert record.measurements == {"accuracy.en": 0.1 + 0.2, "nll.en": 499500.0, "nll.de": float(record.seed)}
        assert record.config == TrialConfig(seed=record.seed).model_dump(mode="json")
        assert record.provenance["run"] == "0001"
        assert record.study == "study"
    error = records["raises"].error
    assert records["raises"].reason == "ValueError: first line"
    assert error is not None
    assert error.type == "ValueError"
    assert "second line" in error.log_tail
    assert "test_sweep.py" in error.log_tail
    assert records["dies"].error is not None
    assert records["dies"].error.type == "ActorDiedError"
    assert "\n" not in str(records["dies"].reason)
    assert len(shown.splitlines()) == 6
    runs = tmp_path / "study" / "runs" / "0001"
    assert any((runs / "id-a").glob("events.out.tfevents*"))
    captured = capfd.readouterr()
    assert captured.err == ""
    # Ray itself tells of a worker that died; of everything else it is silent.
    assert captured.out.count("(raylet)") == captured.out.count("A worker died") == len(captured.out.splitlines())


def test_actors_are_reused(resources: Resources, tmp_path: Path) -> None:
    records, _, _ = run_all([f"t{i}" for i in range(8)], resources, tmp_path)
    assert len(records) == 8
    assert len({record.provenance["pid"] for record in records.values()}) <= os.cpu_count()


def test_a_signal_ends_the_sweep_and_keeps_what_finished(resources: Resources, tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    started = time.monotonic()
    records, _, interruption = run_all(["a", "slow1", "slow2", "slow3"], resources, tmp_path, stop_after=1)
    assert list(records) == ["a"]
    assert interruption.reason == signal.SIGTERM
    assert time.monotonic() - started < 30
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == before


@pytest.mark.parametrize(
    "asked", [Resources(cpus_per_trial=10_000.0), Resources(gpus_per_trial=4096.0)], ids=["cpus", "gpus"]
)
def test_resources_that_no_node_has_are_refused(resources: Resources, asked: Resources) -> None:
    message = r"a trial asks for .* but no node has them \(there is .*\); lower --cpus-per-trial"
    with pytest.raises(InputError, match=message), session(asked):
        raise AssertionError("not reached")


def test_a_gpu_is_asked_for_only_where_there_is_one(resources: Resources) -> None:
    import torch

    assert resources.gpus_per_trial == (1.0 if torch.cuda.is_available() else 0.0)


def test_records_survive_json(resources: Resources, tmp_path: Path) -> None:
    records, _, _ = run_all(["a"], resources, tmp_path)
    record = records["a"]
    assert TrialRecord.model_validate(json.loads(record.model_dump_json())) == record
