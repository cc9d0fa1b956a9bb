"""From a study to its planned trials: what the command line changes, then arm x point x seed, then ids by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from study.config import Arm, StudyConfig, describe
from study.search_space import Grid, Value
from trainables.config import TrialConfig
from trainables.config.dotted_paths import flatten, with_values
from trainables.errors import InputError
from trainables.schema import identity
from trainables.views.view import language_files

RESERVED = ("mini", "bundled", "hub")  # names that mean no folder, even where a folder is called so

Fingerprints = Callable[[TrialConfig], tuple[str, str]]
"""Content of the model and of the data that a configuration names."""


@dataclass(frozen=True)
class PlannedTrial:
    """One row of the plan.

    Attributes:
        trial_id: Hash of what determines the trial's numbers; empty before the model and the data were read.
        arm: The family.
        label: Arm and value, such as ``kl=0.6``; the same for all seeds.
        seed: The trial's seed, also in its configuration.
        config: The configuration; for a slot that which its draw will change.
        slot: Number of the slot, from 1, in an arm whose configurations are drawn one after another; else None.
    """

    trial_id: str
    arm: str
    label: str
    seed: int
    config: TrialConfig
    slot: int | None = None


ANSWER = "answer."
"""Begins the paths of a study's own settings, which no trial has."""


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Path and value of every ``--set PATH=VALUE``.

    Args:
        settings: The options as typed.

    Returns:
        Path to value, both text.

    Raises:
        InputError: There is no equals sign, or a path occurs twice.
    """
    values: dict[str, str] = {}
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set takes PATH=VALUE, got {setting!r}")
        path = path.strip()
        if path in values:
            raise InputError(f"{path} is set twice, to {values[path]!r} and to {value!r}")
        values[path] = value
    return values


def narrow(
    study: StudyConfig,
    *,
    name: str | None = None,
    arms: str | None = None,
    seeds: int | None = None,
    values: Mapping[str, str] | None = None,
) -> StudyConfig:
    """A study as the command line changes it.

    Args:
        study: The study of the catalog.
        name: Another name.
        arms: Arms to keep, with commas; ``kl=0.6`` keeps that arm with this value alone, and may be repeated.
        seeds: Another number of repeats.
        values: Dotted path to text, for the base of every arm; ``answer.fit`` is the study's own.

    Returns:
        The changed study.

    Raises:
        InputError: An arm or a path is unknown, a value does not fit, or a path belongs to an arm.
    """
    own = {path: value for path, value in (values or {}).items() if path.startswith(ANSWER)}
    of_base = {path: value for path, value in (values or {}).items() if path not in own}
    base = with_values(study.base, of_base)
    kept = study.arms if arms is None else select_arms(study, base, arms)
    for arm in kept:
        refuse_taken_paths(arm, of_base)
    changed: dict[str, Any] = {
        "name": study.name if name is None else name,
        "description": study.description,
        "source": study.source,
        "base": absolute_folders(base),
        "seeds": study.seeds if seeds is None else seeds,
        "arms": kept,
        "answer": study.answer.model_dump() | {path.removeprefix(ANSWER): value for path, value in own.items()},
    }
    try:
        return StudyConfig(**changed)
    except ValidationError as error:
        raise InputError(describe(error)) from None


def refuse_taken_paths(arm: Arm, paths: Iterable[str]) -> None:
    """Refuse that the base of a study changes what an arm gives its own values.

    Args:
        arm: The arm.
        paths: What the base changes.

    Raises:
        InputError: The arm searches or fixes one of the paths.
    """
    for path in paths:
        if path in arm.searched:
            choose = f"choose its value with --arms {arm.name}=VALUE, or " if arm.slots is None else ""
            raise InputError(f"{path} is searched by arm {arm.name}; {choose}leave the arm out to set it")
        if path in arm.set:
            raise InputError(f"{path} is fixed by arm {arm.name}; leave the arm out to set it")


def absolute_folders(config: TrialConfig) -> TrialConfig:
    """The configuration with absolute paths, so that a study resumes from any working directory."""
    names = {"model.name": config.model.name, "data.source": config.data.source}
    folders = {path: Path(name).expanduser() for path, name in names.items() if name not in RESERVED}
    found = {path: str(folder.resolve()) for path, folder in folders.items() if folder.is_dir()}
    if ":" in config.data.name:
        file, _, member = config.data.name.rpartition(":")
        found["data.name"] = f"{Path(file).expanduser().resolve()}:{member}"
    for path, text in flatten(config).items():
        if path.startswith("stages.") and path.endswith(".files") and text is not None and text not in RESERVED:
            files = {language: Path(file).expanduser() for language, file in language_files(text).items()}
            found[path] = ",".join(f"{language}={file.resolve()}" for language, file in files.items())
    return with_values(config, found)


def select_arms(study: StudyConfig, base: TrialConfig, text: str) -> tuple[Arm, ...]:
    """The arms that ``--arms`` names.

    Args:
        study: The study that has them.
        base: The trial that they change.
        text: As typed: names with commas; ``kl=0.6`` takes that arm with this value alone, and may be repeated.

    Returns:
        The arms in the order of the study.

    Raises:
        InputError: There is no such arm, or a value does not fit.
    """
    known = {arm.name: arm for arm in study.arms}
    whole: set[str] = set()
    chosen: dict[str, list[Value]] = {}
    for item in [item for item in text.split(",") if item.strip()] or [""]:
        name, equals, value = (part.strip() for part in item.partition("="))
        if name not in known:
            raise InputError(f"study {study.name} has no arm {name!r}; its arms are {', '.join(known)}")
        if equals:
            chosen.setdefault(name, []).append(known[name].convert(base, value))
        else:
            whole.add(name)
    if both := sorted(whole & set(chosen)):
        raise InputError(f"--arms takes arm {both[0]} either whole or with values")
    return tuple(
        _with_grid(arm, tuple(chosen[arm.name])) if arm.name in chosen else arm
        for arm in study.arms
        if arm.name in whole or arm.name in chosen
    )


def _with_grid(arm: Arm, values: tuple[Value, ...]) -> Arm:
    """The arm with its only searched path on a grid of these values."""
    ((path, space),) = arm.search.items()
    if len(set(values)) != len(values):
        raise InputError(f"--arms names a value of arm {arm.name} twice")
    return arm.model_copy(update={"search": {path: Grid(values=values, also=space.also)}})


def draft(study: StudyConfig) -> list[PlannedTrial]:
    """The planned trials without their ids, which need the model and the data.

    Args:
        study: The study.

    Returns:
        Arm by arm, point by point, seed by seed.
    """
    return [
        PlannedTrial(
            "", arm.name, label, seed, config.model_copy(update={"seed": seed}), None if arm.slots is None else number
        )
        for arm in study.arms
        for number, (label, config) in enumerate(arm.points(study.base), start=1)
        for seed in range(study.base.seed, study.base.seed + study.seeds)
    ]


def plan(study: StudyConfig, fingerprints: Fingerprints) -> list[PlannedTrial]:
    """The planned trials.

    Args:
        study: The study.
        fingerprints: Gives the content of the model and of the data that a configuration names.

    Returns:
        The trials in plan order, each with its id.

    Raises:
        InputError: Two rows of the plan are the same trial, which would count one result twice.
    """
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
    """Trials at the bounds of the joint spaces, which are not planned but show whether their draws will fit.

    Args:
        study: The study.

    Returns:
        Rows like those of ``draft``; none in a study without slots.
    """
    return [
        PlannedTrial("", arm.name, arm.name, config.seed, config)
        for arm in study.arms
        for config in arm.probes(study.base)
    ]


def identify(config: TrialConfig, model: str, data: str, drawn: Mapping[str, Any] | None = None) -> str:
    """The id of a trial: equal for equal content wherever it lies, different for anything that may change a number.

    Args:
        config: The configuration.
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
    """What two studies would do differently; their descriptions and where they came from do not count.

    Args:
        old: One study.
        new: Another.

    Returns:
        One line for each difference, none when the plans agree.
    """
    before, after = flatten(old.base), flatten(new.base)
    lines = [f"{path}: {before[path]} -> {after[path]}" for path in before if before[path] != after[path]]
    if old.seeds != new.seeds:
        lines.append(f"seeds: {old.seeds} -> {new.seeds}")
    arms_before, arms_after = ({arm.name: arm for arm in study.arms} for study in (old, new))
    for name in dict.fromkeys([*arms_before, *arms_after]):
        one, other = arms_before.get(name), arms_after.get(name)
        if one != other:
            texts = _arm_text(one, old.base), _arm_text(other, new.base)
            if texts[0] == texts[1]:  # the same labels, so what differs is fixed or not shown: give all of it
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
