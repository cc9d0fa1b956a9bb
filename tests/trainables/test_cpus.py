"""Made-up control groups, and real masks in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainables import cpus
from trainables.cpus import usable_cpus


def groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, membership: str, files: dict[str, str], allowed: int = 64
) -> int:
    (tmp_path / "membership").write_text(membership)
    for name, content in files.items():
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    monkeypatch.setattr(cpus, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(cpus, "CONTROLLERS", tmp_path / "tree")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(allowed)), raising=False)
    return usable_cpus()


@pytest.mark.parametrize(
    ("membership", "files", "allowed", "expected"),
    [
        ("0::/\n", {}, 64, 64),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64, 64),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 64, 2),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 1, 1),
        ("0::/\n", {"cpu.max": "350000 100000\n"}, 64, 3),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 64, 1),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "400000 100000\n"}, 64, 4),
        ("0::/a/b\n", {"a/b/cpu.max": "200000 100000\n", "a/cpu.max": "400000 100000\n"}, 64, 2),
        ("0::/a/b\n", {"other/cpu.max": "200000 100000\n"}, 64, 64),
        ("0::/outside/the/container\n", {"cpu.max": "200000 100000\n"}, 64, 2),
        ("0::/a\n", {"unified/a/cpu.max": "300000 100000\n"}, 64, 3),
        ("0::/a\n", {"a/cpu.max": "damaged\n"}, 64, 64),
        (
            "4:cpu,cpuacct:/docker/x\n3:memory:/m\n",
            {"cpu,cpuacct/docker/x/cpu.cfs_quota_us": "150000\n", "cpu,cpuacct/docker/x/cpu.cfs_period_us": "50000\n"},
            64,
            3,
        ),
        (
            "4:cpu,cpuacct:/docker/x\n",
            {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            64,
            2,
        ),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64, 64),
        ("3:cpuset:/\n", {"cpuset/cpu.cfs_quota_us": "1\n", "cpuset/cpu.cfs_period_us": "1\n"}, 64, 64),
    ],
)
def test_the_smallest_limit_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    membership: str,
    files: dict[str, str],
    allowed: int,
    expected: int,
) -> None:
    assert groups(tmp_path, monkeypatch, membership, files, allowed) == expected


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "MEMBERSHIP", tmp_path / "none")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert usable_cpus() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert usable_cpus() == 5


PROGRAM = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from study.sweep.resources import Resources, prepare_ray
prepare_ray("local")
from study.sweep.estimate import at_a_time
from study.sweep.cluster import session
from study.sweep.cluster import capacity
with session(Resources(gpus_per_trial=0.0)) as decided:
    print(at_a_time(Resources(gpus_per_trial=0.0)), capacity(decided))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
@pytest.mark.skipif(os.cpu_count() == 1, reason="one processor is all there is")
def test_with_one_processor_allowed_the_estimate_and_ray_run_one_trial() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("1 1\n", 0), done.stderr


def test_torch_gets_no_more_threads_than_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        assert groups(tmp_path, monkeypatch, "0::/\n", {"cpu.max": "300000 100000\n"}) == 3
        cpus.limit_torch()
        assert torch.get_num_threads() == 3
        assert groups(tmp_path, monkeypatch, "0::/\n", {"cpu.max": "900000 100000\n"}) == 9
        cpus.limit_torch()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
