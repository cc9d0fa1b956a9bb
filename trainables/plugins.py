"""Plugins: what a user's file or package adds, by entry points ``NAME = MODULE:OBJECT`` in one of our groups.

Names are known at once. A module is imported only when something in it is looked up, so that an unused plugin neither
costs time nor causes a failure.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from trainables.errors import PluginError, one_line

KINDS = ("views", "presets", "penalties", "rivals", "sections", "rules")
"""What can be added; its group of entry points is ``fisher_study.KIND``."""
T = TypeVar("T")


@cache
def entries(kind: str) -> dict[str, EntryPoint]:
    """What plugins add, by name, not yet imported; ``kind`` is one of ``KINDS``.

    Raises:
        PluginError: Two have the same name, or a name cannot be part of a dotted path.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=f"fisher_study.{kind}"):
        if entry.name in found:
            raise PluginError(f"plugins: {kind} has {entry.name} twice, {found[entry.name].value} and {entry.value}")
        if not entry.name.isidentifier():
            raise PluginError(f"plugins: {kind} has {entry.name!r} = {entry.value}; names take letters, digits and '_'")
        found[entry.name] = entry
    return found


@cache
def load(kind: str, name: str) -> Any:
    """Import what a plugin adds under a name of :func:`entries`; PluginError where that fails."""
    entry = entries(kind)[name]
    try:
        return entry.load()
    except PluginError:  # from another plugin that it uses
        raise
    except Exception as error:
        why = one_line(error, "no message")
        raise PluginError(f"plugins: {kind} {name} = {entry.value} fails: {type(error).__name__}: {why}") from None


def load_all() -> None:
    """Import every plugin, so that a broken one is found before a trial starts."""
    for kind in KINDS:
        for name in entries(kind):
            load(kind, name)


def known(kind: str, ours: Iterable[str]) -> list[str]:
    """Every name, the built-in ones first; PluginError where a plugin has a built-in name."""
    names = list(ours)
    if taken := [entry for name, entry in entries(kind).items() if name in names]:
        raise PluginError(f"plugins: {kind} has {taken[0].name} already; {taken[0].value} needs another name")
    return [*names, *entries(kind)]


def check_name(what: str, name: str, names: Iterable[str]) -> str:
    """Return a name that is among ``names``; else raise a ValueError that lists them and suggests the nearest."""
    choice = list(names)
    if name in choice:
        return name
    near = get_close_matches(name, choice, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise ValueError(f"unknown {what} {name!r}; {meant}known are {', '.join(choice)}")


class Registry(dict[str, T]):
    """Built-in objects by name. Those of plugins are found when they are looked up; iteration skips them.

    Args:
        kind: One of ``KINDS``.
        type_: The type that every entry must have.
    """

    def __init__(self, kind: str, type_: Any, ours: dict[str, T]) -> None:
        super().__init__(ours)
        self._kind = kind
        self._type = type_

    def __missing__(self, name: str) -> T:
        if name not in entries(self._kind):
            raise KeyError(name)
        found: T = load(self._kind, name)
        if not isinstance(found, self._type):
            value = entries(self._kind)[name].value
            raise PluginError(f"plugins: {self._kind} {name} = {value} is no {self._type.__name__}")
        return found

    def known(self) -> list[str]:
        """Every name, our own first."""
        return known(self._kind, self)
