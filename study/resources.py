"""Where trials run and what each gets; what Ray must find in the environment before it is imported."""

from __future__ import annotations

import os
import re
import secrets
import sys
from dataclasses import dataclass
from typing import Literal

from trainables.errors import InputError

LOCAL = "local"
SaveModels = Literal["none", "stage1", "all"]

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0 the only way to silence Tune
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths keep their meaning
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the one that is wanted, TensorBoard, is passed to Tune
    "TUNE_MAX_PENDING_TRIALS_PG": "200",  # trials that wait in Tune; a searcher of one's own would get one
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@dataclass(frozen=True)
class Resources:
    """Where trials run and what each gets.

    Attributes:
        address: ``local`` starts Ray on this machine; else a cluster as Ray names it.
        concurrency: Trials at a time; None fills the cluster.
        cpus_per_trial: CPUs, and so threads, of one trial.
        gpus_per_trial: GPUs of one trial, fractions allowed; None is one where the cluster has any.
        max_failures: How often a trial whose worker died or that raised is tried again.
        trial_time_limit: Seconds after which one try of a trial ends as failed; None: no limit.
        time_budget: Seconds after which the sweep ends in order; None: no limit.
        save_models: After which stages classifiers are saved in the study's folder.
    """

    address: str = LOCAL
    concurrency: int | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = None
    max_failures: int = 1
    trial_time_limit: float | None = None
    time_budget: float | None = None
    save_models: SaveModels = "none"


def prepare_ray(address: str) -> None:
    """Set what Ray reads from the environment. A value that the user has set stays.

    A local Ray listens on all interfaces, so it gets a token of its own, which keeps others out and is never written
    to disk. Ray reads the mode of authentication when it is imported: afterwards it is left alone.

    Args:
        address: Where Ray will run.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address == LOCAL and "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def parse_duration(text: str | None) -> float | None:
    """A time span as people type it.

    Args:
        text: Days, hours, minutes and seconds in this order, such as ``90s``, ``30m`` or ``1h30m``; None is none.

    Returns:
        Seconds.

    Raises:
        InputError: The text is something else, or no time at all.

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
