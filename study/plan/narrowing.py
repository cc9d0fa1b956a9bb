"""What the command line changes in a study before it is planned: settings, arms, folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from study.config import Arm, StudyConfig
from study.search_space import Value
from trainables.config import TrialConfig
from trainables.config.dotted_paths import absent_part, check_path, flatten, paths, with_values
from trainables.errors import InputError
from trainables.schema import describe
from trainables.views.view import language_files

RESERVED = ("mini", "bundled", "hub")  # these names never mean a folder, even if one has the name
ANSWER = "answer."
"""Prefix of the paths of a study's own settings, which trials do not have."""

SWITCHES = ("weight", "preset", "kind", "rank", "train_nll")
"""Fields that switch on the part of a trial that they belong to; the part's other fields only say how it acts."""


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Path to value, both text, of every ``--set PATH=VALUE``; InputError for another form or a repeated path."""
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
        arms: Arms to keep, separated by commas; ``kl=0.6`` keeps that arm with this value alone, and may be repeated.
        values: Dotted path to text, for the base of every arm; ``answer.fit`` belongs to the study itself. If the base
            lacks a part, its settings, such as the Fisher penalty's ``every``, go to the arms that have the part.

    Raises:
        InputError: An arm or a path is unknown, a value does not fit, or a path belongs to an arm.
    """
    own = {path: value for path, value in (values or {}).items() if path.startswith(ANSWER)}
    of_base = {path: value for path, value in (values or {}).items() if path not in own}
    of_arms = _left_to_arms(study.base, of_base)
    base = with_values(
        study.base, _second_stages_of(study, of_base) | {path: of_base[path] for path in of_base if path not in of_arms}
    )
    kept = study.arms if arms is None else select_arms(study, base, arms)
    for arm in kept:
        refuse_taken_paths(arm, of_base)
    kept = tuple(_with_parts_set(arm, base, of_arms, of_base) for arm in kept)
    for path, part in of_arms.items():
        if not any(path in arm.set for arm in kept):
            switches = " or ".join(_switches(part))
            raise InputError(f"{path} is set, but no trial here has {part}; set {switches}, too")
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


def _left_to_arms(base: TrialConfig, values: Mapping[str, str]) -> dict[str, str]:
    """Settings of parts that the base lacks and that no other setting switches on: path to part."""
    found = {}
    for path in values:
        check_path(path)
        part = absent_part(base, path)
        if part is not None and (switches := _switches(part)) and not any(switch in values for switch in switches):
            found[path] = part
    return found


def _switches(part: str) -> list[str]:
    return [path for name in SWITCHES if (path := f"{part}.{name}") in paths()]


def _with_parts_set(arm: Arm, base: TrialConfig, of_arms: Mapping[str, str], values: Mapping[str, str]) -> Arm:
    """The arm with the settings of those parts that it adds; InputError when a value does not fit."""
    brought = (*arm.set, *arm.searched)
    own = {path: values[path] for path, part in of_arms.items() if any(name.startswith(f"{part}.") for name in brought)}
    if not own:
        return arm
    there = flatten(absolute_folders(with_values(arm.points(base)[0][1], own)))
    return arm.model_copy(update={"set": arm.set | {path: there[path] for path in own}})


def _second_stages_of(study: StudyConfig, values: Mapping[str, str]) -> dict[str, str]:
    """If ``data.languages`` changes, keep the second-stage languages that are still in it; if none is, use them all."""
    staged = study.base.data.stage2_languages
    if staged is None or "data.languages" not in values:
        return {}
    languages = {language.strip() for language in values["data.languages"].split(",")}
    return {"data.stage2_languages": ",".join(name for name in staged if name in languages) or "null"}


def refuse_taken_paths(arm: Arm, paths: Iterable[str]) -> None:
    """Raise an InputError when the base of a study changes a path that an arm searches or fixes."""
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
    """The arms that ``--arms`` names, in the order of the study.

    Args:
        base: The trial that the arms change.
        text: As typed: names separated by commas; ``kl=0.6`` takes that arm with this value alone and may be repeated.

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
    if twice := [name for name, values in chosen.items() if len(set(values)) != len(values)]:
        raise InputError(f"--arms names a value of arm {twice[0]} twice")
    return tuple(
        arm.only(*chosen[arm.name]) if arm.name in chosen else arm
        for arm in study.arms
        if arm.name in whole or arm.name in chosen
    )
