"""TensorBoard's files of a sweep."""

from __future__ import annotations

from typing import Any

from ray import tune
from ray.tune.logger import TBXLoggerCallback
from tensorboardX.summary import hparams

from study.sweep.queue import Queue
from trainables.config.dotted_paths import flatten


class TensorBoard(TBXLoggerCallback):  # type: ignore[misc]
    """TensorBoard's files, with the configuration by its dotted paths in HParams.

    Tune's own callback writes the planned id alone, and lists as text. Without an experiment summary of its own,
    TensorBoard takes the union of the columns of all trials.
    """

    def __init__(self, queue: Queue) -> None:
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
