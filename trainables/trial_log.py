"""What a trial's process prints while the trial runs, so that a failed trial can be understood afterwards."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any

LOG_LINES = 40
LATE = 0.95
"""Share of its time limit after which a trial that is still running logs its stack."""


class TrialLog:
    """Both output streams of this process in one file, those of compiled code and child processes included.

    A trial that fails carries the end of its log in the exception, even across machines. If it is killed, the driver
    can read the file if it is on the driver's machine.

    Args:
        folder: Where the driver reads logs; None, or a folder that this machine lacks, means a temporary file.
        limit: Seconds after which the driver ends the trial; None: never.
    """

    def __init__(self, folder: str | None, trial_id: str, limit: float | None = None) -> None:
        self._path = None if folder is None else log_file(folder, trial_id)
        self._timer = None if limit is None else threading.Timer(LATE * limit, self._stand)
        self._thread = threading.get_ident()
        self._late = "" if limit is None else f"still running after {LATE * limit:.0f} s, here:\n"

    def __enter__(self) -> TrialLog:
        _flush()
        self._file = self._open()
        if self._file is None:
            return self
        self._before = [(number, os.dup(number)) for number in (1, 2)]
        for number, _ in self._before:
            os.dup2(self._file.fileno(), number)
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        _flush()
        for number, copy in self._before:
            os.dup2(copy, number)
            os.close(copy)
        if error is not None and (end := tail(Path(self._file.name))):
            error.add_note(f"The end of its log:\n{end}")
        self._file.close()

    def _open(self) -> Any:
        """The driver's file, a temporary one where its folder is missing, or nothing: a log is no reason to fail."""
        with suppress(OSError):
            if self._path is not None:
                return self._path.open("ab")
        with suppress(OSError):
            return NamedTemporaryFile()
        return None

    def _stand(self) -> None:
        assert self._file is not None
        frame = sys._current_frames().get(self._thread)
        stack = "".join(traceback.format_stack(frame, LOG_LINES // 3)) if frame is not None else ""
        os.write(self._file.fileno(), (self._late + stack).encode())


def log_file(folder: str, trial_id: str) -> Path:
    """The log file of a trial in the folder of logs."""
    return Path(folder) / f"{trial_id}.log"


def tail(path: Path) -> str:
    """The last lines of a log; nothing when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 100_000))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-LOG_LINES:])


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # such as on a full disk
            stream.flush()
