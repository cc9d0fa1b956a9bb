"""More rows for the plan of an existing study: further seeds, values and arms; planned rows stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from study.config import Arm, StudyConfig
from study.plan.narrowing import refuse_taken_paths, select_arms
from study.plan.planning import PlannedTrial
from study.search_space import Distribution, Grid
from trainables.config.dotted_paths import flatten
from trainables.errors import InputError
from trainables.schema import describe


def extend(
    study: StudyConfig, *, arms: str | None = None, seeds: int | None = None, source: StudyConfig | None = None
) -> StudyConfig:
    """A study with more to run: ``arms`` as typed after ``--arms``, and ``seeds`` repeats; None adds none.

    Arms that the study lacks are taken from ``source``, the named study that it was made from.

    Raises:
        InputError: Something planned would be removed or changed, or an arm is unknown or cannot grow.
    """
    if seeds is not None and seeds < study.seeds:
        raise InputError(f"study {study.name} has {study.seeds} seeds; --seeds of resume may only add, got {seeds}")
    grown = {arm.name: arm for arm in study.arms}
    if arms is not None:
        known = {**grown, **({} if source is None else {arm.name: arm for arm in source.arms})}
        pool = study.model_copy(update={"arms": tuple(known.values())})
        for more in select_arms(pool, study.base, arms):
            if more.name in grown:
                more = _merge(grown[more.name], more)
            elif source is not None:
                before, after = flatten(source.base), flatten(study.base)
                refuse_taken_paths(more, [path for path in before if before[path] != after[path]])
            grown[more.name] = more
    changed: dict[str, Any] = study.model_dump() | {
        "arms": tuple(grown.values()),
        "seeds": study.seeds if seeds is None else seeds,
    }
    try:
        return StudyConfig.model_validate(changed)
    except ValidationError as error:
        raise InputError(describe(error)) from None


def _merge(arm: Arm, more: Arm) -> Arm:
    """An arm with further values of its grids."""
    same = arm.set == more.set and arm.slots == more.slots and list(arm.search) == list(more.search)
    search: dict[str, Distribution] = {}
    for path, space in arm.search.items() if same else ():
        other = more.search[path]
        if isinstance(space, Grid) and isinstance(other, Grid) and space.also == other.also:
            search[path] = Grid(values=tuple(dict.fromkeys((*space.values, *other.values))), also=space.also)
        elif space == other:
            search[path] = space
    if not same or len(search) < len(arm.search):
        raise InputError(
            f"arm {arm.name} draws its values or is not what it was when the study began, so nothing can be added to "
            f"it; start a new study with --name"
        )
    return arm.model_copy(update={"search": search})


def keep_rows(old: Sequence[PlannedTrial], new: Sequence[PlannedTrial]) -> list[PlannedTrial]:
    """The larger plan with the old one's ids; InputError when a trial of the old plan is missing or differs."""
    standing = {(row.arm, row.label, row.seed): row for row in old}
    rows = [standing.pop((row.arm, row.label, row.seed), row) for row in new]
    changed = [r for r, planned in zip(rows, new, strict=True) if replace(r, trial_id=planned.trial_id) != planned]
    if standing or changed:
        row, what = (next(iter(standing.values())), "removed") if standing else (changed[0], "changed")
        raise InputError(
            f"{row.label} with seed {row.seed} is planned and would be {what}; resume may only add trials: "
            f"start a new study with --name"
        )
    return rows
