"""Planned trials on Ray Tune: the cluster, the resources, the failure policy and the way records reach the driver.

Tune gets the trials in the order of the plan: those of a grid as planned, those of an arm with slots as Optuna draws
them when they start. Tune's own snapshot and trial folders lag behind, so nothing here reads them: a trial's record is
made from its last report in a callback of the driver, when the trial ends.
"""

from __future__ import annotations

import json
import logging
import math
import signal
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray
from ray import cloudpickle, tune
from ray.tune.logger import TBXLoggerCallback
from ray.tune.search import Searcher
from tensorboardX.summary import hparams

from study.interruption import TIME_BUDGET, Interruption
from study.plan import PlannedTrial
from study.progress import SweepProgress, duration
from study.records import TrialError, TrialRecord
from study.resources import LOCAL, Resources
from study.storage import Store
from study.working_files import checkpoint_store
from trainables.assets import Assets
from trainables.dotted_paths import flatten
from trainables.errors import InputError
from trainables.tune_trainable import OUTCOME, run_trial

if TYPE_CHECKING:
    from study.optuna_search import JointSearch

LOG_LINES = 40
CONNECT_SECONDS = 5.0


@contextmanager
def session(resources: Resources) -> Iterator[Resources]:
    """Ray for the time of a sweep; a connection that the program already has is used and kept.

    Args:
        resources: Where to run and what a trial needs.

    Yields:
        The resources with the number of GPUs decided.

    Raises:
        InputError: There is no such cluster, or no node of it can ever run one trial.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the sweep says itself what failed
    ours = not ray.is_initialized()
    if ours:
        _connect(resources.address)
    try:
        yield _decide(resources)
    finally:
        if ours:
            ray.shutdown()


def _connect(address: str) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        options["include_dashboard"] = False
    else:
        _refuse_silence(address)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(address=address, **options)
    except Exception as error:  # a plain one when the machine is so busy that Ray does not start in its time
        why = next(iter(str(error).splitlines()), type(error).__name__)
        if address == LOCAL:
            raise InputError(f"Ray did not start on this machine ({why}); it may be too busy: try again") from None
        raise InputError(f"cannot use the Ray cluster at {address}: {why}") from None
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)  # Ray's own ends the process without a word to us


def _refuse_silence(address: str) -> None:
    """Ray itself tries for minutes to reach a cluster that is not there."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            raise InputError(f"no Ray cluster answers at {address} ({error}); start one with 'ray start'") from None


def _decide(resources: Resources) -> Resources:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = resources.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if any(node.get("GPU", 0) >= 1 for node in nodes) else 0.0
    cpus = resources.cpus_per_trial
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        have = "; ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise InputError(
            f"a trial asks for {cpus:g} CPUs and {gpus:g} GPUs, but no node has them (there is {have}); "
            f"lower --cpus-per-trial or --gpus-per-trial"
        )
    return replace(resources, gpus_per_trial=gpus)


def sweep(
    trials: Sequence[PlannedTrial],
    assets: Assets,
    resources: Resources,
    folder: Store,
    run: str,
    write: Callable[[TrialRecord], None],
    progress: SweepProgress,
    interruption: Interruption,
    trainable: Callable[..., None] = run_trial,
    searches: Mapping[str, JointSearch] | None = None,
) -> None:
    """Run planned trials as one Tune experiment and hand over the record of each when it ends.

    Args:
        trials: What to run.
        assets: Models and data, put once into Ray's object store.
        resources: As ``session`` decided them.
        folder: The study's folder.
        run: Name of the experiment inside ``runs``.
        write: Receives each record in the driver.
        progress: Shows them.
        interruption: Ends the sweep early.
        trainable: Runs one trial.
        searches: Arm to its draws, for arms with slots.
    """
    queue = _Queue(trials, searches or {}, resources.concurrency, _capacity(resources))
    storage = folder.child("runs")
    storage.filesystem.create_dir(storage.path, recursive=True)
    recorder = _Recorder(folder.path.rsplit("/", 1)[-1], run, queue, write, progress, interruption, resources)
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(trainable, assets=assets, **_stores(folder, resources)),
            {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial or 0.0},
        ),
        tune_config=tune.TuneConfig(
            search_alg=queue,
            num_samples=len(trials),
            reuse_actors=True,  # seven times faster for short trials
            trial_dirname_creator=lambda trial: trial.config["trial_id"],
        ),
        run_config=tune.RunConfig(
            name=run,
            storage_path=storage.path,
            storage_filesystem=None if storage.is_local else storage.filesystem,
            failure_config=tune.FailureConfig(max_failures=resources.max_failures),
            callbacks=[recorder, _TensorBoard(queue)],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        interruption.disarm()


def _stores(folder: Store, resources: Resources) -> dict[str, Any]:
    """Where workers write: unlike records, checkpoints and models do not pass through the driver."""
    stores: dict[str, Any] = {"checkpoints": checkpoint_store(folder)}
    if resources.save_models != "none":
        stores |= {"models": folder.child("models"), "saved": resources.save_models}
    return stores


def _capacity(resources: Resources) -> int:
    """Trials that the nodes hold at once now."""
    asked = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial or 0.0}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return max(1, sum(min(int(node.get(k, 0) / n + 1e-9) for k, n in asked.items() if n > 0) for node in nodes))


