"""A study as an Optuna study, for optuna-dashboard and Optuna's own analyses."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from study.browse.targets import require_parent
from study.config import Arm
from study.search_space import ACCURACY, TRACE, LogUniform, Uniform, Value
from study.store.record_files import read_study
from study.store.results import is_missing, load_store
from study.store.storage import Store
from trainables.config.dotted_paths import flatten, parse
from trainables.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

OBJECTIVES = {ACCURACY: "maximize", f"log10 {TRACE}": "minimize"}
SQLITE = "sqlite:///"
SAFE = " +/"
"""Characters that SQLAlchemy leaves unescaped, besides letters, digits and ``_.-~``."""
WIDE = 10.0
"""Searched values are drawn on a logarithmic axis if the largest is at least this many times the smallest."""


def export_optuna(folder: Store, target: str) -> str:
    """Write a study into an SQLite file as an Optuna study with two objectives, and return the file's URL.

    There is one Optuna trial for each planned trial, in plan order: complete becomes COMPLETE, unfinished WAITING, and
    all else FAIL, even a complete trial without finite values of both objectives, which Optuna would not accept as
    COMPLETE. Parameters are the paths that the trial's arm searches. The values of the trials table (measurements,
    configuration, provenance) are user attributes.

    Args:
        target: ``sqlite:///FILE``, or the file's path.

    Raises:
        InputError: The file cannot be used, or already contains a study of that name.
    """
    url = _url(target)
    results, study = load_store(folder), read_study(folder).study_config()
    rows = results.trials.to_dict("records")
    arms = {arm.name: arm for arm in study.arms}
    points: list[dict[str, Value]] = []
    for planned, row in zip(results.study["plan"], rows, strict=True):
        config = flatten(parse(results.configs[planned["trial_id"]]))
        undrawn = planned["slot"] is not None and row["state"] == "unfinished"
        searched = [p for p in arms[planned["arm"]].search if not (undrawn and is_missing(row[f"config.{p}"]))]
        points.append({path: config[path] for path in searched})
    spaces = _distributions(study.arms, points)

    import optuna
    from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else it announces each study
    with opened(url) as storage:
        try:
            exported = optuna.create_study(storage=storage, study_name=study.name, directions=list(OBJECTIVES.values()))
        except DuplicatedStudyError:
            raise InputError(f"{url} holds a study {study.name} already; export to another file") from None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                exported.set_metric_names(list(OBJECTIVES))
            exported.set_user_attr("description", study.description)
            exported.add_trials(_trial(row, point, spaces) for row, point in zip(rows, points, strict=True))
        except BaseException:
            optuna.delete_study(study_name=study.name, storage=storage)  # the study is whole or absent
            raise
    return url


@contextmanager
def opened(url: str) -> Iterator[BaseStorage]:
    """The Optuna storage at an SQLite file's URL; closed at the end, which Optuna leaves to the garbage collector."""
    from optuna.storages import RDBStorage

    storage = RDBStorage(url)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _url(target: str) -> str:
    """The URL of a file that SQLite can write; characters that are special in a URL or to Optuna are escaped."""
    is_url = target.startswith(SQLITE)
    if "://" in target and not is_url:
        raise InputError(f"--optuna takes {SQLITE}FILE or a file, got {target!r}")
    file = Path(unquote(target.removeprefix(SQLITE)) if is_url else target).expanduser()
    if file.is_dir() or not file.name:
        raise InputError(f"--optuna takes a file, and {target} is a folder")
    require_parent(file)
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise InputError(f"cannot write {file}; choose another file")
    if file.exists() and file.stat().st_size and _start(file) != b"SQLite format 3\x00":
        raise InputError(f"{file} is no SQLite file; choose another")
    return f"{SQLITE}{quote(str(file), safe=SAFE)}"


def _start(file: Path) -> bytes:
    with file.open("rb") as content:
        return content.read(16)


def _distributions(arms: Sequence[Arm], points: Sequence[Mapping[str, Value]]) -> dict[str, BaseDistribution]:
    """One distribution for each searched path, since Optuna wants the same one in every trial of a study."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for path in dict.fromkeys(path for point in points for path in point):
        values = list(dict.fromkeys(point[path] for point in points if path in point))
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(numbers) < len(values):
            found[path] = CategoricalDistribution(values)
            continue
        spaces = [arm.search[path] for arm in arms if path in arm.search]
        bounded = [space for space in spaces if isinstance(space, Uniform | LogUniform)]
        low = min(numbers + [space.low for space in bounded])
        high = max(numbers + [space.high for space in bounded])
        log = low > 0 and (any(isinstance(s, LogUniform) for s in bounded) if bounded else high >= WIDE * low)
        whole = all(isinstance(number, int) for number in (low, high, *numbers))
        found[path] = (IntDistribution if whole else FloatDistribution)(low, high, log=log)
    return found


def _trial(row: Mapping[Any, Any], point: Mapping[str, Value], spaces: Mapping[str, BaseDistribution]) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    accuracy, trace = (float(row.get(name, math.nan)) for name in (ACCURACY, TRACE))
    values = [accuracy, math.log10(trace)] if row["state"] == "complete" and accuracy >= 0 and trace > 0 else None
    waiting = TrialState.WAITING if row["state"] == "unfinished" else TrialState.FAIL
    return create_trial(
        state=waiting if values is None else TrialState.COMPLETE,
        values=values,
        params=dict(point),
        distributions={path: spaces[path] for path in point},
        user_attrs={str(name): value for name, value in row.items() if not is_missing(value)},
    )
