"""How a sweep ends early but in order: on a signal, when its time is used up, or when the driver loses its lock."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TIME_BUDGET = "the time budget is used up"


class Interruption:
    """A context in which SIGINT, SIGTERM or another thread can ask for an early end.

    Until the sweep is armed, a signal raises KeyboardInterrupt, which this context catches; after that, it ends Tune's
    loop in order. ``reason`` is the signal's number, or text; None if there was no request.
    """

    def __init__(self) -> None:
        self.reason: int | str | None = None
        self._armed = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        self._before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGUSR1)}
        self._take_signals()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return kind is KeyboardInterrupt and self.reason is not None

    def arm(self) -> None:
        """Take the signals back from Tune, which has just installed its handlers."""
        self._take_signals()
        self._armed = True
        if self.reason is not None:
            self.request(self.reason)

    def disarm(self) -> None:
        """Note that Tune's loop is over."""
        self._armed = False

    def request(self, reason: int | str) -> None:
        """Ask the sweep to end."""
        self.reason = self.reason or reason
        if self._armed:
            os.kill(os.getpid(), signal.SIGUSR1)  # Tune's own handler for this signal ends the experiment in order

    def _take_signals(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again = self.reason is not None
        self.request(number)
        if again or not self._armed:
            raise KeyboardInterrupt
