"""The base of every configuration, the types that they share, what identifies one, and what is wrong with one."""

from __future__ import annotations

import reprlib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Language = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\w-]+$")]
"""A code such as ``de``, ``zh-CN`` or ``deu_Latn``; part of file and column names."""


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200  # whole paths, but not whole files


class Frozen(BaseModel):
    """A configuration that cannot change after validation and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def later(default: Any, **options: Any) -> Any:
    """A field, as pydantic's ``Field`` makes it, that was added after studies had been run without it.

    Its default must mean what was done before the field existed: a configuration with that default keeps its identity.
    """
    return Field(default, json_schema_extra={"later": True}, **options)


def identity(config: BaseModel) -> dict[str, Any]:
    """What distinguishes a configuration: its plain JSON data without ``later`` fields at their defaults.

    It is thus the same before and after a ``later`` field is added.
    """
    data = config.model_dump(mode="json")
    _leave_out(config, data)
    return data


def _leave_out(value: Any, data: Any) -> None:
    if isinstance(value, tuple):
        for item, part in zip(value, data, strict=True):
            _leave_out(item, part)
    elif isinstance(value, dict):
        for key, item in value.items():
            _leave_out(item, data[key])
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and extra.get("later") and getattr(value, name) == field.default:
                del data[name]
            else:
                _leave_out(getattr(value, name), data[name])


def describe(error: ValidationError) -> str:
    """The problems of a configuration in one line, each with its place."""
    lines = []
    for problem in error.errors():
        place = ".".join(str(key) for key in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] != "value_error":
            message = f"{place}: {message[0].lower()}{message[1:]}, got {_SHORT.repr(problem['input'])}".lstrip(": ")
        lines.append(message)
    return "; ".join(lines)
