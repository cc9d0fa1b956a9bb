"""Trainer, as the benchmark's search sets it up, does what our trial does: steps, order, schedule and evaluations."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("accelerate", reason="Trainer needs accelerate: pip install 'fisher-study[benchmark]'")

from benchmarks.trainer_search import (
    BFLOAT16,
    DEFAULT_WAYS,
    OURS,
    REUSED,
    TOLERANCE,
    bars,
    difference,
    make_trainer,
    named,
    settings,
    table,
)
from study.catalog import quick
from study.store.records import CurveRow
from trainables.assets import Assets
from trainables.config import TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.trial import fine_tune

SEED = 3
TINY = {"seed": SEED, "data.validation_examples": 60, "measure.trace_examples": 8}


@pytest.fixture(scope="module")
def config() -> TrialConfig:
    return with_values(quick().base, settings(rows=72, epochs=2) | TINY)


@pytest.fixture(scope="module")
def ours(config: TrialConfig) -> dict[str, float]:
    found = fine_tune(config, Assets.resolve([config]), lambda point: None)
    return named(found.values, [CurveRow(**point.as_dict()) for point in found.curves], found.steps)


def trained(config: TrialConfig, folder: Path) -> dict[str, float]:
    trainer = make_trainer(config, folder)
    trainer.train()
    return trainer.found()


def test_trainer_does_what_our_trial_does(config: TrialConfig, ours: dict[str, float], tmp_path: Path) -> None:
    found = trained(config, tmp_path)
    assert found.keys() == ours.keys()
    assert set(ours) == {
        "train_loss.1", "train_loss.2", "accuracy.en.1", "accuracy.en.2", "steps",
        "train_accuracy", "accuracy.en", "accuracy.de", "accuracy.es", "accuracy.zh",
    }  # fmt: skip
    assert ours["steps"] == 6
    assert found == pytest.approx(ours, abs=1e-5)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", SEED + 1),  # other head and order
        ("stages.0.optimizer.learning_rate", 2e-3),
        ("stages.0.optimizer.warmup", 0.5),
        ("stages.0.batch_size", 24),
    ],
)
def test_trainer_with_another_setting_does_not(
    config: TrialConfig, ours: dict[str, float], tmp_path: Path, path: str, value: Any
) -> None:
    found = trained(with_values(config, {path: value}), tmp_path)
    assert difference({"0": found}, {"0": ours}) > TOLERANCE[""]


def test_the_bars_say_what_is_not_met(ours: dict[str, float]) -> None:
    _, default, reused = DEFAULT_WAYS
    results: dict[str, dict[str, Any]] = {
        OURS: {"seconds": [9.0, 12.0, 8.0], "trials": {"0": dict(ours)}},
        default: {"seconds": [20.0, 20.0, 20.0], "trials": {"0": dict(ours)}},
        reused: {"seconds": [10.0, 10.0, 10.0], "trials": {"0": dict(ours)}},
    }
    lines, met = bars(results)
    assert met
    assert lines[1] == "- wall time, ours / the faster search: 0.90 (0.80 to 1.20), at most 1.00: met"
    assert f"| {reused} | 10.0 | 10.0 to 10.0 | 0.90 | 6 | 7 |" in table(results)
    slow = copy.deepcopy(results)
    slow[reused]["seconds"] = [7.0, 7.0, 7.0]
    assert not bars(slow)[1]
    other = copy.deepcopy(results)
    del other[default]["trials"]["0"]["accuracy.zh"]
    lines, met = bars(other)
    assert not met
    assert lines[0].endswith("within 0.001: inf: NOT MET")


def test_each_format_is_compared_with_its_own(ours: dict[str, float]) -> None:
    seconds = {OURS: 30.0, REUSED: 60.0, OURS + BFLOAT16: 18.0, REUSED + BFLOAT16: 20.0}
    results: dict[str, dict[str, Any]] = {
        name: {"seconds": [value], "trials": {"0": dict(ours)}} for name, value in seconds.items()
    }
    lines, met = bars(results, bar=0.6)
    assert not met
    assert lines[1] == "- wall time, ours / the search: 0.50 (0.50 to 0.50), at most 0.60: met"
    assert lines[3] == "- wall time, ours / the search, bfloat16: 0.90 (0.90 to 0.90), at most 0.60: NOT MET"
    assert f"| {REUSED + BFLOAT16} | 20.0 | 20.0 to 20.0 | 0.90 |" in table(results)
