"""Our loop and transformers' Trainer lose the same, step by step, and a loop with another setting does not."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("accelerate", reason="Trainer needs accelerate: pip install 'fisher-study[benchmark]'")

from benchmarks.training import TOLERANCE, Bench, bars, compare
from trainables.config.dotted_paths import with_values

STEPS = 20


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench("mini", STEPS)


@pytest.fixture(scope="module")
def reference(bench: Bench) -> list[float]:
    return bench.trainer().losses


def worst(found: list[float], reference: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(found, reference, strict=True))


def test_twenty_losses_agree_with_trainers(bench: Bench, reference: list[float]) -> None:
    assert len(reference) == STEPS
    assert worst(bench.ours().losses, reference) <= TOLERANCE
    assert worst(bench.ours_whole().losses, reference) <= 1e-6


@pytest.mark.parametrize(
    ("path", "value", "least"),
    [
        ("stages.1.optimizer.learning_rate", 1.01e-3, TOLERANCE),
        ("stages.1.optimizer.epsilon", 1e-6, TOLERANCE),
        ("stages.1.optimizer.warmup", 0.1, TOLERANCE),
        ("stages.1.optimizer.weight_decay", 0.1, TOLERANCE),
        ("stages.1.clip", 0.5, 1e-6),  # AdamW hides it from the looser tolerance
    ],
)
def test_another_setting_does_not_agree(
    bench: Bench, reference: list[float], monkeypatch: pytest.MonkeyPatch, path: str, value: Any, least: float
) -> None:
    monkeypatch.setattr(bench, "config", with_values(bench.config, {path: value}))
    assert worst(bench.ours_whole().losses, reference) > least


def test_the_bars_say_what_is_not_met() -> None:
    small = Bench("mini", 2)
    found = compare(small, rounds=1)
    assert bars({"mini": found})[1]
    found["ours"] |= {"worst_loss": 2e-4, "ratio": 0.9}
    lines, agree = bars({"mini": found})
    assert not agree
    assert lines == [
        "- mini, largest difference of 2 losses: 2e-04, at most 1e-04: NOT MET",
        "- mini, throughput ours / Trainer: 0.90, at least 1.00: NOT MET",
    ]
