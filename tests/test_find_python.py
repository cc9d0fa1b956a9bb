"""Which Python ``make`` takes, among made-up ones that answer as real ones do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "deploy" / "find_python.sh"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TESTED = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if "Python :: 3." in name]


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    """A folder with nothing but what the script itself needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "sed", "dirname"):
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    return folder


def fake(file: Path, *lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    file.chmod(0o755)


def found(bin_: Path, wanted: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        ["sh", SCRIPT, wanted],
        env={"PATH": str(bin_), "HOME": str(bin_.parent)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.strip(), done.stderr


def test_what_is_tested_is_what_is_claimed() -> None:
    assert re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"])
    low, high = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(int(low), int(high))] == TESTED
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in TESTED


@pytest.mark.parametrize("version", TESTED)
def test_each_tested_version_is_taken_where_it_is_the_only_one(bin_: Path, version: str) -> None:
    fake(bin_ / f"python{version}", f"echo {version}")
    assert found(bin_) == (0, f"python{version}", "")


def test_the_first_is_taken(bin_: Path) -> None:
    for version in TESTED:
        fake(bin_ / f"python{version}", f"echo {version}")
    assert found(bin_)[1] == f"python{TESTED[0]}"


def test_a_shim_with_nothing_behind_it_is_passed_over(bin_: Path) -> None:
    fake(bin_ / "python3.11", "echo 'pyenv: python3.11: command not found' >&2", "exit 127")
    fake(bin_ / "python3.12", "echo 3.12")
    assert found(bin_) == (0, "python3.12", "")


def test_a_version_that_only_pyenv_has_is_taken(bin_: Path) -> None:
    python = bin_.parent / ".pyenv" / "versions" / "3.12.1" / "bin" / "python"
    fake(python, "echo 3.12")
    assert found(bin_) == (0, str(python), "")


def test_plain_python3_is_taken_if_it_is_a_tested_one(bin_: Path) -> None:
    fake(bin_ / "python3", "echo 3.13")
    assert found(bin_) == (0, "python3", "")


def test_what_was_found_and_why_it_does_not_do_is_said(bin_: Path) -> None:
    fake(bin_ / "python3.11", "echo \"No module named 'ensurepip'\"")
    fake(bin_ / "python3", "echo 3.10")
    fake(bin_ / "python3.14", "echo 3.14")
    code, out, error = found(bin_)
    assert (code, out) == (1, "")
    assert error.startswith(f"needs one of Python {', '.join(TESTED)} with venv")
    assert "; python3.11: No module named 'ensurepip'; python3: 3.10; python3.14: 3.14: install one" in error
    assert error.count("\n") == 1


def test_nothing_is_found(bin_: Path) -> None:
    assert "; found none: install one" in found(bin_)[2]


def test_a_named_one_is_the_only_one_that_is_tried(bin_: Path) -> None:
    fake(bin_ / "python3.11", "echo 3.11")
    fake(bin_ / "mine", "echo 3.12")
    fake(bin_ / "old", "echo 3.9")
    assert found(bin_, "mine")[:2] == (0, "mine")
    assert "; old: 3.9: install one" in found(bin_, "old")[2]
    assert "; there is no other: install one" in found(bin_, "other")[2]


def test_the_real_one_is_found_by_running_it() -> None:
    done = subprocess.run(["sh", SCRIPT, sys.executable], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, sys.executable), done.stderr
