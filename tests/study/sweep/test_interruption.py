from __future__ import annotations

import os
import signal

import pytest

from study.sweep.interruption import Interruption


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.getsignal(number)  # the interpreter runs a pending handler before the next line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_before_the_sweep_a_signal_ends_the_block(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interruption() as interruption:
        send(number)
        raise AssertionError("not reached")
    assert interruption.reason == number
    assert signal.getsignal(number) is before


def test_in_the_sweep_a_signal_is_passed_to_tune_and_a_second_one_is_not_waited_for() -> None:
    told: list[int] = []
    with Interruption() as interruption:
        signal.signal(signal.SIGUSR1, lambda number, frame: told.append(number))  # as Tune does
        interruption.arm()
        send(signal.SIGTERM)
        assert told == [signal.SIGUSR1]
        assert interruption.reason == signal.SIGTERM
        send(signal.SIGINT)
        raise AssertionError("not reached")
    assert interruption.reason == signal.SIGTERM


def test_a_request_before_the_sweep_stops_it_at_its_start() -> None:
    told: list[int] = []
    with Interruption() as interruption:
        signal.signal(signal.SIGUSR1, lambda number, frame: told.append(number))
        interruption.request("another driver")
        assert told == []
        interruption.arm()
        assert told == [signal.SIGUSR1]
        interruption.disarm()
        interruption.request("too late")
    assert told == [signal.SIGUSR1]
    assert interruption.reason == "another driver"


def test_other_errors_pass() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption():
        raise KeyboardInterrupt  # nobody's signal: not ours to swallow
