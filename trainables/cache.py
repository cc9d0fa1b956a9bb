"""Files that take long to make, kept from one run to the next in the user's cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile


def cache() -> Path:
    """The folder that contains everything that is kept; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fisher-study"


def keep(kept: Path, write: Callable[[str], object]) -> None:
    """Write a file of the cache under another name, then rename it, so that no reader ever sees part of it.

    Args:
        kept: The file.
        write: Writes its content to a path.

    Raises:
        OSError: The cache cannot be written; a caller that has the content can continue without it.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=kept.parent, suffix=".part", delete=False) as aside:
        pass
    try:
        write(aside.name)
        os.replace(aside.name, kept)
    finally:
        Path(aside.name).unlink(missing_ok=True)
