"""What a person sees while a study runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from study.browse.tables import duration
from study.plan.planning import PlannedTrial
from study.store.records import TrialRecord

ROWS = 12
"""Trials that the live display shows: the running ones, up to half of the rows, and those that ended last."""
CURVE_POINT = re.compile(r"stage([01])/([^/]+)/([^/]+)")
LINE_EVERY = 60.0
"""Seconds between lines about running trials where there is no live display."""


@dataclass(eq=False)
class SweepProgress:
    """Follows the trials of one run.

    Args:
        trials: The trials that will run.
        done: Number of trials of the study that had already finished.
        advise: Makes a line from the trials that have ended; the first line that it returns is printed, once.
    """

    console: Console
    trials: Sequence[PlannedTrial]
    done: int
    advise: Callable[[Sequence[TrialRecord]], str | None] = lambda records: None

    def __post_init__(self) -> None:
        self._planned = {trial.trial_id: trial for trial in self.trials}
        self._advised = False
        self._running: dict[str, str] = {}  # what each has said last
        self._line_at = time.monotonic() + LINE_EVERY
        self._ended: list[TrialRecord] = []
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._slots = 1
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, console=self.console)
        self._task = self._bar.add_task("trials", total=len(self.trials) + self.done, completed=self.done)
        self._live = Live(console=self.console, get_renderable=self._render, refresh_per_second=4)

    def __enter__(self) -> SweepProgress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def started(self, trial_id: str) -> None:
        """Note that a trial began, or began again after its worker died."""
        if not (self.console.is_terminal or self._running or self._ended):
            self.console.print("Ray is up, and the first trials run; a line follows as each one ends")
        self._running[trial_id] = ""
        self._slots = max(self._slots, len(self._running))

    def reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Note the curve point, ``stage<number>/<language>/<name>``, that a running trial has reported."""
        for key, value in result.items():
            if (point := CURVE_POINT.fullmatch(key)) and "epoch" in result and trial_id in self._running:
                number, language, name = point.groups()
                trial = self._planned[trial_id]
                epochs = f"{result['epoch']:.3g} of {trial.config.stages[int(number)].longest}"
                self._running[trial_id] = f"{language} epoch {epochs}, {name} {value:.4g}"
                if not self.console.is_terminal and time.monotonic() >= self._line_at:
                    self._line_at = time.monotonic() + LINE_EVERY
                    line = f"{trial.label} seed {trial.seed}: {self._running[trial_id]}"
                    self.console.print(Text(line), soft_wrap=True)

    def ended(self, record: TrialRecord) -> None:
        """Note that a trial ended, and in which state."""
        self._running.pop(record.trial_id, None)
        self._ended.append(record)
        if (seconds := record.provenance.get("seconds")) is not None:
            self._seconds[record.arm].append(seconds)
        done = self.done + len(self._ended)
        self._bar.update(self._task, completed=done)
        if not self.console.is_terminal:
            line = f"[{done}/{self.done + len(self.trials)}] {summary(record)}{self._time_left()}"
            self.console.print(Text(line), soft_wrap=True)
        if not self._advised and (advice := self.advise(self._ended)):
            self._advised = True
            self.console.print(Text(advice), soft_wrap=True)

    def _time_left(self) -> str:
        left = self.seconds_left()
        return "" if not left else f", about {duration(left)} left"

    def seconds_left(self) -> float | None:
        """Seconds until the last trial ends, from the measured seconds of each arm; None until a trial has ended.

        Arms without a measurement count as the mean of the others.
        """
        measured = [seconds for arm in self._seconds.values() for seconds in arm]
        if not measured:
            return None
        mean = sum(measured) / len(measured)
        ended = {record.trial_id for record in self._ended}
        total = 0.0
        left = [trial_id for trial_id in self._planned if trial_id not in ended]
        for trial_id in left:
            of_arm = self._seconds.get(self._planned[trial_id].arm)
            expected = sum(of_arm) / len(of_arm) if of_arm else mean
            total += expected / 2 if trial_id in self._running else expected
        return total / max(1, min(self._slots, len(left)))

    def _render(self) -> RenderableType:
        states = Counter(record.state for record in self._ended)
        waiting = len(self.trials) - len(self._ended) - len(self._running)
        counts = [f"{states['complete']} complete", f"{len(self._running)} running", f"{waiting} waiting"]
        counts += [f"{states[state]} {state}" for state in ("not_reached", "failed", "diverged") if states[state]]
        self._bar.update(self._task, description=", ".join(counts) + self._time_left())
        table = Table(box=None, pad_edge=False)
        for column in ("trial", "seed", "state", "accuracy en", "Tr(F)", "seconds"):
            # A long reason is cut, so that the display keeps its height; the record has the full text.
            table.add_column(
                column, justify="left" if column in ("trial", "state") else "right", no_wrap=True, overflow="ellipsis"
            )
        running = list(self._running.items())[: ROWS // 2]
        for record in self._ended[len(running) - ROWS :]:
            table.add_row(*map(escape, _cells(record)))
        for trial_id, said in running:
            trial = self._planned[trial_id]
            table.add_row(escape(trial.label), str(trial.seed), f"running: {said}" if said else "running")
        return Group(table, self._bar)


def _cells(record: TrialRecord) -> list[str]:
    found = record.measurements
    return [
        record.label,
        str(record.seed),
        record.state if record.reason is None else f"{record.state}: {record.reason}",
        f"{found['accuracy.en']:.3f}" if "accuracy.en" in found else "",
        f"{found['fisher_trace']:.4g}" if "fisher_trace" in found else "",
        "" if (seconds := record.provenance.get("seconds")) is None else f"{seconds:.0f}",
    ]


def summary(record: TrialRecord) -> str:
    """One line about a trial that ended: label, seed, state, accuracy, Tr(F) and seconds."""
    label, seed, state, accuracy, trace, seconds = _cells(record)
    parts = [f"{label} seed {seed}: {state}"]
    parts += [f"accuracy en {accuracy}"] if accuracy else []
    parts += [f"Tr(F) {trace}"] if trace else []
    parts += [f"{seconds} s"] if seconds else []
    return ", ".join(parts)
