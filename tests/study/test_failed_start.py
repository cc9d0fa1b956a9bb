"""Each cause of a Ray that does not start, made with the real Ray where it fails at once, else with its own words."""

from __future__ import annotations

import errno
import os
import pwd
import tempfile
from pathlib import Path
from typing import Any

import pytest

from study.sweep.resources import Resources, prepare_ray
from trainables.errors import InputError

prepare_ray("local")

from study.sweep import failed_start  # noqa: E402 (Ray reads the environment when it is imported)
from study.sweep.cluster import session  # noqa: E402

TIMED_OUT = Exception("The current node timed out during startup. This could happen because\nof something.")
OWN = f"export RAY_TMPDIR=/tmp/ray-{os.getuid()}"


@pytest.fixture(autouse=True)
def _no_ray_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)


def refused() -> str:
    with pytest.raises(InputError) as refusal, session(Resources()):
        raise AssertionError("not reached")
    message = str(refusal.value)
    assert "\n" not in message
    assert message.startswith("Ray did not start on this machine: ")
    return message


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> str:
    def init(**options: Any) -> None:
        raise error

    monkeypatch.setattr("ray.init", init)
    return refused()


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_path_that_is_too_long_for_a_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str) -> None:
    folder = tmp_path / ("x" * 60)
    folder.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(variable, str(folder))
    message = refused()
    assert f"{folder}/ray, is too long for a socket" in message
    assert message.endswith(OWN)
    assert "too busy" not in message


@pytest.mark.parametrize("words", ["a path of at most 39 bytes"])
def test_the_length_that_is_named_is_the_longest_that_ray_takes(words: str) -> None:
    longest = "/" + "x" * 38
    socket = f"{longest}/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
    assert len(socket) == failed_start.SOCKET_PATH
    assert words == failed_start.SHORT


def test_a_file_where_the_folder_would_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ray").touch()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    message = refused()
    assert f"it cannot use its temporary folder {tmp_path}/ray (File exists)" in message
    assert message.endswith(OWN)


def test_a_folder_of_another_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ray").mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    other = next(one for one in pwd.getpwall() if one.pw_uid != os.getuid())
    stat = os.stat(tmp_path)
    monkeypatch.setattr(Path, "stat", lambda self, **rest: os.stat_result((*stat[:4], other.pw_uid, *stat[5:])))
    error = PermissionError(errno.EACCES, "Permission denied", f"{tmp_path}/ray/session_x")
    message = failing(monkeypatch, error)
    assert f"{tmp_path}/ray, which belongs to the user {other.pw_name} (Permission denied)" in message
    assert message.endswith(OWN)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int) -> None:
    def full(**options: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    message = failing(monkeypatch, TIMED_OUT)
    assert f"no space is left for its temporary folder {tmp_path}/ray ({os.strerror(code)}): free some" in message
    assert "too busy" not in message


def test_shared_memory_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Unwritable(type(tmp_path)):  # type: ignore[misc]
        def mkdir(self, *rest: Any, **options: Any) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(failed_start, "SHARED_MEMORY", Unwritable(tmp_path))
    message = failing(monkeypatch, TIMED_OUT)
    assert message.endswith(
        f"cannot write to {tmp_path} (Read-only file system): mount it writable for everyone (mode 1777)"
    )


PORT = (
    "Failed to start GCS. Last lines of files:\n[2026-11-26 01:49:00,454 C 1 1] (gcs_server) grpc_server.cc:134: "
    "Check failed: server_ Failed to start the grpc server. The specified port is 45678. This means\n.Please check it."
)
FILES = (
    "E1126 01:51:10.316467809   15483 tcp_server_posix.cc:378]              File descriptor limit reached. Retrying."
)
MEMORY = (
    "[2026-11-26 01:51:34,693 E 1 2] (raylet) dlmalloc.cc:215: mmap failed with error: Cannot allocate memory\n"
    "[2026-11-26 01:51:34,707 C 1 2] (raylet) plasma_allocator.cc:79:  An unexpected system state has occurred."
)
LATE = (
    "[2026-11-26 01:51:34,707 C 1 2] (raylet) a.cc:1:  An unexpected system state has occurred. Check failed: "
    "statussetor3576.has_value() Timed out waiting for file /tmp/ray/session_1/metrics_agent_port_cf7b"
)
UNKNOWN = (
    "[2026-11-26 01:51:34,600 I 1 2] (raylet) a.cc:1: all is well\n"
    "[2026-11-26 01:51:34,693 E 1 2] (raylet) b.cc:2: something is odd\n"
    "[2026-11-26 01:51:34,707 C 1 2] (raylet) c.cc:3:  The moon is in the wrong place.\n    @ 0x55c7f8d360c3 main"
)


@pytest.mark.parametrize(
    ("error", "log", "expected"),
    [
        (RuntimeError(PORT), "", "port 45678 is taken: free it, or unset what names it, such as RAY_GCS_SERVER_PORT"),
        (TIMED_OUT, FILES, "too few files may be open at once: first type 'ulimit -n 4096'"),
        (TIMED_OUT, MEMORY, "memory is short: free some, or raise its limit (ulimit -v)"),
        (TIMED_OUT, LATE, "the machine is too busy, so a process of Ray was not ready in time: try again"),
        (TIMED_OUT, UNKNOWN, "The moon is in the wrong place.; its logs are in {logs}"),
        (TIMED_OUT, "", "of something.; its logs are in {logs}; the machine may be too busy: then try again"),
        (ValueError("too little\nof everything"), "", "of everything; its logs are in {logs}"),
        (ValueError(), "", "ValueError; its logs are in {logs}"),
    ],
)
def test_what_ray_says_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, log: str, expected: str
) -> None:
    logs = tmp_path / "ray" / f"session_2026-11-26_01-49-00_335139_{os.getpid()}" / "logs"
    another = tmp_path / "ray" / "session_2026-11-26_01-49-01_335139_1" / "logs"
    for folder, text in ((logs, log), (another, "[2026-11-26 01:51:34,707 C 1 2] (raylet) c.cc:3:  Not ours.")):
        folder.mkdir(parents=True)
        (folder / "raylet.err").write_text(text)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert failing(monkeypatch, error).endswith(": " + expected.format(logs=logs))


def test_a_start_that_left_no_logs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert failing(monkeypatch, ValueError("why it is")) == "Ray did not start on this machine: why it is"
