"""Commands as they are printed: quoted, so that they can be pasted into a shell."""

from __future__ import annotations

import shlex

from study.store.storage import Store


def study_command(name: str, folder: Store, *options: str) -> str:
    """A shell command about a study; ``name`` is ``show``, ``resume`` or another command that takes a study."""
    return shlex.join(["fisher-study", name, folder.name, "--storage", folder.parent_location, *options])


def start_command(storage: Store) -> str:
    """The shell command that starts a first study in a storage."""
    return study_command("run", storage.child("quick"))
