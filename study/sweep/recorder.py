"""How trials end, in the driver: records, the time limit of a trial, and the time budget of the sweep."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray import cloudpickle, tune

from study.browse.tables import duration
from study.store.records import TrialError, TrialRecord
from study.store.storage_error import cause
from study.sweep.interruption import TIME_BUDGET, Interruption
from study.sweep.progress import SweepProgress
from study.sweep.queue import Queue
from study.sweep.resources import Resources
from trainables.errors import one_line
from trainables.trial_log import LOG_LINES, log_file, tail
from trainables.tune_trainable import OUTCOME

TAIL_LINES = 2 * LOG_LINES
PATIENCE = (0.5, 2.0, 5.0)
"""Seconds between attempts to write a record."""


@dataclass(eq=False)
class Recorder(tune.Callback):  # type: ignore[misc]
    """Turns the end of each trial into its record."""

    study: str
    run: str
    queue: Queue
    write: Callable[[TrialRecord], None]
    progress: SweepProgress
    interruption: Interruption
    resources: Resources
    logs: str
    _started: dict[str, float] = field(default_factory=dict, init=False)
    _overdue: set[str] = field(default_factory=set, init=False)
    _ended: set[str] = field(default_factory=set, init=False)
    _unwritten: list[TrialRecord] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        budget = self.resources.time_budget
        self._end = math.inf if budget is None else time.monotonic() + budget

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune pickles its callbacks into tuner.pkl, which we never read; this one has a live display."""
        return tune.Callback, ()

    def setup(self, *args: Any, **info: Any) -> None:
        """Take the signals back, now that Tune has installed its handlers."""
        self.interruption.arm()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Show the trial, and start its clock."""
        trial_id = trial.config["trial_id"]
        self._started[trial_id] = time.monotonic()
        self.progress.started(trial_id)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Check the clock, some ten times a second: Tune itself never stops a trial that does not report."""
        now = time.monotonic()
        if now >= self._end:
            self._end = math.inf
            self.interruption.request(TIME_BUDGET)
        limit = self.resources.trial_time_limit
        if limit is None:
            return
        late = {trial_id for trial_id, started in self._started.items() if now - started > limit}
        for trial in trials if late else ():
            if trial.config["trial_id"] in late:
                self._kill(trial)

    def _kill(self, trial: Any) -> None:
        """End a trial for good; Tune then learns that its actor died."""
        trial_id = trial.config["trial_id"]
        if (actor := trial.temporary_state.ray_actor) is not None:
            self._started.pop(trial_id)
            self._overdue.add(trial_id)
            trial.max_failures = 0  # another try would take as long
            ray.kill(actor)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Write the record at the last report, since the sweep or the worker may end before anything else happens."""
        if (outcome := result.get(OUTCOME)) is not None:
            trial.max_failures = 0  # it has its result, so it must not run again, whatever happens to its worker now
            self._started.pop(trial.config["trial_id"], None)
            self._finish(trial, json.loads(outcome))
        else:
            with suppress(OSError):  # a closed terminal is no reason to end
                self.progress.reported(trial.config["trial_id"], result)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Stop the clock of a trial that waits for its next try, which starts a new clock."""
        self._started.pop(trial.config["trial_id"], None)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record a trial without a result as failed, unless it was only stopped because the sweep was."""
        self._started.pop(trial.config["trial_id"], None)
        if self.interruption.reason is None:
            self._finish(trial, {"state": "failed", "reason": "it ended without a result"})

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Write the record of a trial that failed for the last time."""
        trial_id = trial.config["trial_id"]
        self._started.pop(trial_id, None)
        if trial_id in self._overdue:
            message = f"it ran longer than {duration(self.resources.trial_time_limit or 0.0)}"
            error = TrialError(type="time limit", message=message, log_tail=self._log(trial_id))
        else:
            error = _error(trial, self._log(trial_id))
        self._finish(trial, {"state": "failed", "reason": f"{error.type}: {error.message}", "error": error})

    def _log(self, trial_id: str) -> str:
        return tail(log_file(self.logs, trial_id))

    def _finish(self, trial: Any, outcome: dict[str, Any]) -> None:
        planned = self.queue.handed(trial.config["trial_id"])
        if planned.trial_id in self._ended:
            return
        self._ended.add(planned.trial_id)
        outcome["provenance"] = {"run": self.run, **outcome.get("provenance", {})}
        record = TrialRecord(
            study=self.study,
            trial_id=planned.trial_id,
            arm=planned.arm,
            label=planned.label,
            seed=planned.seed,
            config=planned.config.model_dump(mode="json"),
            **outcome,
        )
        try:
            self._keep(record)
        except OSError as error:
            self._unwritten.append(record)
            self.interruption.request(f"the record of {planned.label} cannot be written: {cause(error)}")
            return
        self.queue.ended(record)
        if record.state in ("complete", "not_reached"):
            log_file(self.logs, record.trial_id).unlink(missing_ok=True)
        with suppress(OSError):  # a closed terminal is no reason to end
            self.progress.ended(record)

    def _keep(self, record: TrialRecord) -> None:
        """Write a record, with retries: a shared file system may be unavailable for a moment."""
        for seconds in PATIENCE:
            try:
                return self.write(record)
            except FileNotFoundError:  # the study itself is gone, for good
                raise
            except OSError:
                time.sleep(seconds)
        self.write(record)

    def write_late(self) -> None:
        """Try once more, at the end, to write the records that could not be written."""
        for record in self._unwritten:
            with suppress(OSError):
                self.write(record)


def _error(trial: Any, log: str) -> TrialError:
    """What a failed trial raised, as read from the file that Tune keeps on the driver's machine."""
    with open(trial.pickled_error_file or trial.error_file, "rb") as file:
        error = cloudpickle.load(file) if trial.pickled_error_file else RuntimeError(_last(file.read().decode()))
    cause = getattr(error, "cause", None) or error
    message = one_line(cause, "no message")
    text = str(error) or "".join(traceback.format_exception(error))
    if log and log not in text:  # its worker died and could not add the log
        text = f"{text.rstrip()}\n\nThe end of its log:\n{log}"
    return TrialError(type=type(cause).__name__, message=message, log_tail="\n".join(text.splitlines()[-TAIL_LINES:]))


def _last(text: str) -> str:
    """The last failure in Tune's text file, without Tune's headline."""
    return text.rpartition("Failure # ")[2].partition("\n")[2] or text
