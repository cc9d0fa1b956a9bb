"""From a study to its planned trials: arm x point x seed, then ids derived from content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from study.config import Arm, StudyConfig
from trainables.config import TrialConfig
from trainables.config.dotted_paths import flatten
from trainables.errors import InputError
from trainables.schema import identity

Fingerprints = Callable[[TrialConfig], tuple[str, str]]
"""Gives the fingerprints of the model and of the data that a configuration names."""


@dataclass(frozen=True)
class PlannedTrial:
    """One row of the plan.

    Attributes:
        trial_id: Hash of what determines the trial's numbers; empty until the model and the data have been read.
        label: Arm and value, such as ``kl=0.6``; the same for all seeds.
        config: The configuration, with the trial's seed; for a slot, the one that its draw will change.
        slot: Number, from 1, in an arm whose configurations are drawn one after another; else None.
    """

    trial_id: str
    arm: str
    label: str
    seed: int
    config: TrialConfig
    slot: int | None = None


def draft(study: StudyConfig) -> list[PlannedTrial]:
    """The planned trials, arm by arm, point by point, seed by seed; without ids, which need the model and data."""
    return [
        PlannedTrial(
            "", arm.name, label, seed, config.model_copy(update={"seed": seed}), None if arm.slots is None else number
        )
        for arm in study.arms
        for number, (label, config) in enumerate(arm.points(study.base), start=1)
        for seed in range(study.base.seed, study.base.seed + study.seeds)
    ]


def plan(study: StudyConfig, fingerprints: Fingerprints) -> list[PlannedTrial]:
    """The planned trials in order, each with its id; InputError when two rows describe the same trial."""
    spaces = {arm.name: identity(arm)["search"] for arm in study.arms if arm.slots is not None}
    trials: dict[str, PlannedTrial] = {}
    for row in draft(study):
        drawn = None if row.slot is None else {"space": spaces[row.arm], "slot": row.slot}
        trial_id = identify(row.config, *fingerprints(row.config), drawn)
        if (other := trials.get(trial_id)) is not None:
            raise InputError(
                f"{other.label} and {row.label} are the same trial (seed {row.seed}), "
                f"so the study would count one result twice; leave one of them out"
            )
        trials[trial_id] = replace(row, trial_id=trial_id)
    return list(trials.values())


def probes(study: StudyConfig) -> list[PlannedTrial]:
    """Trials at the bounds of the joint spaces; they are not planned, but show whether draws will fit."""
    return [
        PlannedTrial("", arm.name, arm.name, config.seed, config)
        for arm in study.arms
        for config in arm.probes(study.base)
    ]


def identify(config: TrialConfig, model: str, data: str, drawn: Mapping[str, Any] | None = None) -> str:
    """The id of a trial: equal for equal content wherever it is stored, different if any number might change.

    Args:
        model: Fingerprint of configuration, weights and tokenizer.
        data: Fingerprint of the decoded rows that the trial uses, and of the files of its views.
        drawn: Space and slot of a trial whose configuration is yet to be drawn.

    Returns:
        Twelve hexadecimal digits.
    """
    content = identity(config)
    content["model"] |= {"name": model, "revision": None}
    content["data"] |= {"source": data, "name": config.data.name.rpartition(":")[2]}
    for stage in content["stages"]:
        for view in (stage["noise"], (stage["consistency"] or {}).get("view")):
            if view is not None:
                view["files"] = None
    if drawn is not None:
        content["drawn"] = drawn
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def differences(old: StudyConfig, new: StudyConfig) -> list[str]:
    """What two studies would do differently, one line each; their descriptions and origins do not count."""
    before, after = flatten(old.base), flatten(new.base)
    lines = [f"{path}: {before[path]} -> {after[path]}" for path in before if before[path] != after[path]]
    if old.seeds != new.seeds:
        lines.append(f"seeds: {old.seeds} -> {new.seeds}")
    arms_before, arms_after = ({arm.name: arm for arm in study.arms} for study in (old, new))
    for name in dict.fromkeys([*arms_before, *arms_after]):
        one, other = arms_before.get(name), arms_after.get(name)
        if one != other:
            texts = _arm_text(one, old.base), _arm_text(other, new.base)
            if texts[0] == texts[1]:  # the labels are equal, so the difference is fixed or not shown: give everything
                texts = _arm_json(one), _arm_json(other)
            lines.append(f"arm {name}: {texts[0]} -> {texts[1]}")
    if not lines and list(arms_before) != list(arms_after):
        lines.append(f"order of arms: {', '.join(arms_before)} -> {', '.join(arms_after)}")
    return lines


def _arm_text(arm: Arm | None, base: TrialConfig) -> str:
    if arm is None:
        return "absent"
    return arm.space_text() if arm.slots is not None else " ".join(label for label, _ in arm.points(base))


def _arm_json(arm: Arm | None) -> str:
    if arm is None:
        return "absent"
    hidden = {"name"} if arm.slots is not None else {"name", "slots"}
    return json.dumps(arm.model_dump(mode="json", exclude=hidden))
