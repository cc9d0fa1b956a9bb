"""The processors that this process may use: in a container or a batch job fewer than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
CONTROLLERS = Path("/sys/fs/cgroup")


def usable_cpus() -> int:
    """How many processors this process may keep busy, at least one.

    The smaller of those that its affinity mask allows (``taskset``, a batch system) and the whole ones in the quota of
    its control groups (``docker --cpus``, Kubernetes).
    """
    # Not everywhere is there a mask to ask for: then all processors are allowed.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([allowed, *_quotas()])))


def limit_torch() -> None:
    """Let torch compute in this process with no more threads than it may keep busy: torch knows of no quota."""
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), usable_cpus()))


def _quotas() -> Iterator[float]:
    """The processors that each control group of this process, and each group above it, grants."""
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux, or nothing to see
        return
    for line in lines:
        _, names, path = line.split(":", 2)
        if names and "cpu" not in names.split(","):
            continue
        # Version 2 has one tree, which a mixed set-up mounts aside; version 1 one for each set of controllers.
        for tree in (CONTROLLERS / names, CONTROLLERS / "cpu") if names else (CONTROLLERS, CONTROLLERS / "unified"):
            group = tree / path.strip("/")  # in a container it may name what the container does not see
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
