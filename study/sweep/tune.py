"""Planned trials on Ray Tune: the cluster, the resources, the failure policy and how records reach the driver.

Tune gets the trials spread over arms and ranges: grid trials as planned, trials of an arm with slots as Optuna draws
them when they start. Tune's own snapshot and trial folders lag behind, so nothing here reads them: a trial's record is
made from its last report, in a callback of the driver.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.logger import TBXLoggerCallback
from tensorboardX.summary import hparams

from study.plan.planning import PlannedTrial
from study.store.records import TrialRecord
from study.store.storage import Store
from study.store.working_files import CHECKPOINTS, MODELS, PREDICTIONS, WorkerFolder
from study.sweep.cluster import capacity
from study.sweep.interruption import Interruption
from study.sweep.progress import SweepProgress
from study.sweep.queue import Queue, spread
from study.sweep.recorder import Recorder
from study.sweep.resources import Resources
from trainables.assets import Assets
from trainables.config.dotted_paths import flatten
from trainables.tune_trainable import run_trial

if TYPE_CHECKING:
    from study.sweep.optuna_search import JointSearch

ERROR_FILE = "error.txt"


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
        assets: Models and data, put into Ray's object store once.
        resources: The resources as ``session`` decided them.
        run: Name of the experiment inside ``runs``.
        write: Receives each record, in the driver.
        interruption: Ends the sweep early.
        searches: Arm to its search, for arms with slots.
    """
    queue = Queue(deque(spread(trials)), searches or {}, resources.concurrency, capacity(resources), interruption)
    runs = folder.child("runs")
    with TemporaryDirectory(prefix="fisher-study-", ignore_cleanup_errors=True) as logs:
        recorder = Recorder(folder.name, run, queue, write, progress, interruption, resources, logs)
        trainable = tune.with_parameters(trainable, assets=assets, logs=logs, **_worker_options(folder, resources))
        try:
            runs.make()
            tuner = tune.Tuner(
                tune.with_resources(
                    trainable, {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial or 0.0}
                ),
                tune_config=tune.TuneConfig(
                    search_alg=queue,
                    num_samples=len(trials),
                    reuse_actors=True,  # seven times faster for short trials
                    trial_dirname_creator=lambda trial: trial.config["trial_id"],
                ),
                run_config=tune.RunConfig(
                    name=run,
                    storage_path=runs.path,
                    storage_filesystem=None if runs.is_local else runs.filesystem,
                    failure_config=tune.FailureConfig(max_failures=resources.max_failures),
                    callbacks=[recorder, TensorBoard(queue)],
                    verbose=0,
                ),
            )
            tuner.fit()
        except Exception as error:  # Tune gave up; no trial that has a record is lost, so the study can be resumed
            interruption.disarm()
            interruption.request(_why(error, runs.child(run)))
        finally:
            interruption.disarm()
            recorder.write_late()


def _why(error: Exception, run: Store) -> str:
    """Tune's message in one line; the full text is written to a file."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]  # Tune wraps what its callbacks raise
    try:
        run.write(ERROR_FILE, "".join(traceback.format_exception(error)).encode())
    except OSError:  # most likely the reason why Tune gave up
        return f"Ray Tune gave up: {line}"
    return f"Ray Tune gave up: {line}; details in {run.place(ERROR_FILE)}"


def _worker_options(folder: Store, resources: Resources) -> dict[str, Any]:
    """Where workers write checkpoints, models and predictions, which, unlike records, bypass the driver."""
    options: dict[str, Any] = {"checkpoints": WorkerFolder(folder, CHECKPOINTS), "limit": resources.trial_time_limit}
    if resources.save_models != "none":
        options |= {"models": WorkerFolder(folder, MODELS), "saved": resources.save_models}
    if resources.save_predictions:
        options["predictions"] = WorkerFolder(folder, PREDICTIONS)
    return options


class TensorBoard(TBXLoggerCallback):  # type: ignore[misc]
    """TensorBoard's files, with the configuration under its dotted paths in HParams.

    Tune's own callback writes only the planned id, and lists as text. Without an experiment summary, TensorBoard takes
    the union of the columns of all trials.
    """

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self._queue = queue

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune pickles its callbacks into tuner.pkl, which we never read."""
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
