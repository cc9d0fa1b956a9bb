"""The processors that this process may use: in a container or a batch job, fewer than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
CONTROLLERS = Path("/sys/fs/cgroup")


def usable_cpus() -> int:
    """How many processors this process may keep busy, at least one.

    This is the smaller of the number that its affinity mask allows (``taskset``, a batch system) and the whole
    processors in the quota of its control groups (``docker --cpus``, Kubernetes).
    """
    # Not every system has an affinity mask; without one, all processors are allowed.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([allowed, *_quotas()])))


def limit_torch() -> None:
    """Limit torch to the number of threads that this process may keep busy: torch does not know about quotas."""
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), usable_cpus()))


def _quotas() -> Iterator[float]:
    """The processors granted by each control group of this process and by each group above it."""
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux, or nothing is visible
        return
    for line in lines:
        _, names, path = line.split(":", 2)
        if names and "cpu" not in names.split(","):
            continue
        # Version 2 has one tree, which a mixed set-up mounts elsewhere; version 1 has one for each set of controllers.
        for tree in (CONTROLLERS / names, CONTROLLERS / "cpu") if names else (CONTROLLERS, CONTROLLERS / "unified"):
            group = tree / path.strip("/")  # may be invisible inside a container
            for folder in (group, *group.parents):
                yield from _quota(folder)
                if folder == tree:
                    break


def _quota(group: Path) -> Iterator[float]:
    try:
        if (both := group / "cpu.max").exists():
            quota, period = both.read_text(encoding="ascii").split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period"))
        if float(quota) > 0 and float(period) > 0:
            yield float(quota) / float(period)
    except (OSError, ValueError):  # no such file, or "max": no limit
        return
