"""Sentences on a console: broken between words in a terminal, whole lines in a file or a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


def tell(console: Console, text: str) -> None:
    """Print a sentence."""
    console.print(text, soft_wrap=not console.is_terminal, markup=False)


def say(console: Console, line: str) -> None:
    """Print a line that people may copy, such as a command or a path: never broken, even in a terminal."""
    console.print(line, soft_wrap=True, markup=False)


@contextmanager
def working(console: Console, text: str) -> Iterator[None]:
    """Say what is taking time: an animated line in a terminal, a plain one elsewhere."""
    if not console.is_interactive:
        tell(console, text)
    with console.status(text):
        yield
