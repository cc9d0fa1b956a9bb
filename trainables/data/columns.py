"""Which column of a tab-separated file is which: as the user says, or as inferred where the file leaves no doubt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import InputError

Lines = Sequence[tuple[int, Sequence[str]]]
"""Line number in the file, from 1, and fields of each line."""
Fits = Callable[[Sequence[str]], bool]

LABEL_LENGTH = 40  # characters; what is longer is a sentence
FEW = 10  # lines; among fewer, labels need not repeat
_NAME = re.compile(
    r"(sentence|sent|text|premise|hypothesis|question|query|passage|context|title|body|review|comment|tweet|document|"
    r"utterance|content|input|label|labels|gold|gold[_ ]?label|class|category|target|topic|intent|sentiment|rating|"
    r"score|id|idx|index|index_id|guid|pairid|row|lang|language|is_duplicate|quality|similarity)[ _-]?(\d|a|b)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
FORM = "first=N,second=N|none,label=N|none, with columns counted from 1"


@dataclass(frozen=True)
class Columns:
    """Column indices of the sentences and of the label, from 0; None where there is no second sentence or no label."""

    first: int
    second: int | None = None
    label: int | None = None

    @property
    def used(self) -> list[int]:
        """The columns that are read."""
        return [column for column in (self.first, self.second, self.label) if column is not None]

    def to_json(self) -> dict[str, int | None]:
        """``first``, ``second`` and ``label`` to column, counted from 1; None where there is none."""
        roles = {"first": self.first, "second": self.second, "label": self.label}
        return {role: None if column is None else column + 1 for role, column in roles.items()}

    def describe(self, count: int) -> str:
        """How a file with ``count`` examples was interpreted, such as ``600 pairs, labels in column 3``."""
        places = [str(column + 1) for column in (self.first, self.second) if column is not None]
        said = f"{count:,} {'sentence' if self.second is None else 'pair'}{'' if count == 1 else 's'}"
        if places not in (["1"], ["1", "2"]):
            said += f" in column{'' if len(places) == 1 else 's'} {' and '.join(places)}"
        return f"{said}, " + ("no labels" if self.label is None else f"labels in column {self.label + 1}")


def parse_columns(text: str) -> Columns:
    """Columns from an option such as ``first=1,second=none,label=2``; what is not named is none.

    Raises:
        InputError: The option has another form, names no first sentence, or gives a column two roles.

    Example:
        >>> parse_columns("first=2,second=3,label=4").describe(600)
        '600 pairs in columns 2 and 3, labels in column 4'
    """
    found: dict[str, int | None] = {}
    for part in text.split(","):
        role, _, value = (word.strip().lower() for word in part.partition("="))
        known = role in ("first", "second", "label") and role not in found
        if not known or not (value == "none" or (value.isdecimal() and int(value) > 0)):
            raise InputError(f"--columns: expected {FORM}; got {text!r}")
        found[role] = None if value == "none" else int(value) - 1
    first = found.get("first")
    places = [place for place in found.values() if place is not None]
    if first is None or len(set(places)) < len(places):
        reason = "first is missing" if first is None else "a column has two roles"
        raise InputError(f"--columns: {reason} in {text!r}; expected {FORM}")
    return Columns(first, found.get("second"), found.get("label"))


def find_columns(path: Path, lines: Lines, fits: Fits, given: Columns | None = None) -> Columns:
    """The columns of a file of sentences or pairs, with or without labels; a header or a blank line is refused.

    One column is a sentence. Of two, the second is the label where ``fits`` says so, and otherwise a second sentence;
    three are a pair and its label. A column that does not look like what it would be taken for is refused.

    Args:
        fits: Whether all values are labels of the classifier.
        given: What the user says about the columns.

    Returns:
        The columns; every line has the same number of them.

    Raises:
        InputError: The columns are ambiguous, or a line is malformed.
    """
    start, first = lines[0]
    for number, fields in lines:
        if not any(field.strip() for field in fields):
            raise InputError(f"{path}, line {number}: the line is blank; remove it")
        if len(fields) != len(first):
            raise InputError(f"{path}, line {number}: {len(fields)} columns, but line {start} has {len(first)}")
    names = first if given is None else [first[i] for i in given.used if i < len(first)]
    if all(_NAME.fullmatch(name.strip()) for name in names):
        raise InputError(f"{path}, line {start}: {', '.join(names)} seems to be a header; remove the line")
    values = [[field.strip() for field in column] for column in zip(*(fields for _, fields in lines), strict=True)]
    if given is not None and max(given.used) >= len(first):
        raise InputError(f"{path}: --columns names column {max(given.used) + 1}, but the file has {len(first)}")
    label = given.label if given is not None else len(first) - 1 if len(first) in (2, 3) else None
    if label is not None and _names_a_column(values[label], fits):
        raise InputError(
            f"{path}, line {start}: {values[label][0]!r} is no label as on the other lines, so this seems to be a "
            "header; remove the line"
        )
    return given or _guess(path, values, fits)


def _names_a_column(column: Sequence[str], fits: Fits) -> bool:
    """Whether the first value is no label, but those below it are: all are the classifier's, or several repeat."""
    if fits(column):
        return False
    counts = Counter(column)
    alone = len(counts) > 2 and 2 * len(counts) <= len(column) and counts[column[0]] == 1
    return alone or (len(column) > 2 and fits(column[1:]))


def _guess(path: Path, values: Sequence[Sequence[str]], fits: Fits) -> Columns:
    if len(values) > 3:
        raise _doubt(f"{path}: expected 1 to 3 tab-separated columns (sentence, sentence, label), found {len(values)}")
    last, different = values[-1], len(set(values[-1]))
    labelled = len(values) > 1 and fits(last)
    short, repeated = max(map(len, last)) <= LABEL_LENGTH, 2 * different <= len(last)
    known = 2 * sum(fits([value]) for value in last) >= len(last)
    if len(values) == 2 and not labelled and (known or (short and repeated and any(last))):
        raise _doubt(
            f"{path}: column 2 holds {different:,} different values in {len(last):,} lines, as labels do, but not all "
            "are labels of the classifier"
        )
    if len(values) == 3 and not labelled and not (short and (known or repeated or len(last) < FEW)):
        raise _doubt(f"{path}: column 3 seems to hold sentences and no labels")
    sentences = values if len(values) == 1 else values[: 1 if len(values) == 2 and labelled else 2]
    for number, column in enumerate(sentences, start=1):
        if fits(column):
            raise _doubt(f"{path}: column {number} holds labels of the classifier and no sentences")
        if all(not value or _NUMBER.fullmatch(value) for value in column):
            raise _doubt(f"{path}: column {number} holds no sentences")
    return Columns(0, 1 if len(sentences) == 2 else None, len(sentences) if len(values) > len(sentences) else None)


def _doubt(what: str) -> InputError:
    return InputError(f"{what}; say which is which by --columns, as in --columns first=1,second=none,label=2")
