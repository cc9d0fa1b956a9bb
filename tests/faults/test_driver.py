"""What happens to the driver: killed at five moments, told to stop, out of time, a second one."""

from __future__ import annotations

import json
import signal

import pytest

from study.store.lock import LOCK_FILE
from tests.faults.harness import Study, ended, kill, mended, same_as, until

pytestmark = pytest.mark.faults

HELD = {"l2=0.001": "held once"}


def test_killed_while_it_starts(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, write="study.json")
    until(driver, (study.notes / "driver").exists)
    kill(driver)
    assert sorted(path.name for path in study.path.iterdir()) == [f".study.json.{driver.pid}.part", LOCK_FILE]
    refused = study.type("resume", "pawsx")
    assert refused.code == 2
    assert refused.err == (
        f"fisher-study: {study.storage} holds no study 'pawsx'; it holds no study yet; start one with: "
        f"fisher-study run quick --storage {study.storage}\n"
    )
    done = study.type("run", *study.options)
    assert (done.code, done.err) == (0, "")
    same_as(study, whole)


def test_told_to_stop_while_ray_starts(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options)
    until(driver, lambda: bool(study.processes("gcs_server")))
    driver.terminate()
    stopped = ended(driver)
    assert (stopped.code, stopped.err) == (143, "")
    assert stopped.last[-1] == "interrupted before anything was written"
    assert not study.path.exists()
    done = study.type("run", *study.options)
    assert (done.code, done.err) == (0, "")
    same_as(study, whole)


def test_killed_before_the_first_record(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, faults={"baseline": "held once"})
    until(driver, (study.notes / "baseline").exists)
    kill(driver)
    assert study.records() == {}
    done = mended(study, whole, {})
    assert done.out.splitlines()[1] == "pawsx: 0 of 3 trials are finished"


def test_killed_while_it_writes_a_record(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, write="a second record")
    until(driver, (study.notes / "driver").exists)
    kill(driver)
    assert len(list((study.path / "trials").glob(".*.part"))) == 1
    kept = study.records()
    assert len(kept) == 1
    mended(study, whole, kept)


def test_killed_in_the_middle_of_a_trial(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, faults=HELD)
    until(driver, (study.notes / "l2=0.001").exists)
    kill(driver)
    kept = study.records()
    assert len(kept) == 2
    shown = study.type("show", "pawsx")
    assert shown.last[-1] == "3 trials planned: 2 complete, 1 unfinished"
    mended(study, whole, kept)
    assert study.provenance("l2=0.001")["continued_from"] == "the start and epoch 1 of the next stage"
    assert not (study.path / "checkpoints").exists()


def test_killed_with_a_checkpoint_that_is_damaged(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, faults=HELD)
    until(driver, (study.notes / "l2=0.001").exists)
    kill(driver)
    kept = study.records()
    (checkpoint,) = (study.path / "checkpoints").glob("[!.]*")
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2])
    mended(study, whole, kept)
    said = study.provenance("l2=0.001")
    assert said["checkpoint"].startswith("not used, so the trial began anew: it is damaged (")
    assert "continued_from" not in said


def test_killed_while_it_writes_the_report(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, write="report.html")
    until(driver, (study.notes / "driver").exists)
    kill(driver)
    kept = study.records()
    assert len(kept) == 3
    assert not (study.path / "report" / "report.html").exists()
    done = mended(study, whole, kept)
    assert done.last[-1] == f"report: {study.path}/report/report.html"
    assert (study.path / "report" / "report.html").is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop(study: Study, whole: Study, number: signal.Signals) -> None:
    driver = study.start("run", *study.options, faults=HELD)
    until(driver, (study.notes / "l2=0.001").exists)
    driver.send_signal(number)
    stopped = ended(driver)
    assert (stopped.code, stopped.err) == (128 + number, "")
    assert stopped.last == [
        f"interrupted ({number.name}). 3 trials planned: 2 complete, 1 unfinished",
        f"go on with: fisher-study resume pawsx --storage {study.storage} --concurrency 1",
    ]
    kept = study.records()
    assert len(kept) == 2
    mended(study, whole, kept)


def test_out_of_time(study: Study, whole: Study) -> None:
    stopped = study.type("run", *study.options, "--time-budget", "60s", faults={"baseline": "held once"})
    assert (stopped.code, stopped.err) == (143, "")
    assert stopped.last[0] == "interrupted (the time budget is used up). 3 trials planned: 0 complete, 3 unfinished"
    mended(study, whole, {})


def test_a_second_driver(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, faults=HELD)
    until(driver, (study.notes / "l2=0.001").exists)
    holder = json.loads((study.path / LOCK_FILE).read_text())
    assert holder["pid"] == driver.pid
    for words in (("resume", "pawsx"), ("run", *study.options)):
        second = study.type(*words)
        assert second.code == 2
        assert second.err == (
            f"fisher-study: {study.path} is being run by process {driver.pid} on {holder['host']}; "
            f"wait for it, or end it and try again (its lock is {study.path}/{LOCK_FILE})\n"
        )
    assert driver.poll() is None
    driver.terminate()
    assert ended(driver).code == 143
    mended(study, whole, study.records())


def test_two_drivers_at_once(study: Study, whole: Study) -> None:
    drivers = [study.start("run", *study.options) for _ in range(2)]
    first, second = sorted((ended(driver) for driver in drivers), key=lambda done: done.code)
    assert (first.code, first.err) == (0, "")
    assert second.code == 2
    assert "is being run by process" in second.err or "another run changed" in second.err
    assert second.err.count("\n") == 1
    same_as(study, whole)
    assert len(list((study.path / "runs").iterdir())) == 1  # no trial ran twice
