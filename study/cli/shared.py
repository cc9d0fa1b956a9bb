"""What several commands share: arguments, the console, and the folder of the study that was named."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from study.store.storage import Store

Storage = Annotated[str, typer.Option(help="Folder or URI that holds the studies.")]
Study = Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="Name of a study, or any study's folder.")]


def console(quiet: bool = False) -> Console:
    """Where tables go: as wide as the terminal; in a file or a pipe, wide enough for whole rows."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, quiet=quiet)


def opened(study: str, storage: str) -> Store:
    """The folder of a study that is named by its folder, or by its name in a storage."""
    from study.store.folders import study_folder
    from study.store.storage import STUDY_FILE, open_store

    folder = open_store(study)
    return folder if "/" in study or folder.exists(STUDY_FILE) else study_folder(open_store(storage), study)
