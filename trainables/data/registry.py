"""Data sets by name: each a module of ``trainables/data/sets``, or ``FILE.py:NAME`` for one outside the package."""

from __future__ import annotations

import importlib
import pkgutil
import runpy
from pathlib import Path

from trainables import plugins
from trainables.data import sets
from trainables.data.contract import Task
from trainables.errors import InputError

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(sets.__path__)))


def check_name(name: str) -> str:
    """Return a valid data set name, or raise ValueError; the user's own file is only looked for when it is read."""
    file, _, member = name.rpartition(":")
    if name in NAMES or (file.endswith(".py") and member.isidentifier()):
        return name
    return plugins.check_name("data.name", name, (*NAMES, "FILE.py:NAME"))


def find_set(name: str) -> Task:
    """A data set by its name, or the ``Task`` of the user's own ``FILE.py:NAME``; InputError where there is none."""
    if name in NAMES:
        found: object = importlib.import_module(f"{sets.__name__}.{name}").TASK
    else:
        file, _, member = name.rpartition(":")
        path = Path(file).expanduser()
        if not path.is_file():
            raise InputError(f"data.name={name}: there is no file {file}")
        try:
            found = runpy.run_path(str(path)).get(member)
        except InputError as error:
            raise InputError(f"data.name={name}: {error}") from None
        except Exception as error:
            raise InputError(f"data.name={name}: {file} fails with {type(error).__name__}: {error}") from None
    if not isinstance(found, Task):
        raise InputError(f"data.name={name}: it defines no Task of that name")
    return found
