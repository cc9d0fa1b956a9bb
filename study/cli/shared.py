"""What several commands share: arguments, the console, and the folder of the study that was named."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

Storage = Annotated[str, typer.Option(help="Folder or URI that holds the studies.")]
Study = Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="Name of a study, or any study's folder.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the study.")]


def console(quiet: bool = False) -> Console:
    """Where tables go: as wide as the terminal, and wide enough for whole rows in a file or a pipe."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, quiet=quiet)


def location(study: str, storage: str) -> str:
    """The folder of a study that is given by its folder, or by its name in a storage."""
    from study.store.folders import study_folder
    from study.store.storage import STUDY_FILE, open_store

    is_folder = "/" in study or open_store(study).exists(STUDY_FILE)
    return study if is_folder else study_folder(open_store(storage), study).location
