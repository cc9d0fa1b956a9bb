"""From a document to its files in their place: all of them or none, touching no file that is not the report's."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from analysis.page import render
from analysis.page.composition import finish
from analysis.page.document import Figure
from analysis.page.pictures import LIBRARY, Drawing, static
from study.store.storage import inside, open_store
from study.store.storage_error import cause
from trainables.errors import InputError

ENDINGS = ("svg", "pdf", "png")


Others = Callable[[list[str]], Mapping[str, bytes]]


@contextmanager
def publication(target: str, name: str) -> Iterator[Callable[[render.Document, Others], str]]:
    """Publish one document; the slowest part starts as soon as the block is entered.

    Args:
        target: Local folder or URI to write to.
        name: File name of the page and the Markdown, without the ending.

    Yields:
        A function that draws a document's pictures, puts all files in place, and returns the page's path or URI. Its
        second argument maps the figures' names to further files by relative path, while the pictures are being drawn.
    """
    check_writable(target)
    with tempfile.TemporaryDirectory() as folder:
        drawing = Drawing(Path(folder))
        try:
            drawing.library()
            yield partial(_write, target, name, Path(folder), drawing)
        finally:
            drawing.stop()


def _write(target: str, name: str, aside: Path, drawing: Drawing, document: render.Document, others: Others) -> str:
    text = document.numbers.text
    drawn = [block for _, _, blocks in document.sections for block in blocks if isinstance(block, Figure)]
    drawing.pictures({f.name: static(finish(f.spec), f.rows, text(f.alternative)) for f in drawn})
    pictures = {f.name: f"figures/{f.name}.png" for f in drawn}
    files = {f"{name}.md": render.markdown(document, pictures).encode(), **others(list(pictures))}
    drawing.wait()
    for picture in (f"{figure}.{ending}" for figure in pictures for ending in ENDINGS):
        files[f"figures/{picture}"] = (aside / picture).read_bytes()
    library = (aside / LIBRARY).read_text(encoding="utf-8")
    files[f"{name}.html"] = render.page(document, library).encode()
    publish(target, files)
    return inside(target, f"{name}.html")


def check_writable(target: str) -> None:
    """Check, before any work is done, that a report can be written to a local folder or URI."""
    with _told(target):
        if "://" in target:
            open_store(target)
            return
        folder = Path(target).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".report-", dir=folder):
            pass


def publish(target: str, files: Mapping[str, bytes]) -> None:
    """Write files, named by relative path, to a local folder, where they are moved into place at the end, or to a URI.

    Figures that only an earlier report had are deleted.
    """
    with _told(target):
        if "://" in target:
            store = open_store(target)
            outdated = _earlier_figures(lambda: store.read("numbers.json")) - set(files)
            for name, content in files.items():  # the page comes last
                within, _, file = name.rpartition("/")
                (store.child(within) if within else store).write(file, content)
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
    """Pictures that an earlier report lists as its own in numbers.json, which ``read`` returns."""
    try:
        names = json.loads(read())["figures"]
        return {f"figures/{Path(name).name}.{ending}" for name in names for ending in ENDINGS}
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # not a report of this package: nothing to delete


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
