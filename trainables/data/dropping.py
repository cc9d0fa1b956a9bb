"""Rows that are left out before the draw, in every language: those without a label, those that were not translated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trainables.config import ENGLISH
from trainables.data.contract import NO_LABEL, Rows
from trainables.data.notes import Dropped, untranslated
from trainables.data.sources import Source
from trainables.errors import InputError


@dataclass(frozen=True)
class Split:
    """The rows of a split that are left.

    Attributes:
        rows: Language to rows, parallel.
        numbers: Their row numbers in the files.
    """

    rows: dict[str, Rows]
    numbers: list[int]


def drop(source: Source, not_translated: bool) -> tuple[Split, Split, Split, tuple[Dropped, Dropped]]:
    """Leave out the rows of every split that cannot or must not be used.

    Args:
        source: All rows.
        not_translated: Whether to leave out those with a sentence that was not translated, too.

    Returns:
        Training, validation and test; and what was dropped since it was not translated, and since it has no label.

    Raises:
        InputError: No row of a split is left.
    """
    splits = [_whole({ENGLISH: source.train}), _whole(source.validation), _whole(source.test)]
    unlabelled = _drop(splits, _unlabelled)
    translated = _drop(splits, untranslated) if not_translated else Dropped(0, 0, len(splits[1].numbers), {})
    for name, split in zip(("training", "validation", "test"), splits, strict=True):
        if split.rows and not split.numbers:
            raise InputError(f"no {name} row is left: each has no label or is not translated in some language")
    train, validation, test = splits
    return train, validation, test, (translated, unlabelled)


def _whole(rows: dict[str, Rows]) -> Split:
    return Split(rows, list(range(len(next(iter(rows.values()), ())))))


def _unlabelled(rows: Rows) -> list[int]:
    return [row for row, label in enumerate(rows.labels) if label == NO_LABEL]


def _drop(splits: list[Split], unusable: Callable[[Rows], list[int]]) -> Dropped:
    """Leave the rows out of every split in place, and count them."""
    counts, languages, total = [], {}, len(splits[1].numbers)
    for place, split in enumerate(splits):
        found = {language: unusable(rows) for language, rows in split.rows.items()}
        anywhere = {row for rows in found.values() for row in rows}
        counts.append(len(anywhere))
        if place == 1:
            languages = {language: len(rows) for language, rows in found.items()}
        if anywhere:
            kept = [row for row in range(len(split.numbers)) if row not in anywhere]
            rows = {language: rows.take(kept) for language, rows in split.rows.items()}
            splits[place] = Split(rows, [split.numbers[row] for row in kept])
    return Dropped(counts[0], counts[1], total, languages, counts[2])
