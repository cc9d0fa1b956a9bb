"""Dotted paths into a TrialConfig: listing, reading and setting them, and parsing configurations from plain data.

The paths are public: ``--set``, search spaces, the columns ``config.PATH`` and the report use them.
"""

from __future__ import annotations

import difflib
import functools
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from trainables.config import TrialConfig
from trainables.errors import InputError
from trainables.schema import describe


def _sub_models(annotation: Any) -> list[type[BaseModel]]:
    """The configuration classes inside an annotation such as ``L2Config | None`` or a tuple of stages."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [model for part in typing.get_args(annotation) for model in _sub_models(part)]
    return []


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        annotation = field.annotation
        if typing.get_origin(annotation) is tuple and _sub_models(typing.get_args(annotation)[0]):
            for index, part in enumerate(typing.get_args(annotation)):
                yield from _leaves(part, f"{path}.{index}.")
        elif sub := _sub_models(annotation):
            yield from _leaves(sub[0], f"{path}.")
        else:
            yield path, field.description or ""


@functools.cache
def paths() -> Mapping[str, str]:
    """Every dotted path of a TrialConfig with its description and unit, in the order of the schema.

    Example:
        >>> paths()["stages.0.penalties.l2.weight"]
        'weight of 0.5 * sum theta^2'
    """
    return dict(_leaves(TrialConfig, ""))


def flatten(config: TrialConfig) -> dict[str, Any]:
    """The plain JSON value at every dotted path; None where a part is absent, so that the keys are always the same."""
    data = config.model_dump(mode="json")
    return {path: _get(data, keys) for path, keys in _keys().items()}


@functools.cache
def _keys() -> Mapping[str, tuple[str | int, ...]]:
    """The keys along every dotted path, cached because tables flatten thousands of configurations."""
    return {path: tuple(int(key) if key.isdigit() else key for key in path.split(".")) for path in paths()}


def _get(data: Any, keys: tuple[str | int, ...]) -> Any:
    for key in keys:
        if data is None:
            return None
        data = data[key]
    return data


def absent_part(config: TrialConfig, path: str) -> str | None:
    """The outermost part on a path that a configuration lacks; None where it has them all.

    Example:
        >>> absent_part(TrialConfig(), "stages.0.consistency.view.kind")
        'stages.0.consistency'
    """
    part: Any = config.model_dump(mode="json")
    for end, key in enumerate(_keys()[path][:-1], start=1):
        part = part[key]
        if part is None:
            return ".".join(path.split(".")[:end])
    return None


def check_path(path: str) -> None:
    """Refuse a path that no TrialConfig has with an InputError that suggests the nearest one."""
    known = paths()
    if path in known:
        return
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "the paths are listed by: fisher-study run quick --dry-run"
    raise InputError(f"unknown configuration path {path!r}; {hint}")


def with_values(config: TrialConfig, values: Mapping[str, Any]) -> TrialConfig:
    """A validated copy with other values at some dotted paths; absent parts along them are created.

    Args:
        values: Dotted path to value. Text is converted to the field's type, as from the command line; a list may be
            given as comma-separated text; "null" removes a value.

    Raises:
        InputError: A path is unknown or a value does not fit.

    Example:
        >>> with_values(TrialConfig(), {"stages.0.penalties.l2.weight": "0.001"}).stages[0].penalties.l2.weight
        0.001
    """
    data = config.model_dump(mode="json")
    for path, value in values.items():
        check_path(path)
        *parents, last = path.split(".")
        part: Any = data
        kind: type[BaseModel] = TrialConfig
        for key in parents:
            if isinstance(part, list):
                part = part[int(key)]
                continue
            kind = _part_class(kind, key)
            if part[key] is None:
                # Fill in its defaults; a required field must be among the given values.
                part[key] = kind.model_construct().model_dump(mode="json")
            part = part[key]
        if isinstance(value, str):
            value = None if value.strip() == "null" else value.strip()
            if value is not None and _is_list(kind.model_fields[last].annotation):
                value = [item.strip() for item in value.split(",") if item.strip()]
        part[last] = value
    return parse(data)


def _is_list(annotation: Any) -> bool:
    """Whether a field takes a list, or a list or None."""
    return any(typing.get_origin(part) is tuple for part in (annotation, *typing.get_args(annotation)))


def _part_class(parent: type[BaseModel], key: str) -> type[BaseModel]:
    annotation = parent.model_fields[key].annotation
    if typing.get_origin(annotation) is tuple:
        annotation = typing.get_args(annotation)[0]
    return _sub_models(annotation)[0]


def parse(data: Mapping[str, Any]) -> TrialConfig:
    """A TrialConfig from plain JSON data, as returned by ``TrialConfig.model_dump(mode="json")``.

    Raises:
        InputError: A key is unknown or a value does not fit; the message names each.
    """
    try:
        return TrialConfig.model_validate(data)
    except ValidationError as error:
        raise InputError(describe(error)) from None
