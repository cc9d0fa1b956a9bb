"""What happens to the storage: full, read-only, deleted, with damaged files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Ended, Study, ended, kill, mended, same_as, until

pytestmark = pytest.mark.faults

WAITS = {"kl": "waits"}


@pytest.fixture
def disk(study: Study) -> Iterator[Path]:
    """The storage as a file system of its own, of 32 MiB."""
    study.storage.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(study.storage)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a file system needs root")
    yield study.storage
    study.end()
    subprocess.run(["umount", "--lazy", str(study.storage)], check=True)


def remount(disk: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Write until nothing more fits."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"0" * size)
            except OSError:
                continue
    return filler


def first_then(study: Study) -> tuple[subprocess.Popen[str], dict[str, tuple[bytes, int]]]:
    """A driver with one finished trial, whose second one waits in its middle."""
    driver = study.start("run", *study.options, faults=WAITS)
    until(driver, (study.notes / "kl").exists)
    kept = study.records()
    assert len(kept) == 1
    return driver, kept


def go_on(study: Study, driver: subprocess.Popen[str]) -> Ended:
    (study.notes / "go").touch()
    return ended(driver)


def test_a_disk_that_fills_up(study: Study, whole: Study, disk: Path) -> None:
    driver, kept = first_then(study)
    filler = fill(disk)
    stopped = go_on(study, driver)
    assert stopped.code == 1
    assert study.records() == kept
    assert stopped.err == ""
    reason, advice = stopped.last
    assert reason.startswith("interrupted (the record of kl=0.6 cannot be written: ")
    assert "No space left on device" in reason
    assert reason.endswith("). 3 trials planned: 1 complete, 2 unfinished")
    assert advice == f"go on with: fisher-study resume pawsx --storage {study.storage} --concurrency 1"
    filler.unlink()
    mended(study, whole, kept)


def test_a_disk_that_is_full_at_the_start(study: Study, disk: Path) -> None:
    filler = fill(disk)
    refused = study.type("run", *study.options)
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert refused.err.startswith(f"fisher-study: cannot write to {study.path}: ")
    assert "No space left on device" in refused.err
    assert refused.err.endswith("; choose another --storage\n")
    assert [path.name for path in disk.iterdir()] == [filler.name]


def test_a_storage_that_becomes_read_only(study: Study, whole: Study, disk: Path) -> None:
    driver, kept = first_then(study)
    remount(disk, "ro")
    stopped = go_on(study, driver)
    assert stopped.code == 1
    assert stopped.err == ""
    assert "Read-only file system" in stopped.last[0]
    remount(disk, "rw")
    mended(study, whole, kept)


def test_a_storage_that_is_read_only_at_the_start(study: Study, disk: Path) -> None:
    remount(disk, "ro")
    refused = study.type("run", *study.options)
    assert refused.code == 2
    assert refused.err == f"fisher-study: cannot write to the storage {study.path}: choose another with --storage\n"


def test_a_storage_that_is_deleted(study: Study, whole: Study) -> None:
    driver, _ = first_then(study)
    shutil.rmtree(study.path)
    stopped = go_on(study, driver)
    assert stopped.code == 1
    assert stopped.err == ""
    assert stopped.out.splitlines()[-1] == (
        f"interrupted (the record of kl=0.6 cannot be written: {study.path}/study.json is gone); "
        "delete the folder and run the study again"
    )
    shutil.rmtree(study.path, ignore_errors=True)
    done = study.type("run", *study.options)
    assert (done.code, done.err) == (0, "")
    same_as(study, whole)


def test_damaged_files(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, faults={"l2=0.001": "held once"})
    until(driver, (study.notes / "l2=0.001").exists)
    kill(driver)
    kept = study.records()
    cut, (content, _) = kept.popitem()
    (study.path / "trials" / f"{cut}.json").write_bytes(content[: len(content) // 2])
    shown = study.type("show", "pawsx")
    assert shown.code == 0
    assert "3 trials planned: 1 complete, 1 unfinished, 1 unreadable" in shown.out
    assert f"unreadable: trials/{cut}.json: " in shown.out

    plan = study.path / "study.json"
    whole_plan = plan.read_bytes()
    plan.write_bytes(whole_plan[: len(whole_plan) // 2])
    for words in (("resume", "pawsx"), ("run", *study.options), ("show", "pawsx"), ("report", "pawsx")):
        refused = study.type(*words)
        assert refused.code == 2
        assert refused.err.count("\n") == 1
        assert f"{plan} is damaged (" in refused.err
        assert refused.err.endswith("restore it from a copy, or delete the folder and run the study again\n")
    plan.write_bytes(whole_plan)
    mended(study, whole, kept)
