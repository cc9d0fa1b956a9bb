"""The sweep on a real local Ray, with trials that take no time and fail in every way."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from study.config import Arm
from study.plan.planning import PlannedTrial
from study.search_space import LogUniform
from study.store.records import TrialRecord
from study.store.storage import STUDY_FILE, open_store
from study.sweep.interruption import TIME_BUDGET, Interruption
from study.sweep.optuna_search import JointSearch
from study.sweep.progress import SweepProgress
from study.sweep.resources import Resources, prepare_ray
from trainables.config import TrialConfig
from trainables.config.dotted_paths import parse
from trainables.errors import InputError

prepare_ray("local")

from study.sweep.cluster import session  # noqa: E402
from study.sweep.recorder import Recorder  # noqa: E402
from study.sweep.tune import sweep  # noqa: E402 (Ray reads the environment when it is imported)


@pytest.fixture(scope="module")
def resources() -> Iterator[Resources]:
    os.environ.update(RAY_memory_monitor_refresh_ms="0")  # a busy machine is not to end a trial
    with session(Resources(max_failures=1)) as decided:
        yield decided


def planned(*labels: str) -> list[PlannedTrial]:
    return [PlannedTrial(f"id-{label}", "arm", label, i, TrialConfig(seed=i)) for i, label in enumerate(labels)]


def run_all(
    labels: list[str], resources: Resources, folder: Path, stop_after: int | None = None
) -> tuple[dict[str, TrialRecord], str, Interruption]:
    return run_trials(planned(*labels), resources, folder, stop_after)


def run_trials(
    trials: list[PlannedTrial],
    resources: Resources,
    folder: Path,
    stop_after: int | None = None,
    searches: dict[str, JointSearch] | None = None,
    records: dict[str, TrialRecord] | None = None,
) -> tuple[dict[str, TrialRecord], str, Interruption]:
    def trainable(
        config: dict[str, Any], assets: Any, checkpoints: Any, models: Any = None, saved: str = "nothing", **rest: Any
    ) -> None:
        import json
        import os
        import time
        from pathlib import Path

        from ray import tune

        from trainables.trial_log import TrialLog

        name = config["trial_id"].removeprefix("id-")
        seed = config["trial"]["seed"]
        tune.report({"stage0/en/train_loss": 1.0})
        marker = Path(assets["folder"]) / name
        first_try = not marker.exists()
        kept = f"{config['trial_id']}.safetensors"
        if name == "goes-on":  # a trial that was there before its worker died
            if first_try:
                marker.touch()
                checkpoints.write(kept, b"half-way")
                os._exit(1)
            assert checkpoints.read(kept) == b"half-way"
        marker.touch()
        if name == "saves":
            models.child(config["trial_id"]).child("stage1").write("config.json", saved.encode())
            rest["predictions"].write("id-saves.parquet", b"rows")
        if name == "raises":
            raise ValueError("first line\nsecond line")
        if name == "raises-once" and first_try:
            raise ValueError("once")
        if name == "dies":
            with TrialLog(rest["logs"], config["trial_id"]):
                os.write(2, b"its last words\n")
                os._exit(1)
        if name == "silent":
            return
        if name.startswith("slow") or (name == "hangs-once" and first_try):
            time.sleep(60)
        penalty = config["trial"]["stages"][0]["penalties"]["l2"]
        measurements = {"fisher_trace": penalty["weight"]} if penalty else {}
        measurements |= {"accuracy.en": 0.1 + 0.2, "nll.en": float(assets["array"].sum()), "nll.de": seed}
        state = "diverged" if name == "diverges" else "complete"
        outcome = {
            "state": state,
            "reason": None,
            "measurements": measurements,
            "curves": [],
            "provenance": {"pid": os.getpid()},
        }
        tune.report({**measurements, "outcome": json.dumps(outcome)})
        if name == "lingers":
            time.sleep(60)
        if name == "dies-late":
            with marker.open("a") as tries:
                tries.write("x")
            os._exit(1)

    records = {} if records is None else records
    console = Console(file=io.StringIO(), width=200)
    with Interruption() as interruption, SweepProgress(console, trials, done=0) as progress:

        def write(record: TrialRecord) -> None:
            assert record.trial_id not in records
            records[record.trial_id] = record
            if len(records) == stop_after:
                threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()

        assets = {"folder": str(folder), "array": np.arange(1000)}
        study = open_store(str(folder / "study"))
        study.write(STUDY_FILE, b"")  # workers write where they see a study
        sweep(
            trials,
            assets,
            resources,
            study,
            "0001",
            write,
            progress,
            interruption,
            trainable,
            searches,
        )
    output = console.file
    assert isinstance(output, io.StringIO)
    return {record.label: record for record in records.values()}, output.getvalue(), interruption


def test_a_cluster_that_is_not_there_is_said_at_once() -> None:
    message = r"no Ray cluster answers at 127\.0\.0\.1:1 \(.*\); start one with: ray start --head --port=1$"
    with pytest.raises(InputError, match=message), session(Resources(address="127.0.0.1:1")):
        raise AssertionError("not reached")


def test_ray_client_is_refused() -> None:
    message = "--address takes HOST:PORT or auto, got ray://head:10001: Ray Client cannot carry a sweep"
    with pytest.raises(InputError, match=message), session(Resources(address="ray://head:10001")):
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
        "silent": "failed", "b": "complete",
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
    assert "test_tune.py" in error.log_tail
    assert records["dies"].error is not None
    assert records["dies"].error.type == "ActorDiedError"
    assert records["dies"].error.log_tail.endswith("The end of its log:\nits last words\nits last words")  # two tries
    assert "\n" not in str(records["dies"].reason)
    assert records["silent"].reason == "it ended without a result"
    assert len(shown.splitlines()) == 8
    runs = tmp_path / "study" / "runs" / "0001"
    assert any((runs / "id-a").glob("events.out.tfevents*"))
    captured = capfd.readouterr()
    assert captured.err == ""
    # Ray itself tells of a worker that died; of everything else it is silent.
    assert captured.out.count("(raylet)") == captured.out.count("A worker died") == len(captured.out.splitlines())


def test_slots_are_drawn_when_they_start_and_told_when_they_end(resources: Resources, tmp_path: Path) -> None:
    base, weight = TrialConfig(), "stages.0.penalties.l2.weight"
    arm = Arm(name="arm", search={weight: LogUniform(low=1e-6, high=1.0)}, slots=4)
    one = replace(resources, concurrency=1)
    grid = PlannedTrial("id-grid", "baseline", "grid", 0, base)
    names = ["s1", "s2", "hangs-once", "s4"]
    slots = [PlannedTrial(f"id-{name}", "arm", name, 0, base, slot=i) for i, name in enumerate(names, start=1)]
    events: list[str] = []

    def on_draw(trial_id: str, config: TrialConfig) -> None:
        events.append(f"{trial_id} after {len([True for state, _, _ in search.told if state != 'RUNNING'])}")

    search = JointSearch(arm, base, slots, {}, 1, on_draw)
    kept, _, interruption = run_trials([grid, *slots], one, tmp_path, stop_after=3, searches={"arm": search})
    assert interruption.reason == signal.SIGTERM
    drawn = {record.trial_id: record for record in kept.values() if record.arm == "arm"}
    assert set(drawn) == {"id-s1", "id-s2"}
    # With one trial at a time each draw knows all that ended before.
    assert events == ["id-s1 after 0", "id-s2 after 1", "id-hangs-once after 2"]

    events.clear()
    told = search.told[:2]
    search = JointSearch(arm, base, slots, drawn, 2, on_draw)
    assert search.told == told
    left = [trial for trial in slots if trial.trial_id not in drawn]
    rest, _, _ = run_trials(left, one, tmp_path, searches={"arm": search})
    assert events == ["id-hangs-once after 2", "id-s4 after 3"]
    weights = [parse(record.config).stages[0].penalties.l2 for record in (*drawn.values(), *rest.values())]
    assert [weight and weight.weight for weight in weights] == [
        values and pytest.approx(10 ** values[1], rel=1e-12) for *_, values in search.told
    ]
    assert len(set(weights)) == 4


def test_models_and_predictions_are_saved_in_the_folder_of_the_study(resources: Resources, tmp_path: Path) -> None:
    run_all(["saves"], replace(resources, save_models="all", save_predictions=True), tmp_path)
    assert (tmp_path / "study" / "predictions" / "id-saves.parquet").read_bytes() == b"rows"
    assert (tmp_path / "study" / "models" / "id-saves" / "stage1" / "config.json").read_text() == "all"


def test_a_trial_whose_worker_died_finds_its_checkpoint(resources: Resources, tmp_path: Path) -> None:
    records, _, _ = run_all(["goes-on"], resources, tmp_path)
    assert records["goes-on"].state == "complete"


def test_actors_are_reused(resources: Resources, tmp_path: Path) -> None:
    records, _, _ = run_all([f"t{i}" for i in range(8)], resources, tmp_path)
    assert len(records) == 8
    assert len({record.provenance["pid"] for record in records.values()}) <= os.cpu_count()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], bool]]:
    """An hour passes for the sweep for as long as a condition holds, so that no test has to wait."""
    conditions: list[Callable[[], bool]] = []

    def monotonic() -> float:
        return time.monotonic() + 3600.0 * any(condition() for condition in conditions)

    monkeypatch.setattr("study.sweep.recorder.time", SimpleNamespace(monotonic=monotonic, sleep=time.sleep))
    return conditions


def test_a_trial_that_takes_too_long_fails_and_the_others_go_on(
    resources: Resources, tmp_path: Path, clock: list[Callable[[], bool]]
) -> None:
    records: dict[str, TrialRecord] = {}
    clock.append(lambda: (tmp_path / "slow").exists() and "id-slow" not in records)
    limited = replace(resources, trial_time_limit=1800.0, concurrency=1)
    found, _, interruption = run_trials(planned("a", "slow", "b"), limited, tmp_path, records=records)
    assert interruption.reason is None
    states = {label: record.state for label, record in found.items()}
    assert states == {"a": "complete", "slow": "failed", "b": "complete"}
    assert found["slow"].reason == "time limit: it ran longer than 30 min"


def test_the_time_of_a_try_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[str] = []
    monkeypatch.setattr("ray.kill", killed.append)
    now = 0.0
    monkeypatch.setattr("study.sweep.recorder.time", SimpleNamespace(monotonic=lambda: now))
    trial = SimpleNamespace(config={"trial_id": "a"}, temporary_state=SimpleNamespace(ray_actor="actor"))
    rest: Any = SimpleNamespace(started=lambda trial_id: None)
    recorder = Recorder("study", "0001", rest, rest, rest, rest, Resources(trial_time_limit=10.0), "logs")
    recorder.on_trial_start(0, [trial], trial)
    now = 8.0
    recorder.on_trial_recover(0, [trial], trial)
    now = 12.0  # it waits, with the actor that it is about to get
    recorder.on_step_begin(0, [trial])
    assert killed == []
    recorder.on_trial_start(0, [trial], trial)
    now = 21.0
    recorder.on_step_begin(0, [trial])
    assert killed == []
    now = 23.0
    recorder.on_step_begin(0, [trial])
    assert killed == ["actor"]


def test_a_result_is_kept_whatever_happens_after_it(resources: Resources, tmp_path: Path) -> None:
    records, _, interruption = run_all(["dies-late", "lingers"], replace(resources, concurrency=1), tmp_path, 2)
    assert {label: record.state for label, record in records.items()} == {
        "dies-late": "complete",
        "lingers": "complete",
    }
    assert interruption.reason == signal.SIGTERM  # which came while the second one lingered
    assert (tmp_path / "dies-late").read_text() == "x"  # it did not run again


def test_a_record_is_written_when_the_storage_is_back(
    resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.sweep.recorder.PATIENCE", (0.0, 0.0))
    refusals = {"id-a": 2, "id-b": 3}  # so many times; b's comes back only when the sweep has ended

    class Away(dict[str, TrialRecord]):
        def __setitem__(self, trial_id: str, record: TrialRecord) -> None:
            if refusals[trial_id]:
                refusals[trial_id] -= 1
                raise OSError(5, "Input/output error")
            super().__setitem__(trial_id, record)

    one = replace(resources, concurrency=1)
    records, _, interruption = run_trials(planned("a", "b"), one, tmp_path, records=Away())
    assert list(records) == ["a", "b"]
    assert interruption.reason == "the record of b cannot be written: [Errno 5] Input/output error"


def test_what_tune_does_not_survive_ends_the_sweep_in_order(
    resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(self: Any) -> None:
        raise RuntimeError("Caught unexpected exception: the node is full\nmore of it")

    monkeypatch.setattr("ray.tune.Tuner.fit", fit)
    _, _, interruption = run_all(["a"], resources, tmp_path)
    file = tmp_path / "study" / "runs" / "0001" / "error.txt"
    assert interruption.reason == (
        f"Ray Tune gave up: Caught unexpected exception: the node is full; details in {file}"
    )
    assert "more of it" in file.read_text()


def test_what_a_callback_raises_is_said_in_its_own_words(resources: Resources, tmp_path: Path) -> None:
    class Broken(dict[str, TrialRecord]):
        def __setitem__(self, trial_id: str, record: TrialRecord) -> None:
            raise RuntimeError("no such thing")

    _, _, interruption = run_trials(planned("a"), resources, tmp_path, records=Broken())
    assert str(interruption.reason).startswith("Ray Tune gave up: RuntimeError: no such thing; details in ")


def test_a_draw_that_cannot_be_kept_ends_the_sweep_in_order(resources: Resources, tmp_path: Path) -> None:
    arm = Arm(name="arm", search={"stages.0.penalties.l2.weight": LogUniform(low=1e-5, high=1e-1)}, slots=1)
    slots = [PlannedTrial("id-s0", "arm", "arm#0", 0, TrialConfig(), 0)]

    def full(trial_id: str, config: TrialConfig) -> None:
        raise OSError(28, "No space left on device")

    search = JointSearch(arm, TrialConfig(), slots, {}, 1, full)
    records, _, interruption = run_trials(slots, resources, tmp_path, searches={"arm": search})
    assert records == {}
    assert interruption.reason == (
        "what was drawn for arm#0 cannot be kept or used: [Errno 28] No space left on device"
    )


def test_a_signal_while_ray_starts_is_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))  # as Ray does
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with Interruption() as interruption, session(Resources()):
        raise AssertionError("not reached")
    assert interruption.reason == signal.SIGTERM


def test_a_time_budget_ends_the_sweep_and_keeps_what_finished(
    resources: Resources, tmp_path: Path, clock: list[Callable[[], bool]]
) -> None:
    records: dict[str, TrialRecord] = {}
    clock.append(lambda: len(records) == 1)
    limited = replace(resources, time_budget=1800.0)
    _, _, interruption = run_trials(planned("a", "slow1", "slow2"), limited, tmp_path, records=records)
    assert list(records) == ["id-a"]
    assert interruption.reason == TIME_BUDGET


def test_a_record_that_cannot_be_written_ends_the_sweep_and_is_no_failure(
    resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.sweep.recorder.PATIENCE", (0.0, 0.0))

    class Full(dict[str, TrialRecord]):
        def __setitem__(self, trial_id: str, record: TrialRecord) -> None:
            if trial_id == "id-b":
                raise OSError(28, "No space left on device")
            super().__setitem__(trial_id, record)

    one = replace(resources, concurrency=1)
    records, shown, interruption = run_trials(planned("a", "b", "slow"), one, tmp_path, records=Full())
    assert list(records) == ["a"]
    assert interruption.reason == "the record of b cannot be written: [Errno 28] No space left on device"
    assert len(shown.splitlines()) == 2


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


def test_tensorboard_shows_every_setting_by_its_path(resources: Resources, tmp_path: Path) -> None:
    plugin_data = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2", reason="needs TensorBoard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_all(["a"], resources, tmp_path)
    (events,) = (tmp_path / "study" / "runs" / "0001").glob("id-a/events.out.tfevents.*")
    found = EventAccumulator(str(events.parent)).Reload()
    assert found.Scalars("ray/tune/accuracy.en")[-1].value == pytest.approx(0.3)
    assert "_hparams_/experiment" not in found.summary_metadata  # it would hide what other trials have
    content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    shown = plugin_data.HParamsPluginData.FromString(content).session_start_info.hparams
    assert shown["stages.0.optimizer.learning_rate"].number_value == 2e-5
    assert shown["model.name"].string_value == "bert-base-multilingual-cased"
    assert shown["label"].string_value == "a"
    assert "model.revision" not in shown  # null is no value of TensorBoard's
