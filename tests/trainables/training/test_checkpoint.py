"""A trial that stops after any checkpoint and goes on finds, bit for bit, what the uninterrupted trial finds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trainables.assets import Assets
from trainables.config import TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.measuring.measurements import CurvePoint, Measurements
from trainables.training import checkpoint as checkpoints
from trainables.training.checkpoint import StageState, Standing, TrialCheckpoint, pack, unpack
from trainables.trial import fine_tune

CPU = torch.device("cpu")


class Stopped(Exception):
    """The process ends here."""


class Memory:
    """Files in memory, which end the process after a number of writes."""

    def __init__(self, writes: int | None = None) -> None:
        self.kept: dict[str, bytes] = {}
        self.left = writes

    def read(self, name: str) -> bytes:
        try:
            return self.kept[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    def write(self, name: str, content: bytes) -> None:
        self.kept[name] = content
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise Stopped


def run(config: TrialConfig, assets: Assets, files: Any) -> tuple[Measurements, list[CurvePoint], dict[str, str]]:
    points: list[CurvePoint] = []
    checkpoint = TrialCheckpoint(files, "abc", "key")
    found = fine_tune(config, assets, points.append, checkpoint)
    return found, points, checkpoint.provenance


@pytest.fixture(scope="module")
def full(tiny_config: TrialConfig, tiny_assets: Assets) -> tuple[TrialConfig, Measurements]:
    """A trial with every kind of state: decay, warm-up, a best epoch, a penalty to its start, a trajectory."""
    config = with_values(
        tiny_config,
        {
            "stages.0.epochs": 3,
            "stages.0.selection": "best_english",
            "stages.0.optimizer.warmup": 0.3,
            "stages.0.optimizer.weight_decay": 0.1,
            "stages.0.penalties.l2_sp.weight": 0.1,
            "stages.0.noise.kind": "embedding_gaussian",
            "stages.0.noise.strength": 0.1,
            "stages.1.epochs": 2,
            "measure.trace_every": 4,
        },
    )
    return config, fine_tune(config, tiny_assets, lambda point: None)


@pytest.mark.parametrize("writes", range(1, 10))
def test_a_stop_after_any_checkpoint_changes_no_number(
    full: tuple[TrialConfig, Measurements], tiny_assets: Assets, writes: int
) -> None:
    config, expected = full
    files = Memory(writes)
    with pytest.raises(Stopped):
        run(config, tiny_assets, files)
    files.left = None
    found, points, provenance = run(config, tiny_assets, files)
    assert found == expected
    assert points == expected.curves
    places = [
        "the start and epoch 1 of the next stage", "the start and epoch 2 of the next stage",
        "the start and epoch 3 of the next stage", "stage 0", "stage 0 and epoch 1 of the next stage",
        "stage 0 and epoch 2 of the next stage", "stage 0 and de", "stage 0 and de and epoch 1 of the next stage",
        "stage 0 and de and epoch 2 of the next stage",
    ]  # fmt: skip
    assert provenance == {"continued_from": places[writes - 1]}


@pytest.mark.parametrize("writes", [1, 3, 4])
@pytest.mark.parametrize("average", [{}, {"stages.0.selection": "average", "stages.1.runs": 2}])
def test_a_trial_of_low_rank_updates_goes_on_too(
    tiny_config: TrialConfig, tiny_assets: Assets, average: dict[str, Any], writes: int
) -> None:
    values = {"model.lora.rank": 2, "model.lora.dropout": 0.1, "stages.0.penalties.l2_sp.weight": 0.1, **average}
    config = with_values(tiny_config, values)
    expected = fine_tune(config, tiny_assets, lambda point: None)
    files = Memory(writes)
    with pytest.raises(Stopped):
        run(config, tiny_assets, files)
    files.left = None
    found, points, provenance = run(config, tiny_assets, files)
    assert found == expected
    assert points == expected.curves
    assert "continued_from" in provenance


def test_a_checkpoint_is_kept_after_every_epoch_and_stage(
    full: tuple[TrialConfig, Measurements], tiny_assets: Assets
) -> None:
    files = Memory(100)
    found, _, provenance = run(full[0], tiny_assets, files)
    assert found == full[1]
    assert provenance == {}
    assert 100 - files.left == 3 + 1 + 2 * (2 + 1)
    assert list(files.kept) == ["abc.safetensors"]


def test_a_truncated_checkpoint_begins_anew_and_says_so(
    full: tuple[TrialConfig, Measurements], tiny_assets: Assets
) -> None:
    files = Memory(2)
    with pytest.raises(Stopped):
        run(full[0], tiny_assets, files)
    files.left = None
    for size in (0, 5, 100, len(files.kept["abc.safetensors"]) - 1):
        half = Memory()
        half.kept["abc.safetensors"] = files.kept["abc.safetensors"][:size]
        checkpoint = TrialCheckpoint(half, "abc", "key")
        assert checkpoint.load(CPU) == Standing()
        assert checkpoint.provenance["checkpoint"].startswith("not used, so the trial began anew: it is damaged (")
    found, _, provenance = run(full[0], tiny_assets, half)
    assert found == full[1]
    assert "continued_from" not in provenance


def test_a_checkpoint_of_something_else_is_not_used() -> None:
    files = Memory()
    TrialCheckpoint(files, "abc", "key").save(Standing(steps=7))
    assert TrialCheckpoint(files, "abc", "key").load(CPU).steps == 7
    other = TrialCheckpoint(files, "abc", "other key")
    assert other.load(CPU) == Standing()
    assert other.provenance["checkpoint"] == (
        "not used, so the trial began anew: it is of another configuration, model, data, software or number of CPUs"
    )


def test_a_folder_that_cannot_be_written_ends_no_trial() -> None:
    class Full(Memory):
        def write(self, name: str, content: bytes) -> None:
            raise OSError(28, "No space left on device")

    checkpoint = TrialCheckpoint(Full(), "abc", "key")
    assert checkpoint.load(CPU) == Standing()
    checkpoint.save(Standing())
    assert checkpoint.provenance == {"checkpoint": "not kept: [Errno 28] No space left on device"}


def test_checkpoints_take_a_small_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0

    class Slow(Memory):
        def write(self, name: str, content: bytes) -> None:
            nonlocal now
            now += 6.0
            super().write(name, content)

    monkeypatch.setattr(checkpoints, "BRIEF", 0.1)
    monkeypatch.setattr(checkpoints.time, "perf_counter", lambda: now)
    checkpoint = TrialCheckpoint(files := Slow(1000), "abc", "key")
    for _ in range(2000):  # epochs of a second
        now += 1.0
        checkpoint.save(Standing())
    kept = 1000 - files.left
    assert 2000 / (6 / 0.03 + 1 + 1) <= kept <= 2000 / (6 / 0.03) + 1


def test_time_goes_on_where_it_stopped() -> None:
    files = Memory()
    files.write("abc.safetensors", pack(Standing(), TrialCheckpoint(None, "abc", "key")._key, 1000.0))
    checkpoint = TrialCheckpoint(files, "abc", "key")
    assert checkpoint.seconds < 100
    checkpoint.load(CPU)
    assert 1000 <= checkpoint.seconds < 1100


def test_everything_comes_back() -> None:
    shared = torch.arange(4.0)
    stage = StageState(
        2, 10, {"train_loss": 0.1 + 0.2}, {"a": shared, "b": shared}, {"0.step": torch.tensor(10.0)},
        (0.5, {"a": shared + 1}),
    )  # fmt: skip
    curves = [CurvePoint(0, "en", 3, 1.0, "train_loss", 1 / 3), CurvePoint(0, "en", 3, 1.0, "kl_ratio", 1.0, 0.1, 0.2)]
    before = Standing(curves, {"accuracy.en": 1 / 3}, 5, {"a": shared * 2}, ["de"], stage)
    after, seconds = unpack(pack(before, "key", 3.5), "key", CPU)
    assert seconds == 3.5
    assert (after.curves, after.values, after.steps, after.finished) == (curves, before.values, 5, ["de"])
    assert after.stage is not None
    assert after.stage.kept is not None
    assert after.english is not None
    assert (after.stage.epoch, after.stage.steps, after.stage.means) == (2, 10, stage.means)
    assert after.stage.kept[0] == 0.5
    for found, expected in (
        (after.stage.model["a"], shared), (after.stage.model["b"], shared), (after.english["a"], shared * 2),
        (after.stage.kept[1]["a"], shared + 1), (after.stage.optimizer["0.step"], torch.tensor(10.0)),
    ):  # fmt: skip
        assert torch.equal(found, expected)
