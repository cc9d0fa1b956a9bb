"""Folders of studies in a storage, and shell commands about them, quoted so that they can be pasted."""

from __future__ import annotations

import re
import shlex

from study.config import NAME
from study.store.storage import STUDY_FILE, Store
from trainables.errors import InputError

REPORT_PAGE = "report/report.html"


def next_run(folder: Store) -> str:
    """The name of the next Tune experiment in a study's folder: ``0001``, ``0002``, ..."""
    numbers = [int(name) for name in folder.child("runs").names() if name.isdigit()]
    return f"{max(numbers, default=0) + 1:04d}"


def study_folder(storage: Store, name: str) -> Store:
    """The folder of a study; if it does not exist, an InputError that lists the studies in the storage."""
    folder = storage.child(name)
    if not re.fullmatch(NAME, name) or not folder.exists(STUDY_FILE):
        known = studies(storage)
        none = f"it holds no study yet; start one with: {start_command(storage)}"
        held = f"it holds {', '.join(known)}" if known else none
        raise InputError(f"{storage.location} holds no study {name!r}; {held}")
    return folder


def studies(storage: Store) -> list[str]:
    """Names of the studies in a storage, sorted; none when the storage does not exist.

    A local folder that this user may not read is skipped.

    Raises:
        OSError: The storage cannot be read.
    """
    found = []
    for name in storage.names():
        try:
            if storage.child(name).exists(STUDY_FILE):
                found.append(name)
        except OSError:
            if not storage.is_local:
                raise
    return found


def study_command(name: str, folder: Store, *options: str) -> str:
    """A shell command about a study; ``name`` is ``show``, ``resume`` or another command that takes a study."""
    return shlex.join(["fisher-study", name, folder.name, "--storage", folder.parent_location, *options])


def start_command(storage: Store) -> str:
    """The shell command that starts a first study in a storage."""
    return study_command("run", storage.child("quick"))
