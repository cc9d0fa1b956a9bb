"""The order in which trials run: any beginning of a study has some of every arm, from all of its range."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study.catalog import CATALOG
from study.plan.planning import PlannedTrial, draft
from study.sweep.queue import spread


def rows(arm: str, points: int, seeds: int = 1, slots: bool = False) -> list[PlannedTrial]:
    one = draft(CATALOG["quick"](bundled=True))[0]
    return [
        replace(one, trial_id=f"{arm}{p}s{s}", arm=arm, label=f"{arm}={p}", seed=s, slot=p + 1 if slots else None)
        for p in range(points)
        for s in range(seeds)
    ]


def names(trials: list[PlannedTrial]) -> list[str]:
    return [trial.trial_id for trial in trials]


def test_arms_take_turns_and_seeds_follow_each_other() -> None:
    trials = rows("base", 1, seeds=2) + rows("kl", 2, seeds=2) + rows("l2", 2, seeds=2)
    first = ["base0s0", "kl0s0", "l20s0", "kl1s0", "l21s0"]
    assert names(spread(trials)) == first + [name.replace("s0", "s1") for name in first]


@pytest.mark.parametrize("points", range(1, 18))
def test_every_beginning_covers_the_range(points: int) -> None:
    order = [int(trial.trial_id[2:-2]) for trial in spread(rows("kl", points))]
    assert sorted(order) == list(range(points))
    step = 1
    while step < points:  # what comes first is the whole of a coarser grid
        coarser = set(range(0, points, step))
        assert set(order[: len(coarser)]) == coarser
        step *= 2


def test_slots_keep_their_order() -> None:
    trials = rows("joint", 5, slots=True) + rows("kl", 3)
    order = names(spread(trials))
    assert [name for name in order if name.startswith("joint")] == [f"joint{p}s0" for p in range(5)]
    assert order[:4] == ["joint0s0", "kl0s0", "joint1s0", "kl2s0"]
