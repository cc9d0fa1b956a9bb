"""Rows that are left out before the draw, in every language of parallel files."""

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
    """The remaining rows of a split.

    Attributes:
        numbers: Language to their row numbers in the files.
        parallel: Whether the rows of all languages are the same examples.
    """

    rows: dict[str, Rows]
    numbers: dict[str, list[int]]
    parallel: bool


def drop(source: Source, not_translated: bool) -> tuple[Split, Split, Split, tuple[Dropped, Dropped]]:
    """Leave out of every split the rows that cannot or must not be used.

    Args:
        not_translated: Whether to leave out rows with an untranslated sentence, too.

    Returns:
        The training, validation and test splits; and what was dropped as untranslated, and as unlabelled.

    Raises:
        InputError: A split has no rows left in some language.
    """
    splits = [_whole(rows, source.task.parallel) for rows in (source.train, source.validation, source.test)]
    unlabelled = _drop(splits, lambda rows: [row for row, label in enumerate(rows.labels) if label == NO_LABEL])
    translated = _drop(splits, untranslated) if not_translated else Dropped(0, 0, len(source.validation[ENGLISH]), {})
    for name, split in zip(("training", "validation", "test"), splits, strict=True):
        if empty := [language for language, rows in split.rows.items() if not len(rows)]:
            raise InputError(
                f"no {name} row is left in {empty[0]}: each has no label or is not translated in some language"
            )
    train, validation, test = splits
    return train, validation, test, (translated, unlabelled)


def _whole(rows: dict[str, Rows], declared: bool) -> Split:
    numbers = {language: list(range(len(found))) for language, found in rows.items()}
    return Split(rows, numbers, all(parallel(rows[ENGLISH], found, declared) for found in rows.values()))


def parallel(english: Rows, rows: Rows, declared: bool) -> bool:
    """Whether the rows of a whole file match those of the English one, judging by their number and labels.

    Args:
        declared: Whether the data set declares this; else labels must be equal where both rows have one.
    """
    if len(rows) != len(english):
        return False
    pairs = zip(english.labels, rows.labels, strict=True)
    return declared or all(one == other or NO_LABEL in (one, other) for one, other in pairs)


def _drop(splits: list[Split], unusable: Callable[[Rows], list[int]]) -> Dropped:
    """Leave unusable rows out of every split, in place, and count them."""
    counts, languages, total = [], {}, len(splits[1].rows[ENGLISH]) if splits[1].parallel else None
    for place, split in enumerate(splits):
        found = {language: set(unusable(rows)) for language, rows in split.rows.items()}
        if place == 1:
            languages = {language: len(rows) for language, rows in found.items()}
        if split.parallel:
            found = dict.fromkeys(found, set().union(*found.values()))
            counts.append(max(map(len, found.values()), default=0))
        else:
            counts.append(sum(map(len, found.values())))
        if counts[-1]:
            kept = {name: [i for i in range(len(rows)) if i not in found[name]] for name, rows in split.rows.items()}
            rows = {language: rows.take(kept[language]) for language, rows in split.rows.items()}
            numbers = {name: [split.numbers[name][i] for i in left] for name, left in kept.items()}
            splits[place] = Split(rows, numbers, split.parallel)
    return Dropped(counts[0], counts[1], total, languages, counts[2])
