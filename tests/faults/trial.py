"""The real trial, except where ``FAULTS`` says otherwise.

``FAULTS`` is a JSON object: label of a trial (``baseline``, ``kl``, ``l2=0.001``) to what happens to it. In
``FAULTS_FOLDER`` each trial notes where it ran, and a held one that it stands in the middle of its training.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

HELD_AFTER = 5
"""Reports after which a held trial stands still: it has a checkpoint then, and an epoch before it."""


def label(trial: dict[str, Any]) -> str:
    """What a trial is called in ``FAULTS``: the planned label, without the value for kl."""
    stage = trial["stages"][0]
    if penalty := stage["penalties"]["l2"]:
        return f"l2={penalty['weight']:g}"
    return "kl" if stage["consistency"] else "baseline"


def faulty_trial(config: dict[str, Any], assets: Any, **rest: Any) -> None:
    """Run a trial as ``FAULTS`` asks."""
    import ray  # here, since pytest imports this module while it looks for tests
    from ray import tune

    from trainables.tune_trainable import run_trial

    name = label(config["trial"])
    folder = Path(os.environ["FAULTS_FOLDER"])
    node = ray.get_runtime_context().get_node_id()
    (folder / f"{config['trial_id']}.node").write_text(node)
    match json.loads(os.environ.get("FAULTS", "{}")).get(name):
        case "raises":
            raise ValueError("first line\nsecond line")
        case "out of memory":
            bytearray(1 << 60)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out
        case "silent":
            tune.report({"stage0/en/train_loss": 1.0})
            return
        case "waits":
            _hold(folder / name, folder / "go")
        case "held":  # for ever, and again at every try
            _hold(folder / name)
        case "held once" if not (folder / name).exists():
            _hold(folder / name)
        case "held on the second node" if os.environ.get("FAULTS_NODE") == "second" and not (folder / name).exists():
            _hold(folder / name)
    run_trial(config, assets, **rest)


def _hold(marker: Path, until: Path | None = None) -> None:
    """Let the trial of this process stand still in the middle, and say so in a file that appears whole."""
    import ray
    from ray import tune

    report, count = tune.report, 0

    def counted(metrics: dict[str, Any]) -> None:
        nonlocal count
        report(metrics)
        count += 1
        if count == HELD_AFTER:
            tune.report = report
            aside = marker.with_suffix(".part")
            aside.write_text(json.dumps({"pid": os.getpid(), "node": ray.get_runtime_context().get_node_id()}))
            aside.rename(marker)
            while until is None or not until.exists():
                time.sleep(0.1)

    tune.report = counted
