"""The view with an example's translation, from files that are parallel to the English training file.

A file has one line per example of the English training file as published, before any draw: line i translates example i.
A line is a sentence or, for sentence pairs, two sentences separated by a tab.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from trainables.data.contract import Rows
from trainables.data.tsv import read_table
from trainables.errors import InputError


def read_parallel(path: Path, examples: int, sentences: int) -> Rows:
    """Read the translations of all English training examples.

    Args:
        sentences: Sentences per example, 1 or 2.

    Returns:
        Their translations in file order; all labels are 0, since a view keeps the example's own.

    Raises:
        InputError: The file cannot be read, a line has the wrong number of sentences or an empty one, or there are not
            as many lines as examples.
    """
    form = "sentence" if sentences == 1 else "sentence TAB sentence"
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; view translation expects the English training file's translation there, "
            f"'{form}' a line"
        )
    table = read_table(path)
    if (header := table.header) is not None:  # published translations keep the columns of the English file
        places = [header.first, header.first if header.second is None else header.second][:sentences]
        table.lines[:] = [(n, [f[i] for i in places] if len(f) == header.width else f) for n, f in table.lines]
    lines = [fields for _, fields in table.lines]
    for number, fields in table.lines[:examples]:
        if len(fields) != sentences or not all(field.strip() for field in fields):
            raise InputError(
                f"{path}, line {number}: expected '{form}', found {len(fields)} columns"
                + (", one of them empty" if len(fields) == sentences else "")
            )
    if len(lines) != examples:
        raise InputError(
            f"{path}, line {min(len(lines), examples) + 1}: "
            + (f"the file ends after {len(lines)}" if len(lines) < examples else f"one of {len(lines)}")
            + f" lines, but the English training file has {examples} examples, and line i must translate example i"
        )
    second = [fields[1] for fields in lines] if sentences == 2 else None
    return Rows([fields[0] for fields in lines], second, [0] * len(lines))


def translate(rows: Rows, index: int, translations: Sequence[Rows], strength: float, generator: random.Random) -> Rows:
    """One row, with probability ``strength`` in a language that is drawn for it, else unchanged."""
    translated = generator.random() < strength
    return (generator.choice(translations) if translated else rows).take([index])
