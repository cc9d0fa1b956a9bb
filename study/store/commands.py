"""Commands as they are printed: quoted, so that they can be pasted into a shell."""

from __future__ import annotations

import shlex

from study.store.storage import Store


def study_command(name: str, folder: Store, *options: str) -> str:
    """A command about a study.

    Args:
        name: ``show``, ``resume`` or another command that takes a study.
        folder: The study's folder.
        options: Further options.

    Returns:
        A shell command.
    """
    return shlex.join(["fisher-study", name, folder.name, "--storage", folder.parent_location, *options])


def start_command(storage: Store) -> str:
    """The command that starts a first study in a storage.

    Args:
        storage: The storage.

    Returns:
        A shell command.
    """
    return study_command("run", storage.child("quick"))
