"""Files on this machine that a command is asked to write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainables.errors import InputError


def require_parent(file: Path) -> None:
    """Raise an InputError when the file's folder does not exist."""
    if not file.parent.is_dir():
        raise InputError(f"{file}: there is no folder {file.parent}")


@contextmanager
def aside(file: Path, advice: str = "") -> Iterator[Path]:
    """The file to write to, which replaces ``file`` at the end; InputError, with the advice, if that fails."""
    part = file.with_name(f".{file.name}.part")
    try:
        yield part
        os.replace(part, file)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}{advice}") from None
    finally:
        part.unlink(missing_ok=True)
