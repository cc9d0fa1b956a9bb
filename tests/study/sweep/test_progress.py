from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from study.store.records import TrialRecord
from study.sweep.progress import ROWS, SweepProgress, summary

if TYPE_CHECKING:
    from tests.study.conftest import MakeStudy

Make = Callable[..., TrialRecord]


def test_lines_where_there_is_no_terminal(make_study: MakeStudy, make_record: Make) -> None:
    _, trials = make_study()
    console = Console(file=io.StringIO(), width=80)
    with SweepProgress(console, trials[2:], done=2) as progress:
        progress.started(trials[2].trial_id)
        progress.ended(make_record(trials[2]))
        progress.ended(make_record(trials[3], state="failed", reason="ValueError: [x]", measurements={}, provenance={}))
    output = console.file
    assert isinstance(output, io.StringIO)
    begun, first, second = output.getvalue().splitlines()
    assert begun == "Ray is up, and the first trials run; a line follows as each one ends"
    assert first == "[3/6] kl=0 seed 0: complete, accuracy en 0.700, Tr(F) 0.3, 2 s, about 8 s left"
    assert second == "[4/6] kl=0 seed 1: failed: ValueError: [x], about 5 s left"


def test_a_line_a_minute_about_trials_that_run(
    make_study: MakeStudy, make_record: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("study.sweep.progress.time.monotonic", lambda: now[0])
    _, trials = make_study()
    output = io.StringIO()
    with SweepProgress(Console(file=output, width=80), trials, done=0) as progress:
        for trial in trials[:2]:
            progress.started(trial.trial_id)
        for seconds, epoch in ((59.0, 1), (61.0, 2), (120.0, 3)):
            now[0] = seconds
            progress.reported(trials[1].trial_id, {"stage0/en/train_loss": 1 / epoch, "epoch": epoch, "config": {}})
        now[0] = 121.0
        progress.reported(trials[0].trial_id, {"stage1/de/train_loss": 0.25, "epoch": 1.5})
        for other in (
            {"training_iteration": 9},
            {"stage0/en/train_loss": 1.0},
            {"stage0/en/train_loss/x": 1.0, "epoch": 1},
        ):
            progress.reported(trials[1].trial_id, other)
        progress.ended(make_record(trials[0]))
        now[0] = 999.0
        progress.reported(trials[0].trial_id, {"stage0/en/train_loss": 1.0, "epoch": 1})  # of a trial that has ended
    _, *lines, _ = output.getvalue().splitlines()
    english, second = (stage.longest for stage in trials[0].config.stages)
    assert lines == [
        f"baseline seed 1: en epoch 2 of {english}, train_loss 0.5",
        f"baseline seed 0: de epoch 1.5 of {second}, train_loss 0.25",
    ]


def test_a_live_display_on_a_terminal(make_study: MakeStudy, make_record: Make) -> None:
    _, trials = make_study()
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with SweepProgress(console, trials, done=0) as progress:
        for trial in trials[:3]:
            progress.started(trial.trial_id)
        progress.reported(trials[2].trial_id, {"stage0/en/accuracy.en": 0.625, "epoch": 2})
        progress.ended(make_record(trials[0]))
        progress.ended(make_record(trials[1], state="diverged", reason="loss is nan", measurements={}))
    output = console.file
    assert isinstance(output, io.StringIO)
    shown = output.getvalue()
    assert "1 complete, 1 running, 3 waiting, 1 diverged" in shown
    assert "baseline" in shown
    assert "0.700" in shown
    assert "running: en epoch 2 of" in shown
    assert "accuracy.en 0.625" in shown


def test_running_trials_take_the_place_of_those_that_ended_first(make_study: MakeStudy, make_record: Make) -> None:
    _, trials = make_study()
    many = [replace(trials[0], trial_id=f"t{i}", label=f"trial{i:02}") for i in range(3 * ROWS)]
    console = Console(file=io.StringIO(), width=120)
    progress = SweepProgress(console, many, done=0)
    for trial in many:
        progress.started(trial.trial_id)
    for trial in many[: 2 * ROWS]:
        progress.ended(make_record(trial))
    console.print(progress._render())
    output = console.file
    assert isinstance(output, io.StringIO)
    shown = re.findall(r"^trial\d\d", output.getvalue(), re.MULTILINE)
    half = ROWS // 2
    assert shown == [trial.label for trial in many[2 * ROWS - half : 2 * ROWS + half]]


def test_nothing_when_quiet(make_study: MakeStudy, make_record: Make) -> None:
    _, trials = make_study()
    for terminal in (False, True):
        console = Console(file=io.StringIO(), width=80, quiet=True, force_terminal=terminal)
        with SweepProgress(console, trials, done=0) as progress:
            progress.started(trials[0].trial_id)
            progress.ended(make_record(trials[0]))
        output = console.file
        assert isinstance(output, io.StringIO)
        assert output.getvalue() == ""


def test_a_long_reason_keeps_the_display_low(make_study: MakeStudy, make_record: Make) -> None:
    _, trials = make_study()
    console = Console(file=io.StringIO(), width=60, force_terminal=True)
    with SweepProgress(console, trials, done=0) as progress:
        progress.ended(make_record(trials[0], state="failed", reason="OSError: " + "x" * 500, measurements={}))
    output = console.file
    assert isinstance(output, io.StringIO)
    last = output.getvalue().split("trial ")[-1].splitlines()
    assert "…" in last[1]
    assert "xxx" not in last[2]


def test_time_left_uses_each_arms_own_seconds(make_study: MakeStudy, make_record: Make) -> None:
    _, trials = make_study()
    progress = SweepProgress(Console(file=io.StringIO()), trials, done=0)
    assert progress.seconds_left() is None
    progress.started(trials[0].trial_id)
    progress.ended(make_record(trials[0], provenance={"seconds": 10.0}))
    assert progress.seconds_left() == pytest.approx(5 * 10)
    for trial in trials[1:3]:
        progress.started(trial.trial_id)
    assert progress.seconds_left() == pytest.approx((2 * 5 + 3 * 10) / 2)
    progress.ended(make_record(trials[2], provenance={"seconds": 30.0}))
    # baseline: one running at 10 s; kl: three waiting at 30 s; two at a time
    assert progress.seconds_left() == pytest.approx((5 + 3 * 30) / 2)


def test_a_summary_leaves_out_what_is_absent(make_study: MakeStudy, make_record: Make) -> None:
    _, trials = make_study()
    assert summary(make_record(trials[0], measurements={}, provenance={})) == "baseline seed 0: complete"
    assert summary(make_record(trials[0], provenance={"seconds": None})).endswith("Tr(F) 0.3")
