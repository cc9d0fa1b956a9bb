"""How long trials will take on this machine: the counted work in each, times the measured cost of each kind of work.

    seconds of a trial = sum over kinds of work of  amount * cost

Amounts follow from the configuration and the number of rows; they are exact, except that a stage with ``until`` counts
as if it never reached its training loss. Costs are what ``stopwatch`` measures, once per arm. The start-up of Ray and
its workers is not counted. ``study.sweep.progress`` estimates the rest of a running study from ended trials.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch

from trainables.assets import Assets
from trainables.config import ENGLISH, TrialConfig
from trainables.data.task_data import TaskData
from trainables.measuring.stage_path import points_on_the_way
from trainables.rehearsal.stopwatch import Stopwatch


def work(config: TrialConfig, data: TaskData) -> Counter[str]:
    """The work in a trial.

    Returns:
        Kind to amount: ``build``, models; ``encode``, examples; ``train.STAGE.LANG``, examples that pass through
        optimiser steps; ``evaluate.LANG``, predictions; ``trace.LANG``, examples of Tr(F), and ``trace.merged.LANG``,
        of Tr(F) over merged weights; ``path.LANG``, examples of the curvature along a second stage; ``rivals``,
        training examples that they look at; ``expansion``, examples times directions of the noise. Languages with no
        second stage, and what the configuration does not ask for, are absent.
    """
    first, second = config.stages
    measure, train = config.measure, len(data.train)
    rows = {language: len(found) for language, found in data.validation.items()}
    steps = math.ceil(train / first.batch_size) * first.longest
    traced = {language: min(measure.trace_examples, count) for language, count in rows.items()}
    found = Counter({"build": 1, "encode": train + sum(rows.values()), f"train.0.{ENGLISH}": first.longest * train})
    for language, tested in data.test.items():
        found["encode"] += len(tested)
        found[f"evaluate.{language}"] += len(tested)
    looks = 0 if measure.accuracy_every is None else first.longest // measure.accuracy_every
    if first.selection == "best_english":
        looks = first.epochs
    found[f"evaluate.{ENGLISH}"] += looks * rows[ENGLISH] + train
    if (until := first.until) is not None:
        looks = steps // until.every + (steps % until.every > 0)
        found[f"evaluate.{ENGLISH}"] += looks * min(until.examples, train)
    found[f"trace.{ENGLISH}"] += traced[ENGLISH] + measure.trace_train * min(measure.trace_examples, train)
    found[f"trace.{ENGLISH}"] += len(measure.twins) * traced[ENGLISH]
    found[f"evaluate.{ENGLISH}"] += len(measure.twins) * rows[ENGLISH]
    if config.model.lora is not None:
        found[f"trace.merged.{ENGLISH}"] += traced[ENGLISH]
    for language, count in rows.items():
        found[f"evaluate.{language}"] += count
    for language in measure.trace_languages:
        found[f"trace.{language}"] += traced[language]
    if measure.trace_every is not None:  # from step 0 on; the end is measured anyway
        found[f"trace.{ENGLISH}"] += math.ceil(steps / measure.trace_every) * traced[ENGLISH]
    if measure.rivals:
        found["rivals"] += (1 + len(measure.twins)) * min(measure.trace_examples, train)
    if (expansion := measure.expansion) is not None:
        times = 2 + (0 if expansion.every is None else (steps - 1) // expansion.every)
        found["expansion"] += times * expansion.draws * min(expansion.examples, rows[ENGLISH])
    for language, target in data.stage2.items():
        for test in (language, ENGLISH) if data.test else ():
            found[f"evaluate.{test}"] += len(data.test[test])
        found["encode"] += len(target)
        found[f"train.1.{language}"] += second.longest * len(target)
        found[f"evaluate.{language}"] += rows[language]
        found[f"evaluate.{ENGLISH}"] += rows[ENGLISH] * (1 + second.longest * (second.selection == "best_english"))
        if measure.path:
            steps = math.ceil(len(target) / second.batch_size) * second.longest
            looks = len(points_on_the_way(measure.path_points, steps))
            found[f"evaluate.{ENGLISH}"] += (1 + looks) * traced[ENGLISH]
            found[f"path.{ENGLISH}"] += traced[ENGLISH]
            found[f"path.{language}"] += traced[language]
    if measure.path and data.stage2:
        found[f"evaluate.{ENGLISH}"] += traced[ENGLISH]
    return found


def seconds(amounts: Mapping[str, int], costs: Mapping[str, float]) -> float:
    """The cost of some work: the sum of amounts times seconds per unit."""
    return sum(amount * costs[kind] for kind, amount in amounts.items())


def estimate(
    arms: Mapping[str, Sequence[TrialConfig]], assets: Assets, threads: int, progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """Seconds of each trial, in the order of the trials, each running alone with the given number of threads.

    An arm is measured at its last configuration: grids ascend, so that no weight is 0 there and every term acts.

    Args:
        progress: Receives the name of each arm before it is measured.
    """
    stopwatch = Stopwatch(assets)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found: dict[str, list[float]] = {}
    try:
        for arm, configs in arms.items():
            progress(arm)
            amounts = [work(config, assets.rows(config)) for config in configs]
            costs: dict[str, float] = {}
            for config, kinds in zip(reversed(configs), reversed(amounts), strict=True):
                costs = {kind: stopwatch.cost(config, kind) for kind in kinds if kind not in costs} | costs
            found[arm] = [seconds(kinds, costs) for kinds in amounts]
    finally:
        torch.set_num_threads(before)
    return found
