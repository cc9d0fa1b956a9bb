"""Planned trials on Ray Tune: the cluster, the resources, the failure policy and the way records reach the driver.

Tune's own snapshot and trial folders lag behind, so nothing here reads them: a trial's record is made from its last
report in a callback of the driver, when the trial ends.
"""

from __future__ import annotations

import json
import logging
import signal
import socket
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.tune.logger import TBXLoggerCallback

from study.interruption import Interruption
from study.plan import PlannedTrial
from study.progress import SweepProgress
from study.records import TrialError, TrialRecord
from study.resources import LOCAL, Resources
from study.storage import Store
from trainables.assets import Assets
from trainables.errors import InputError
from trainables.tune_trainable import OUTCOME, run_trial

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
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"cannot use the Ray cluster at {address}: {str(error).splitlines()[0]}") from None
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
    """
    configs = {trial.trial_id: trial.config.model_dump(mode="json") for trial in trials}
    storage = folder.child("runs")
    storage.filesystem.create_dir(storage.path, recursive=True)
    recorder = _Recorder(folder.path.rsplit("/", 1)[-1], run, trials, write, progress, interruption)
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(trainable, assets=assets),
            {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial or 0.0},
        ),
        param_space={
            "trial_id": tune.grid_search(list(configs)),
            "trial": tune.sample_from(lambda config: configs[config["trial_id"]]),
        },
        tune_config=tune.TuneConfig(
            max_concurrent_trials=resources.concurrency,
            reuse_actors=True,  # seven times faster for short trials
            trial_dirname_creator=lambda trial: trial.config["trial_id"],
        ),
        run_config=tune.RunConfig(
            name=run,
            storage_path=storage.path,
            storage_filesystem=None if storage.is_local else storage.filesystem,
            failure_config=tune.FailureConfig(max_failures=resources.max_failures),
            callbacks=[recorder, TBXLoggerCallback()],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        interruption.disarm()


class _Recorder(tune.Callback):  # type: ignore[misc]
    """Turns the end of each trial into its record."""

    def __init__(
        self,
        study: str,
        run: str,
        trials: Sequence[PlannedTrial],
        write: Callable[[TrialRecord], None],
        progress: SweepProgress,
        interruption: Interruption,
    ) -> None:
        self._study = study
        self._run = run
        self._trials = {trial.trial_id: trial for trial in trials}
        self._write = write
        self._progress = progress
        self._interruption = interruption

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune pickles its callbacks into tuner.pkl, which nothing of ours reads; this one holds a live display."""
        return tune.Callback, ()

    def setup(self, *args: Any, **info: Any) -> None:
        """Tune's handlers are in place: put ours before them."""
        self._interruption.arm()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Show it."""
        self._progress.started(trial.config["trial_id"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Write the record when the trial really finished, and was not merely stopped."""
        if (outcome := trial.last_result.get(OUTCOME)) is not None:
            self._finish(trial, json.loads(outcome))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Write the record of a trial that failed for the last time."""
        error = _error(trial)
        self._finish(trial, {"state": "failed", "reason": f"{error.type}: {error.message}", "error": error})

    def _finish(self, trial: Any, outcome: dict[str, Any]) -> None:
        planned = self._trials[trial.config["trial_id"]]
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
        self._write(record)
        self._progress.ended(record)


def _error(trial: Any) -> TrialError:
    """What a failed trial raised, read from the file that Tune keeps on the driver."""
    with open(trial.pickled_error_file or trial.error_file, "rb") as file:
        error = cloudpickle.load(file) if trial.pickled_error_file else RuntimeError(file.read().decode())
    cause = getattr(error, "cause", None) or error
    message = next((line for line in str(cause).splitlines() if line.strip()), "no message")
    text = str(error) or "".join(traceback.format_exception(error))
    return TrialError(type=type(cause).__name__, message=message, log_tail="\n".join(text.splitlines()[-LOG_LINES:]))
