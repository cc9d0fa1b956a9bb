"""Where published data sets keep their files, and what the header lines of those files say.

``SPLIT-LANG.tsv`` without a header is XTREME's format and this package's own. PAWS-X (``x-final``), XNLI-1.0,
XNLI-MT-1.0 and SIB-200 are read as unpacked, from their own folder or its parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.contract import listed
from trainables.errors import InputError

PLACES: dict[str, tuple[str, ...]] = {
    "train": (
        "train-{language}.tsv",
        "{language}/train.tsv",
        "x-final/{language}/train.tsv",
        "multinli.train.{language}.tsv",
        "multinli/multinli.train.{language}.tsv",
        "XNLI-MT-1.0/multinli/multinli.train.{language}.tsv",
    ),
    **{
        split: (
            f"{split}-{{language}}.tsv",
            f"{{language}}/{split}.tsv",
            f"{{language}}/{split}_2k.tsv",
            f"x-final/{{language}}/{split}_2k.tsv",
            f"xnli.{split}.tsv",
            f"XNLI-1.0/xnli.{split}.tsv",
        )
        for split in ("dev", "test")
    },
}
NAMES = {"en": "eng_Latn"}
"""Other names of a language under which files of any task are looked up, too."""

FIRST = ("sentence1", "premise", "text", "sentence")
SECOND = ("sentence2", "hypo", "hypothesis")
LABEL = ("gold_label", "label", "category")
UNREAD = ("question", "question1", "query", "context", "passage", "paragraph", "text_pair")
"""Columns of pairs in other published files; ignoring them would turn the data into another task."""


@dataclass(frozen=True)
class Header:
    """What the columns of a file with a header line are, by index from 0; None where there is no such column.

    ``unread`` names sentence columns that are none of these.
    """

    width: int
    first: int
    second: int | None
    label: int
    language: int | None
    unread: tuple[str, ...] = ()


def find_header(fields: Sequence[str]) -> Header | None:
    """The header, if the first line of a file names three or more columns as published files do; None: an example."""
    names = [field.strip().lower() for field in fields]

    def place(known: Sequence[str]) -> int | None:
        return next((names.index(name) for name in known if name in names), None)

    first, label = place(FIRST), place(LABEL)
    if len(names) < 3 or first is None or label is None:
        return None
    unread = tuple(name for name in names if name in UNREAD)
    return Header(len(names), first, place(SECOND), label, place(("language",)), unread)


def find_file(folder: Path, source: str, split: str, language: str, code: str | None = None) -> tuple[Path, bool]:
    """The file of a split in a language, the first of ``PLACES`` that exists, and whether it contains all languages.

    Args:
        source: The folder as the user gave it, for messages.
        split: ``train``, ``dev`` or ``test``.
        code: The task's own name for the language.

    Raises:
        InputError: None exists; the message names the expected file and those that are there.
    """
    for name in dict.fromkeys((language, code or language, NAMES.get(language, language))):
        for place in PLACES[split]:
            if (path := folder / place.format(language=name)).is_file():
                return path, "{language}" not in place
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.tsv"))
    wanted = PLACES[split][0].format(language=language)
    if not files:
        raise InputError(f"data.source={source} has no {wanted}; it holds no .tsv file at all")
    raise InputError(
        f"data.source={source} has no {wanted}; found: {listed(files, 12)}; rename the one that is meant to {wanted}"
    )