class _Queue(Searcher):  # type: ignore[misc]
    """Hands the planned trials to Tune in their order.

    Tune asks ahead, so that a free slot finds a trial waiting. That is right for a grid; an adaptive draw waits until
    it can start, so that it knows every trial that ended before.

    Args:
        trials: What to run.
        searches: Arm to its draws, for arms with slots.
        concurrency: Trials at a time; None: as many as fit.
        capacity: Trials that fit.
    """

    def __init__(
        self,
        trials: Sequence[PlannedTrial],
        searches: Mapping[str, JointSearch],
        concurrency: int | None,
        capacity: int,
    ) -> None:
        super().__init__()
        self._waiting = deque(trials)
        self._searches = searches
        self._most = concurrency
        self._most_drawn = capacity if concurrency is None else min(concurrency, capacity)
        self._live: set[str] = set()
        self._handed: dict[str, PlannedTrial] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune pickles its searcher, for a restore that nothing of ours uses."""
        return Searcher, ()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial, or None while as many run as may; ``trial_id`` is Tune's own."""
        if not self._waiting:
            return str(Searcher.FINISHED)
        trial = self._waiting[0]
        most = self._most if trial.slot is None else self._most_drawn
        if most is not None and len(self._live) >= most:
            return None
        if trial.slot is not None:
            trial = replace(trial, config=self._searches[trial.arm].draw(trial))
        self._waiting.popleft()
        self._live.add(trial_id)
        self._handed[trial.trial_id] = trial
        return {"trial_id": trial.trial_id, "trial": trial.config.model_dump(mode="json")}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Its place is free."""
        self._live.discard(trial_id)

    def handed(self, trial_id: str) -> PlannedTrial:
        """The planned trial of that id, with the configuration that it runs with."""
        return self._handed[trial_id]

    def ended(self, record: TrialRecord) -> None:
        """Tell the search that drew a trial what came of it."""
        if (trial := self._handed[record.trial_id]).slot is not None:
            self._searches[trial.arm].ended(record)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the trial records are the only store."""


