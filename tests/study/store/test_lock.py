from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from study.store import lock
from study.store.lock import LOCK_FILE, DriverLock, Holder, is_running, live_holder, refuse_second_driver
from study.store.storage import Store, open_store
from study.store.storage_error import StorageError
from trainables.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "study"))


def never() -> None:
    raise AssertionError("the lock was not lost")


def hold(folder: Store, **changes: object) -> None:
    import socket

    fields = asdict(Holder(socket.gethostname(), os.getpid(), time.time(), time.time(), "token")) | changes
    folder.write(LOCK_FILE, json.dumps(fields).encode())


def test_a_second_driver_is_refused_until_the_first_is_done(folder: Store) -> None:
    first = DriverLock(folder, never)
    first.acquire()
    assert live_holder(folder) is not None
    with pytest.raises(InputError, match=rf"being run by process {os.getpid()} on .*; wait for it"):
        DriverLock(folder, never).acquire()
    first.release()
    assert live_holder(folder) is None
    refuse_second_driver(folder)


def test_a_lock_is_stale_at_once_when_its_process_is_gone(folder: Store) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    hold(folder, pid=gone.pid)
    assert live_holder(folder) is None
    lock = DriverLock(folder, never)
    lock.acquire()
    lock.release()


def test_another_host_is_believed_for_a_minute(folder: Store) -> None:
    hold(folder, host="elsewhere", pid=1, heartbeat=time.time() - 50)
    assert live_holder(folder) is not None
    hold(folder, host="elsewhere", pid=1, heartbeat=time.time() - 70)
    assert live_holder(folder) is None


def test_a_driver_whose_clock_is_behind_is_seen_by_its_heartbeat(
    folder: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(folder, host="elsewhere", pid=1, heartbeat=time.time() - 500)
    waited: list[float] = []

    def beats(seconds: float) -> None:
        waited.append(seconds)
        hold(folder, host="elsewhere", pid=1, heartbeat=time.time() - 490)

    monkeypatch.setattr(time, "sleep", beats)
    with pytest.raises(InputError, match="by process 1 on elsewhere, whose clock is behind this one's"):
        DriverLock(folder, never).acquire()
    assert waited == [lock.HEARTBEAT_SECONDS]


def test_a_stale_lock_of_another_host_is_taken(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(folder, host="elsewhere", pid=1, heartbeat=time.time() - 500)
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    ours = DriverLock(folder, never)
    ours.acquire()
    assert sum(waited) > 2 * lock.HEARTBEAT_SECONDS
    holder = live_holder(folder)
    assert holder is not None
    assert holder.pid == os.getpid()
    ours.release()


def test_a_lock_of_another_host_that_is_given_back_is_waited_for_no_longer(
    folder: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(folder, host="elsewhere", pid=1, heartbeat=time.time() - 500)
    waited: list[float] = []

    def given_back(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:
            folder.delete(LOCK_FILE)

    monkeypatch.setattr(time, "sleep", given_back)
    ours = DriverLock(folder, never)
    ours.acquire()
    assert waited == [lock.HEARTBEAT_SECONDS, lock.SETTLE_SECONDS]
    ours.release()


def test_a_lock_that_cannot_be_read_is_no_sign_of_life_and_no_leave(
    folder: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Store, name: str) -> bytes:
        raise StorageError(f"{name} cannot be read: Permission denied")

    monkeypatch.setattr(Store, "read", denied)
    assert not is_running(folder)
    with pytest.raises(InputError, match=r"driver\.lock cannot be read: Permission denied"):
        refuse_second_driver(folder)


def test_a_process_that_may_not_be_signalled_lives(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    hold(folder)
    assert live_holder(folder) is not None


@pytest.mark.parametrize("content", [b"", b"{", b'{"host": "x"}', b"[]"])
def test_the_remains_of_a_lock_hold_nothing(folder: Store, content: bytes) -> None:
    folder.write(LOCK_FILE, content)
    assert live_holder(folder) is None


def test_of_two_that_saw_no_lock_the_later_writer_wins(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def another_writes(seconds: float) -> None:
        hold(folder)

    monkeypatch.setattr(time, "sleep", another_writes)
    with pytest.raises(InputError, match="is being run by process"):
        DriverLock(folder, never).acquire()


def test_the_heart_beats_and_notices_a_loss(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.02)
    lost: list[bool] = []
    ours = DriverLock(folder, lambda: lost.append(True))
    ours.acquire()
    first = live_holder(folder)
    assert first is not None
    _until(lambda: (now := live_holder(folder)) is not None and now.heartbeat > first.heartbeat)
    hold(folder)
    _until(lambda: bool(lost))
    ours.release()
    assert live_holder(folder) is not None  # the other driver's lock stays


def test_a_storage_that_is_away_for_a_beat_is_no_loss(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.02)
    ours = DriverLock(folder, never)
    ours.acquire()
    failures: list[str] = []
    write = Store.write

    def fails_once(self: Store, name: str, content: bytes) -> None:
        if not failures:
            failures.append(name)
            raise OSError("away")
        write(self, name, content)

    monkeypatch.setattr(Store, "write", fails_once)
    started = time.time()
    _until(lambda: bool(failures) and (now := live_holder(folder)) is not None and now.heartbeat > started)
    ours.release()
    assert live_holder(folder) is None


def test_a_storage_that_takes_nothing_more_keeps_a_stale_lock(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = DriverLock(folder, never)
    lock.acquire()

    def read_only(self: Store, name: str = "") -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Store, "delete", read_only)
    lock.release()
    assert folder.exists(LOCK_FILE)


def _until(condition: object) -> None:
    assert callable(condition)
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited five seconds in vain")
