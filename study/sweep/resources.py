"""Where trials run and what each gets; and the environment that Ray needs before it is imported."""

from __future__ import annotations

import os
import re
import secrets
import sys
from dataclasses import dataclass, fields
from typing import Literal

from trainables.errors import InputError

LOCAL = "local"
SaveModels = Literal["none", "stage1", "all"]

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # together with verbose=0, the only way to silence Tune
    # Tune does not survive it when Ray's monitor kills a worker because the node is out of memory. The kernel, which
    # also kills workers first, ends one trial, which is tried again. Nodes of a cluster need it set before they start.
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths keep their meaning
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # TensorBoard, the one that is wanted, is passed to Tune
    "TUNE_MAX_PENDING_TRIALS_PG": "200",  # trials that may wait in Tune; with a custom searcher the default is one
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # The gradient of an embedding table is allocated anew in every step. Huge pages save its page faults, 40,000 per
    # step for a table of 97,000 rows of 384: a fifth of a step's time on one core.
    "THP_MEM_ALLOC_ENABLE": "1",
    # Passes in bfloat16 cache what they prepare for each input shape, by default 1,024 shapes in each of two caches:
    # several GB in a worker that runs many trials. 64 were no slower on an encoder of 12 layers of 384.
    "LRU_CACHE_CAPACITY": "64",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
}


@dataclass(frozen=True)
class Resources:
    """Where trials run and what each gets.

    Attributes:
        address: ``local`` starts Ray on this machine; else the address of a cluster, in Ray's form.
        concurrency: Trials at a time; None fills the cluster.
        cpus_per_trial: CPUs, and therefore threads, of one trial.
        gpus_per_trial: May be a fraction; None means one if the cluster has any GPU.
        max_failures: How often a trial that raised or whose worker died is tried again.
        trial_time_limit: Seconds after which one try of a trial ends as failed; None means no limit.
        time_budget: Seconds after which the sweep ends in order; None means no limit.
        save_models: The stages after which classifiers are saved in the study's folder.
        nodes: Number of machines in the cluster, once it is known.
    """

    address: str = LOCAL
    concurrency: int | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = None
    max_failures: int = 1
    trial_time_limit: float | None = None
    time_budget: float | None = None
    save_models: SaveModels = "none"
    save_predictions: bool = False
    nodes: int = 1

    def options(self) -> list[str]:
        """The options of ``run`` and ``resume`` that give the same resources, without those at their defaults.

        Example:
            >>> Resources(concurrency=2, time_budget=5400.0).options()
            ['--concurrency', '2', '--time-budget', '1h30m']
        """
        words: list[str] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "nodes" or value == field.default:
                continue
            option = f"--{field.name.replace('_', '-')}"
            if value is True:
                words.append(option)
                continue
            shown = str(value).removesuffix(".0") if isinstance(value, float) else str(value)
            if field.name in ("trial_time_limit", "time_budget"):
                shown = duration_text(value)
            words += [option, shown]
        return words


def prepare_ray(address: str) -> None:
    """Set what Ray and torch read from the environment. Values that the user has set stay.

    A local Ray listens on all interfaces, so it gets its own token, which keeps others out and is never written to
    disk. Ray reads the authentication mode when it is imported, so after that the mode is left alone.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address == LOCAL and "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def parse_duration(text: str | None) -> float | None:
    """Seconds of a time span as people type it: days, hours, minutes and seconds, in this order; None for None.

    Raises:
        InputError: The text is something else, or a time span of zero.

    Example:
        >>> [parse_duration(text) for text in ("90s", "30m", "1h30m", "2d", None)]
        [90.0, 1800.0, 5400.0, 172800.0, None]
    """
    if text is None:
        return None
    found = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    parts = [] if found is None else [int(part or 0) for part in found.groups()]
    seconds = sum(part * unit for part, unit in zip(parts, (86_400, 3_600, 60, 1), strict=False))
    if not seconds:
        raise InputError(f"a duration is written as 90s, 30m, 2h or 1h30m, got {text!r}")
    return float(seconds)


def duration_text(seconds: float) -> str:
    """Whole seconds in the form that ``parse_duration`` reads.

    Example:
        >>> duration_text(93_780.0)
        '1d2h3m'
    """
    left, text = int(seconds), ""
    for unit, letter in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, unit)
        text += f"{count}{letter}" if count else ""
    return text