class _TensorBoard(TBXLoggerCallback):  # type: ignore[misc]
    """TensorBoard's files, with the configuration by its dotted paths in HParams.

    Tune's own writes the planned id alone, and lists as text. Without an experiment summary of its own, TensorBoard
    takes the union of the columns of all trials.
    """

    def __init__(self, queue: _Queue) -> None:
        super().__init__()
        self._queue = queue

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune pickles its callbacks into tuner.pkl, which nothing of ours reads."""
        return tune.Callback, ()

    def _try_log_hparams(self, trial: Any, result: dict[str, Any]) -> None:
        planned = self._queue.handed(trial.config["trial_id"])
        values = {
            path: value
            for path, value in flatten(planned.config).items()
            if isinstance(value, bool | int | float | str)
        }
        _, start, end = hparams({"arm": planned.arm, "label": planned.label, **values}, result)
        writer = self._trial_writer[trial].file_writer
        for summary in (start, end):
            writer.add_summary(summary)


class _Recorder(tune.Callback):  # type: ignore[misc]
    """Turns the end of each trial into its record."""

    def __init__(
        self,
        study: str,
        run: str,
        queue: _Queue,
        write: Callable[[TrialRecord], None],
        progress: SweepProgress,
        interruption: Interruption,
        resources: Resources,
    ) -> None:
        self._study = study
        self._run = run
        self._queue = queue
        self._write = write
        self._progress = progress
        self._interruption = interruption
        self._limit = resources.trial_time_limit
        self._end = math.inf if resources.time_budget is None else time.monotonic() + resources.time_budget
        self._started: dict[str, float] = {}
        self._overdue: set[str] = set()
        self._ended: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune pickles its callbacks into tuner.pkl, which nothing of ours reads; this one holds a live display."""
        return tune.Callback, ()

    def setup(self, *args: Any, **info: Any) -> None:
        """Tune's handlers are in place: put ours before them."""
        self._interruption.arm()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Show it."""
        trial_id = trial.config["trial_id"]
        self._started[trial_id] = time.monotonic()
        self._progress.started(trial_id)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look at the clock, some ten times a second: Tune itself stops nothing that does not report."""
        now = time.monotonic()
        if now >= self._end:
            self._end = math.inf
            self._interruption.request(TIME_BUDGET)
        if self._limit is None:
            return
        late = {trial_id for trial_id, started in self._started.items() if now - started > self._limit}
        for trial in trials if late else ():
            if trial.config["trial_id"] in late and OUTCOME not in trial.last_result:
                self._kill(trial)

    def _kill(self, trial: Any) -> None:
        """End a trial for good; Tune then hears that its actor died."""
        trial_id = trial.config["trial_id"]
        if (actor := trial.temporary_state.ray_actor) is not None:
            self._started.pop(trial_id)
            self._overdue.add(trial_id)
            trial.max_failures = 0  # another try would take as long
            ray.kill(actor)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Write the record when the trial really finished, and was not merely stopped with the sweep."""
        self._started.pop(trial.config["trial_id"], None)
        if (outcome := trial.last_result.get(OUTCOME)) is not None:
            self._finish(trial, json.loads(outcome))
        elif self._interruption.reason is None:
            self._finish(trial, {"state": "failed", "reason": "it ended without a result"})

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Write the record of a trial that failed for the last time."""
        self._started.pop(trial.config["trial_id"], None)
        if (outcome := trial.last_result.get(OUTCOME)) is not None:
            self._finish(trial, json.loads(outcome))  # it has its result: what failed is Tune's own keeping of files
            return
        if trial.config["trial_id"] in self._overdue:
            reason = f"time limit: it ran longer than {duration(self._limit or 0.0)}"
            self._finish(trial, {"state": "failed", "reason": reason})
            return
        error = _error(trial)
        self._finish(trial, {"state": "failed", "reason": f"{error.type}: {error.message}", "error": error})

    def _finish(self, trial: Any, outcome: dict[str, Any]) -> None:
        planned = self._queue.handed(trial.config["trial_id"])
        if planned.trial_id in self._ended:
            return
        outcome["provenance"] = {"run": self._run, **outcome.get("provenance", {})}
        record = TrialRecord(
            study=self._study,
            trial_id=planned.trial_id,
            arm=planned.arm,
            label=planned.label,
            seed=planned.seed,
            config=planned.config.model_dump(mode="json"),
            **outcome,
        )
        try:
            self._write(record)
        except OSError as error:  # Tune would call it the trial's own failure; without a record the trial runs again
            self._interruption.request(f"the record of {planned.label} cannot be written: {error}")
            return
        self._ended.add(planned.trial_id)
        self._queue.ended(record)
        self._progress.ended(record)


def _error(trial: Any) -> TrialError:
    """What a failed trial raised, read from the file that Tune keeps on the driver."""
    with open(trial.pickled_error_file or trial.error_file, "rb") as file:
        error = cloudpickle.load(file) if trial.pickled_error_file else RuntimeError(file.read().decode())
    cause = getattr(error, "cause", None) or error
    message = next((line for line in str(cause).splitlines() if line.strip()), "no message")
    text = str(error) or "".join(traceback.format_exception(error))
    return TrialError(type=type(cause).__name__, message=message, log_tail="\n".join(text.splitlines()[-LOG_LINES:]))
