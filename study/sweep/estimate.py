"""How long a plan will take on this machine, estimated before it runs."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from study.browse.tables import duration, table
from study.browse.telling import tell
from study.plan.planning import PlannedTrial
from study.sweep.resources import LOCAL, Resources
from trainables.config import TrialConfig
from trainables.cpus import usable_cpus
from trainables.errors import Diverged

if TYPE_CHECKING:
    from trainables.assets import Assets


def print_estimate(trials: Sequence[PlannedTrial], assets: Assets, resources: Resources, console: Console) -> None:
    """Time a step of each arm, and print how long its trials, and all trials together, will take."""
    from trainables.rehearsal.timing import estimate

    arms: dict[str, list[TrialConfig]] = {}
    for trial in trials:
        arms.setdefault(trial.arm, []).append(trial.config)
    threads = max(1, int(resources.cpus_per_trial))
    try:
        with console.status("measuring one step of each arm") as status:
            found = estimate(arms, assets, threads, lambda arm: status.update(f"measuring one step of arm {arm}"))
    except Diverged as error:
        tell(console, f"no estimate of the time: {error}")
        return
    rows = [(arm, str(len(seconds)), duration(sum(seconds) / len(seconds))) for arm, seconds in found.items()]
    console.print(table("arm", "trials", "time of a trial", rows=rows, left=("arm",)))
    line = summary([one for arm in found.values() for one in arm], resources, threads)
    if any(trial.config.stages[0].until is not None for trial in trials):
        line += "; an upper bound, as if no trial reached stages.0.until.train_nll before max_epochs"
    tell(console, line)


def summary(seconds: Sequence[float], resources: Resources, threads: int) -> str:
    """The duration of a whole plan in one line, from the seconds of each trial in plan order."""
    slots = at_a_time(resources)
    each = f"{threads} CPU thread{'s' if threads > 1 else ''} each"
    basis = "estimated from one measured step on this machine"
    if slots is None:
        return f"about {duration(sum(seconds))} for one trial after another ({each}), {basis}; a cluster divides it"
    slots = min(slots, len(seconds))
    plural = "trials" if slots > 1 else "trial"
    return f"about {duration(wall_seconds(seconds, slots))} on {slots} {plural} at a time ({each}), {basis}"


def at_a_time(resources: Resources) -> int | None:
    """How many trials will run at a time; None on a cluster without ``--concurrency``, where it cannot be known."""
    if resources.address != LOCAL:
        return resources.concurrency
    import torch

    gpus = torch.cuda.device_count()
    wanted = min(1, gpus) if resources.gpus_per_trial is None else resources.gpus_per_trial
    fits = [int(usable_cpus() / resources.cpus_per_trial)]
    fits += [int(gpus / wanted)] if wanted else []
    fits += [] if resources.concurrency is None else [resources.concurrency]
    return max(1, min(fits))


def wall_seconds(seconds: Sequence[float], slots: int) -> float:
    """When the last trial ends, in seconds, if each trial in turn starts in the slot that is free first.

    Example:
        >>> wall_seconds([3.0, 1.0, 1.0, 4.0], slots=2)
        6.0
    """
    free = [0.0] * slots
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)
