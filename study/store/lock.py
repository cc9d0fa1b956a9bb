"""The driver lock: one process at a time runs the trials of a study."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

from study.store.storage import Store
from trainables.errors import InputError

LOCK_FILE = "driver.lock"
HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
SETTLE_SECONDS = 0.2
WATCHED_BEATS = 3
"""A heartbeat may come late, and one may be missed while the storage is unavailable."""


@dataclass(frozen=True)
class Holder:
    """Who runs a study.

    Attributes:
        started: Seconds since 1970.
        heartbeat: When it last reported that it is alive (seconds since 1970).
        token: Distinguishes two drivers with the same process id.
    """

    host: str
    pid: int
    started: float
    heartbeat: float
    token: str

    def is_alive(self, now: float) -> bool:
        """Whether the driver still runs at ``now`` (seconds since 1970).

        It does not if its process is gone from this machine, or after a minute without a heartbeat.
        """
        if self.host == socket.gethostname():
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return False
            except PermissionError:
                pass  # it runs as another user
        return now - self.heartbeat <= STALE_SECONDS


def live_holder(study: Store) -> Holder | None:
    """The lock of the driver that runs a study now, or None if none does."""
    holder = _read(study)
    return holder if holder is not None and holder.is_alive(time.time()) else None


def is_running(study: Store) -> bool:
    """Whether a driver visibly runs a study now: also False when the lock cannot be read."""
    try:
        return live_holder(study) is not None
    except OSError:
        return False


def _read(study: Store) -> Holder | None:
    try:
        content = study.read(LOCK_FILE)
    except FileNotFoundError:
        return None
    try:
        return Holder(**json.loads(content))
    except (ValueError, TypeError):
        return None  # left by a driver that died while writing: nobody holds it


class DriverLock:
    """Held by the driver while it runs the trials of a study.

    Args:
        on_loss: Called, in the heartbeat's thread, when another driver has taken over the lock, which may happen after
            this machine has slept for more than a minute.
    """

    def __init__(self, study: Store, on_loss: Callable[[], None]) -> None:
        self._study = study
        self._on_loss = on_loss
        self._started = time.time()
        self._token = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="driver-lock", daemon=True)

    def acquire(self) -> None:
        """Take the lock and keep it alive; InputError when another driver holds it."""
        refuse_second_driver(self._study)
        self._watch()
        self._write()
        # Object stores cannot create a file exclusively. If two drivers both saw no lock, the later writer wins.
        time.sleep(SETTLE_SECONDS)
        refuse_second_driver(self._study, but=self._token)
        self._thread.start()

    def _watch(self) -> None:
        """Wait for a heartbeat: another machine's lock may look stale only because the clocks differ."""
        holder = _read(self._study)
        if holder is None or holder.host == socket.gethostname():
            return
        for _ in range(WATCHED_BEATS):
            time.sleep(HEARTBEAT_SECONDS)
            after = _read(self._study)
            if after is None:  # it has been released
                return
            if after.heartbeat == holder.heartbeat:
                continue
            raise InputError(
                f"{self._study.location} is being run by process {after.pid} on {after.host}, whose clock is behind "
                f"this one's; wait for it, or end it and try again"
            )

    def release(self) -> None:
        """Release the lock, unless another driver has taken it over."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(OSError):  # the storage may refuse writes; the lock is stale once this process is gone
            if not self._is_anothers():
                self._study.delete(LOCK_FILE)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                if self._is_anothers():
                    self._on_loss()
                    return
                self._write()
            except OSError:
                continue  # the storage may be back at the next beat; the lock is stale after a minute without one

    def _is_anothers(self) -> bool:
        holder = _read(self._study)
        return holder is not None and holder.token != self._token

    def _write(self) -> None:
        holder = Holder(socket.gethostname(), os.getpid(), self._started, time.time(), self._token)
        self._study.write(LOCK_FILE, json.dumps(asdict(holder)).encode())


def refuse_second_driver(study: Store, but: str | None = None) -> None:
    """Raise an InputError while a driver whose token is not ``but`` runs the study, or when the lock is unreadable."""
    holder = live_holder(study)
    if holder is not None and holder.token != but:
        raise InputError(
            f"{study.location} is being run by process {holder.pid} on {holder.host}; "
            f"wait for it, or end it and try again (its lock is {study.place(LOCK_FILE)})"
        )
