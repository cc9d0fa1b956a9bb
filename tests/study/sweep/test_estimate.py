"""The time of a plan in words, from made-up seconds."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
import torch
from rich.console import Console

import trainables.rehearsal.timing
from study.config import StudyConfig
from study.plan.planning import draft
from study.sweep.estimate import at_a_time, print_estimate, summary, wall_seconds
from study.sweep.resources import Resources
from trainables.errors import Diverged


def finished(seconds: list[float], slots: int) -> float:
    """A clock that ticks through a queue of whole seconds."""
    waiting, running, now = list(seconds), [], 0
    while waiting or running:
        running += [now + waiting.pop(0) for _ in range(min(slots - len(running), len(waiting)))]
        now += 1
        running = [end for end in running if end > now]
    return now


def test_the_last_trial_ends_as_in_a_simulation() -> None:
    rng = random.Random(0)
    for slots in (1, 2, 3, 7):
        seconds = [float(rng.randint(1, 9)) for _ in range(20)]
        assert wall_seconds(seconds, slots) == finished(seconds, slots)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    def have(cpus: int, gpus: int = 0) -> None:
        monkeypatch.setattr("study.sweep.estimate.usable_cpus", lambda: cpus)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    return have


@pytest.mark.parametrize(
    ("cpus", "gpus", "asked", "expected"),
    [
        (8, 0, Resources(), 8),
        (8, 0, Resources(cpus_per_trial=3.0), 2),
        (8, 0, Resources(cpus_per_trial=0.5), 16),
        (2, 0, Resources(cpus_per_trial=4.0), 1),
        (8, 0, Resources(concurrency=3), 3),
        (8, 2, Resources(), 2),
        (8, 2, Resources(gpus_per_trial=0.5), 4),
        (8, 2, Resources(gpus_per_trial=0.0), 8),
        (8, 2, Resources(address="ray://host:1"), None),
        (8, 2, Resources(address="ray://host:1", concurrency=5), 5),
    ],
)
def test_trials_at_a_time(machine: Any, cpus: int, gpus: int, asked: Resources, expected: int | None) -> None:
    machine(cpus, gpus)
    assert at_a_time(asked) == expected


def test_the_line_says_time_trials_threads_and_basis(machine: Any) -> None:
    machine(4)
    basis = "estimated from one measured step on this machine"
    assert summary([3600.0] * 10, Resources(cpus_per_trial=2.0), 2) == (
        f"about 5 h 0 min on 2 trials at a time (2 CPU threads each), {basis}"
    )
    assert summary([90.0], Resources(), 1) == f"about 2 min on 1 trial at a time (1 CPU thread each), {basis}"
    assert summary([60.0] * 120, Resources(address="auto"), 1) == (
        f"about 2 h 0 min for one trial after another (1 CPU thread each), {basis}; a cluster divides it"
    )


def said(study: StudyConfig, monkeypatch: pytest.MonkeyPatch, estimate: Any) -> str:
    output = io.StringIO()
    monkeypatch.setattr(trainables.rehearsal.timing, "estimate", estimate)
    assets: Any = None
    print_estimate(draft(study), assets, Resources(cpus_per_trial=2.5), Console(file=output, width=100))
    return output.getvalue()


def test_each_arm_has_its_line(small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch, machine: Any) -> None:
    machine(5)

    def estimate(arms: Any, assets: Any, threads: int, progress: Any) -> dict[str, list[float]]:
        assert threads == 2
        assert [config.seed for config in arms["kl"]] == [0, 1, 0, 1]
        for arm in arms:
            progress(arm)
        return {"baseline": [10.0, 30.0], "kl": [40.0] * 4}

    lines = [line.split() for line in said(small_study, monkeypatch, estimate).splitlines()]
    assert lines[:3] == [
        ["arm", "trials", "time", "of", "a", "trial"],
        ["baseline", "2", "20", "s"],
        ["kl", "4", "40", "s"],
    ]
    assert " ".join(lines[3]) == summary([10.0, 30.0, *[40.0] * 4], Resources(cpus_per_trial=2.5), 2)
    assert len(lines) == 4


def test_a_loss_that_is_not_finite_leaves_the_time_open(
    small_study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def estimate(*args: Any) -> dict[str, list[float]]:
        raise Diverged("loss is nan at stage 1.en, step 0")

    text = said(small_study, monkeypatch, estimate)
    assert text == "no estimate of the time: loss is nan at stage 1.en, step 0\n"
