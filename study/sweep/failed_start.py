"""Why Ray did not start on this machine, and what to do about it."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path

SOCKET_PATH = 107
BELOW = len("/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
"""Bytes that Ray appends to the path of its temporary folder to name a socket; the result has at most SOCKET_PATH."""
SHARED_MEMORY = Path("/dev/shm")
NEEDED = 1 << 20
"""Bytes that Ray writes at least to its temporary folder when it starts."""
FULL = (errno.ENOSPC, errno.EDQUOT)
SHORT = f"a path of at most {SOCKET_PATH - BELOW} bytes"
SAID = re.compile(r"^(?:\[[^\]]* ([EFC]) \d+ \d+\] \(\w+\) [\w.]+:\d+: *|([EF])\d{4} [^\]]*\] *)(.*)$", re.MULTILINE)
"""An error in the logs of Ray's two servers, in either of its two forms; the letter is its severity."""
KNOWN = {
    r"specified port is (\d+)": r"port \1 is taken: free it, or unset what names it, such as RAY_GCS_SERVER_PORT",
    r"Too many open files|File descriptor limit": "too few files may be open at once: first type 'ulimit -n 4096'",
    r"pthread_create|Resource temporarily unavailable|can't start new thread": "too few processes and threads are "
    "allowed (ulimit -u): end some, or raise the limit",
    r"Cannot allocate memory|bad_alloc": "memory is short: free some, or raise its limit (ulimit -v)",
    r"exceeds /dev/shm size": "/dev/shm is too small: delete files there, or give a container more: --shm-size=2g",
    r"Timed out waiting for file": "the machine is too busy, so a process of Ray was not ready in time: try again",
}
"""What Ray's messages mean."""


def why_not(error: Exception) -> str:
    """Find the cause: in what Ray raised, in the folders that it needs, or in the logs of the start that failed.

    Returns:
        The cause and a remedy in one line; an unknown cause is quoted as Ray gives it.
    """
    text = str(error)
    # The folder that Ray itself would choose.
    temporary = Path(os.environ.get("RAY_TMPDIR", os.environ.get("TMPDIR", "/tmp"))) / "ray"
    own = f"set RAY_TMPDIR to a folder of your own ({SHORT}): export RAY_TMPDIR=/tmp/ray-{os.getuid()}"
    if "AF_UNIX path length" in text:
        return f"the path of its temporary folder, {temporary}, is too long for a socket; {own}"
    raised = isinstance(error, OSError) and str(error.filename).startswith(str(temporary.parent))
    if refusal := error if isinstance(error, OSError) and raised else _refusal(temporary, NEEDED):
        if refusal.errno in FULL:
            return (
                f"no space is left for its temporary folder {temporary} ({refusal.strerror}): free some, "
                f"or set RAY_TMPDIR to a folder that has some ({SHORT})"
            )
        return f"it cannot use its temporary folder {temporary}{_owner(temporary)} ({refusal.strerror}); {own}"
    if SHARED_MEMORY.is_dir() and (refusal := _refusal(SHARED_MEMORY, 0)):
        return f"it cannot write to {SHARED_MEMORY} ({refusal.strerror}): mount it writable for everyone (mode 1777)"
    said, logs = _logs(temporary)
    for pattern, meaning in KNOWN.items():
        if found := re.search(pattern, "\n".join([text, *(line for _, line in said)])):
            return found.expand(meaning)
    fatal = [line for level, line in said if level != "E"]
    lines = fatal or [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    where = "" if logs is None else f"; its logs are in {logs}"
    busy = "; the machine may be too busy: then try again" if not fatal and "timed out" in text.lower() else ""
    return f"{lines[-1]}{where}{busy}"


def _refusal(folder: Path, size: int) -> OSError | None:
    """The error, if any, of writing ``size`` bytes to a folder, which is made if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0" * size)
    except OSError as error:
        return error
    return None


def _owner(folder: Path) -> str:
    """Words that name a folder's owner, if it exists and belongs to somebody else."""
    try:
        return "" if folder.stat().st_uid == os.getuid() else f", which belongs to the user {folder.owner()}"
    except (OSError, KeyError):  # it does not exist, or its owner has no name on this machine
        return ""


def _logs(temporary: Path) -> tuple[list[tuple[str, str]], Path | None]:
    """Level and text of the errors that Ray's servers logged when this process started them, and the logs' folder."""
    starts = sorted(temporary.glob(f"session_*_{os.getpid()}"))
    if not starts:
        return [], None
    logs, said = starts[-1] / "logs", []
    for name in ("gcs_server", "raylet"):
        for kind in ("err", "out"):
            try:
                text = (logs / f"{name}.{kind}").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            said += [(found[1] or found[2], found[3]) for found in SAID.finditer(text)]
    return said, logs
