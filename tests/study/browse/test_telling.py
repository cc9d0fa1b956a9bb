"""Sentences break between words in a terminal and stay whole in a pipe; what takes time is named in both."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from study.browse.telling import tell, working

SENTENCE = "Whether flatter models gain more from the second stage stays open."


@pytest.mark.parametrize("terminal", [True, False])
def test_a_sentence_is_broken_between_words_only(terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=20, force_terminal=terminal, color_system=None)
    tell(console, SENTENCE)
    lines = console.file.getvalue().splitlines()
    assert " ".join(line.strip() for line in lines) == SENTENCE
    assert (len(lines) > 1) == terminal


@pytest.mark.parametrize("term", ["xterm", "dumb"])
@pytest.mark.parametrize("terminal", [True, False])
def test_what_takes_time_is_said_at_once(terminal: bool, term: str) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=terminal, _environ={"TERM": term})
    with working(console, "reading the model"):
        time.sleep(0.3)
        assert "reading the model" in console.file.getvalue()
