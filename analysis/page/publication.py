"""From a document to its files in place: page, Markdown, pictures, and what the caller adds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from analysis.page import render
from analysis.page.document import Figure
from analysis.page.pictures import LIBRARY, Drawing, static
from analysis.page.publish import ENDINGS, check_writable, publish
from study.store.storage import inside


class Publication:
    """A document in the making; what takes longest starts when the block is entered.

    Args:
        target: Local folder or URI to write to.
        name: Of the page and the Markdown, without ending.
    """

    def __init__(self, target: str, name: str) -> None:
        self._target, self._name = target, name

    def __enter__(self) -> Publication:
        check_writable(self._target)
        self._folder = tempfile.TemporaryDirectory()
        self._aside = Path(self._folder.name)
        self._drawing = Drawing(self._aside)
        self._drawing.library()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawing.stop()
        self._folder.cleanup()

    def write(self, document: render.Document, others: Callable[[list[str]], Mapping[str, bytes]]) -> str:
        """Draw the pictures and put all files into place; gives the page's path or URI.

        Args:
            others: From the figures' names to further files by relative path; called while the pictures are drawn.
        """
        text = document.numbers.text
        drawn = [block for _, _, blocks in document.sections for block in blocks if isinstance(block, Figure)]
        self._drawing.pictures({f.name: static(f.spec, f.rows, text(f.alternative)) for f in drawn})
        pictures = {f.name: f"figures/{f.name}.png" for f in drawn}
        files = {f"{self._name}.md": render.markdown(document, pictures).encode(), **others(list(pictures))}
        self._drawing.wait()
        for name in (f"{figure}.{ending}" for figure in pictures for ending in ENDINGS):
            files[f"figures/{name}"] = (self._aside / name).read_bytes()
        library = (self._aside / LIBRARY).read_text(encoding="utf-8")
        files[f"{self._name}.html"] = render.page(document, library).encode()
        publish(self._target, files)
        return inside(self._target, f"{self._name}.html")
