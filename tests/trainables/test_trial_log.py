"""The log of a trial, with outputs of Python, of compiled code and of child processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainables.trial_log import LOG_LINES, TrialLog, log_file, tail

PROGRAM = """
import os, subprocess, sys
from trainables.trial_log import TrialLog
print("before")
with TrialLog(sys.argv[1], "abc"):
    print("python")
    os.write(1, b"compiled\\n")
    print("errors", file=sys.stderr)
    subprocess.run([sys.executable, "-c", "print('child')"], check=True)
print("after")
"""


def test_both_outputs_of_everything_go_to_the_file_and_back(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("before\nafter\n", "")
    assert sorted(tail(log_file(str(tmp_path), "abc")).split()) == ["child", "compiled", "errors", "python"]


def test_a_second_try_adds_to_the_first(tmp_path: Path) -> None:
    for number in (1, 2):
        with TrialLog(str(tmp_path), "abc"):
            os.write(1, f"try {number}\n".encode())
    assert tail(log_file(str(tmp_path), "abc")) == "try 1\ntry 2"


def test_where_the_drivers_folder_is_not_the_exception_still_carries_the_end(tmp_path: Path) -> None:
    gone = tmp_path / "elsewhere"

    def trial() -> None:
        with TrialLog(str(gone), "abc"):
            os.write(2, b"said\n")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken") as raised:
        trial()
    assert raised.value.__notes__ == ["The end of its log:\nsaid"]
    assert not gone.exists()


def test_a_log_that_cannot_be_written_fails_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    before = os.fstat(1)
    with TrialLog(str(tmp_path), "abc"):
        monkeypatch.setattr(sys.stdout, "flush", full)
    monkeypatch.undo()
    assert os.path.samestat(os.fstat(1), before)


def test_an_exception_without_a_log_carries_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken") as raised, TrialLog(str(tmp_path), "abc"):
        raise ValueError("broken")
    assert not hasattr(raised.value, "__notes__")


def test_a_trial_near_its_limit_says_where_it_stands(tmp_path: Path) -> None:
    with TrialLog(str(tmp_path), "abc", limit=0.2):
        time.sleep(0.6)  # the line that hangs
    said = tail(log_file(str(tmp_path), "abc"))
    assert said.startswith("still running after 0 s, here:")
    assert "time.sleep(0.6)  # the line that hangs" in said


def test_a_trial_within_its_limit_says_nothing(tmp_path: Path) -> None:
    with TrialLog(str(tmp_path), "abc", limit=0.4):
        pass
    time.sleep(0.6)
    assert tail(log_file(str(tmp_path), "abc")) == ""


def test_the_tail_has_the_last_lines_and_none_without_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert tail(path) == ""
    path.write_bytes(b"x" * 200_000 + b"\n\xff\n" + b"".join(b"%d\n" % i for i in range(100)))
    assert tail(path).splitlines() == [str(i) for i in range(100 - LOG_LINES, 100)]
