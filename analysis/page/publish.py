"""Puts the files of a report into place: all of them or none, and nothing of anybody else is touched."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from study.store.storage import open_store
from study.store.storage_error import cause
from trainables.errors import InputError

ENDINGS = ("svg", "pdf", "png")


def check_writable(target: str) -> None:
    """Find out before the work whether a report can be written to a local folder or URI."""
    with _told(target):
        if "://" in target:
            open_store(target)
            return
        folder = Path(target).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".report-", dir=folder):
            pass


def publish(target: str, files: Mapping[str, bytes]) -> None:
    """Write all files, by relative path, aside, then move them into place in a local folder or URI.

    Figures that only an earlier report had are deleted.
    """
    with _told(target):
        if "://" in target:
            store = open_store(target)
            outdated = _earlier_figures(lambda: store.read("numbers.json")) - set(files)
            for name, content in files.items():  # the page comes last
                inside, _, file = name.rpartition("/")
                (store.child(inside) if inside else store).write(file, content)
            for name in outdated:
                store.child("figures").delete(name.removeprefix("figures/"))
            return
        folder = Path(target).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".report-", dir=folder) as aside:
            _fill(Path(aside), files)
            for name in _earlier_figures((folder / "numbers.json").read_bytes) - set(files):
                (folder / name).unlink(missing_ok=True)
            (folder / "figures").mkdir(exist_ok=True)
            for name in files:
                os.replace(Path(aside) / name, folder / name)


def _earlier_figures(read: Callable[[], bytes]) -> set[str]:
    """Pictures that an earlier report lists as its own, in the numbers that ``read`` gives."""
    try:
        names = json.loads(read())["figures"]
        return {f"figures/{Path(name).name}.{ending}" for name in names for ending in ENDINGS}
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # no report of ours: nothing to delete


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextmanager
def _told(target: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or cause(error)
        raise InputError(f"cannot write the report to {target}: {reason}; choose another folder with --out") from None
