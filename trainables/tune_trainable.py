"""The thin adapter between a trial and Ray Tune: a plain configuration comes in, one last report goes out.

The last report carries the measurements as scalars, for TensorBoard, and the whole outcome as one JSON string under
``OUTCOME``, from which the driver writes the trial's record. A report without that string is not the last.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from trainables.config.dotted_paths import parse
from trainables.errors import Diverged
from trainables.measuring.measurements import CurvePoint, Measurements
from trainables.software import NUMERIC, plugin_versions, threads
from trainables.trial_log import TrialLog

if TYPE_CHECKING:
    from trainables.assets import Assets
    from trainables.models.saved import Folder, SavedStages
    from trainables.training.checkpoint import Files

OUTCOME = "outcome"


def run_trial(
    config: dict[str, Any],
    assets: Assets,
    checkpoints: Files | None = None,
    models: Folder | None = None,
    saved: SavedStages = "stage1",
    logs: str | None = None,
    limit: float | None = None,
    predictions: Files | None = None,
) -> None:
    """Run one trial, or the rest of it, inside a Tune actor and report what it found.

    Args:
        config: ``trial`` is the TrialConfig as plain JSON, ``trial_id`` names its checkpoint.
        checkpoints: Where checkpoints are kept; None keeps none.
        models: Where classifiers are saved, a folder for each trial; None saves none.
        saved: After which stages classifiers are saved.
        logs: Folder of the logs on the driver's machine.
        limit: Seconds after which the driver ends the trial; None: never.
        predictions: Where predictions are saved, a file for each trial; None saves none.
    """
    with TrialLog(logs, config["trial_id"], limit):
        import torch

        from trainables.measuring.predictions import PredictionFile
        from trainables.models.saved import ModelSaver
        from trainables.provenance import provenance
        from trainables.training.checkpoint import TrialCheckpoint
        from trainables.trial import fine_tune

        trial = parse(config["trial"])
        resources = tune.get_context().get_trial_resources().required_resources
        cpus = float(resources.get("CPU", 1))
        torch.set_num_threads(threads(cpus))
        memory = PeakMemory()
        here = provenance(trial, assets)
        fingerprints = [here["model_fingerprint"], here["data_fingerprint"]]
        same = [config["trial"], fingerprints, [here[name] for name in NUMERIC], threads(cpus)]
        plugins = plugin_versions([trial])
        if plugins:
            same.append(plugins)
        if here["device"] == "cpu" and here["precision"] != "float32":
            same.append(here["precision"])  # a trial may resume on a CPU that picks another
        checkpoint = TrialCheckpoint(checkpoints, config["trial_id"], json.dumps(same, sort_keys=True))
        saver = None if models is None else ModelSaver(models.child(config["trial_id"]), saved)
        kept = None if predictions is None else PredictionFile(predictions, config["trial_id"])
        points: list[CurvePoint] = []

        def report(point: CurvePoint) -> None:
            if math.isfinite(point.value):
                points.append(point)
                tune.report({f"stage{point.stage}/{point.language}/{point.name}": point.value, "epoch": point.epoch})

        try:
            found = fine_tune(trial, assets, report, checkpoint, saver, kept)
            state, reason = "complete", None
            until = trial.stages[0].until
            if until is not None and (nll := found.values["until.train_nll"]) >= until.train_nll:
                state = "not_reached"
                reason = f"train_nll is {nll:.4g} after {until.max_epochs} epochs, not below {until.train_nll:g}"
        except Diverged as error:
            found = Measurements({})
            state, reason = "diverged", str(error)
        record = {
            "seconds": checkpoint.seconds,
            **({"steps": found.steps} if state != "diverged" else {}),  # else unknown
            "cpus": cpus,
            "peak_memory_mib": memory.mib(),
            **here,
            **checkpoint.provenance,
            **({} if saver is None or saver.note is None else {"models": saver.note}),
            **({} if kept is None or kept.note is None else {"predictions": kept.note}),
        }
        outcome = {
            "state": state,
            "reason": reason,
            "measurements": found.values,
            "curves": [point.as_dict() for point in points],
            "provenance": record,
        }
        tune.report({**found.values, OUTCOME: json.dumps(outcome, allow_nan=False)})


class PeakMemory:
    """The peak memory that this process used since the object was created: of the GPU, else of the process.

    Actors run one trial after another, so the high-water mark must be reset; where it cannot be, the peak is unknown.
    """

    def __init__(self) -> None:
        import torch

        self._cuda = torch.cuda.is_available()
        self._reset = True
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
            return
        try:
            Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, see proc(5)
        except OSError:
            self._reset = False

    def mib(self) -> float | None:
        """The peak (MiB), or None when the mark could not be reset."""
        import torch

        if self._cuda:
            return float(torch.cuda.max_memory_allocated()) / 2**20
        if not self._reset:
            return None
        status = Path("/proc/self/status").read_text()
        return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
