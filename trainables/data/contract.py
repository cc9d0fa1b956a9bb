"""What every data set offers: rows of one or two sentences with a label, usually parallel across languages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from string import Formatter

from trainables.errors import InputError

FLORES = re.compile("[a-z]{3}_[A-Z][a-z]{3}")
"""A language and its script, such as deu_Latn."""

UNLABELLED = ("", "-", "-1")
"""What published files write instead of a label that is missing or on which annotators did not agree."""
NO_LABEL = -1
"""Represents such a label in rows until they are dropped."""


def listed(names: Sequence[str], most: int = 20) -> str:
    """The first names, separated by commas, and how many more there are, for a one-line message."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


@dataclass(frozen=True)
class Rows:
    """Labelled sentences or sentence pairs, column by column.

    Attributes:
        second: Second sentences, or None for a one-sentence task.
        labels: Indices into the task's labels.
    """

    first: list[str]
    second: list[str] | None
    labels: list[int]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, indices: Sequence[int]) -> Rows:
        """Some rows, in the order asked for."""
        return Rows(
            [self.first[i] for i in indices],
            None if self.second is None else [self.second[i] for i in indices],
            [self.labels[i] for i in indices],
        )

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Rows of one task, concatenated."""
        second = [text for part in parts for text in part.second or ()]
        return cls(
            [text for part in parts for text in part.first],
            second if any(part.second is not None for part in parts) else None,
            [label for part in parts for label in part.labels],
        )

    def examples(self) -> list[tuple[str, ...]]:
        """The one or two sentences of each row, without its label."""
        return list(zip(self.first, strict=True) if self.second is None else zip(self.first, self.second, strict=True))


@dataclass(frozen=True)
class HubFiles:
    """Where the hub keeps a data set, and thus how a copy of that repository in a folder is read.

    Attributes:
        name: Id of the repository.
        pattern: Pattern of its files, with ``{language}`` and ``{split}``: parquet, JSON lines, CSV or TSV.
        columns: Names of the columns: the sentence or both sentences, then the label; empty: TSV files as in a folder.
        splits: Its names for ``train``, ``dev`` and ``test``, in this order; empty where it has no such split.
    """

    name: str
    pattern: str = "{language}/{split}-*.parquet"
    columns: tuple[str, ...] = ()
    splits: tuple[str, str, str] = ("train", "validation", "test")

    def __post_init__(self) -> None:
        names = [name for _, name, _, _ in Formatter().parse(self.pattern) if name is not None]
        if not set(names) <= {"language", "split"}:
            raise InputError(f"{self.name}: the pattern takes {{language}} and {{split}}, got {self.pattern!r}")
        if any("**" in part and part != "**" for part in self.pattern.split("/")):
            raise InputError(f"{self.name}: ** must be a whole part of the pattern, got {self.pattern!r}")
        if len(self.splits) != 3 or len(self.columns) not in (0, 2, 3):
            raise InputError(
                f"{self.name}: splits are the names of train, dev and test (empty: none), and columns one or two "
                f"sentences and the label; got {self.splits} and {self.columns}"
            )

    def place(self, language: str, split: str) -> str:
        """The glob pattern of ``train``, ``dev`` or ``test``; empty where the repository has no such split."""
        name = dict(zip(("train", "dev", "test"), self.splits, strict=True))[split]
        return self.pattern.format(language=language, split=name) if name else ""


@dataclass(frozen=True)
class Task:
    """A data set: its labels, its languages, and where the hub or the package keeps it.

    Attributes:
        name: Name in ``data.name``.
        labels: Label names; their order gives the label indices. If empty, those of the English training file.
        sentences: Sentences per example, one or two.
        numbered: The labels in the order in which a file without their names numbers them, from 0; if empty, none.
        aliases: Other spellings of labels in published files.
        hub: Its files on the hub, or None when it is not there.
        bundled: Folder inside the package, or None when it is not bundled.
        languages: The languages that it has on the hub under names that are also their codes.
        codes: Other language names to the codes in file names; a code is used as it is.
        form: What codes look like, where there are too many to list.
        pooled: Whether all rows that do not train in English are used for validation: the rest of the training split,
            and the splits dev and test; for small sets whose training split is parallel, too.
        parallel: Whether the rows of a split are the same in every language; else each language is drawn separately.
        english: The set that provides English rows on the hub, where this one has none.
    """

    name: str
    labels: tuple[str, ...] = ()
    sentences: int = 2
    numbered: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    hub: HubFiles | None = None
    bundled: Path | None = None
    languages: tuple[str, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)
    form: re.Pattern[str] | None = None
    pooled: bool = False
    parallel: bool = True
    english: Task | None = None

    def code(self, language: str) -> str:
        """The name of a language in file names; the given name where the set does not list its languages.

        Raises:
            InputError: The set lists its languages, and none has that name.
        """
        known = [*self.codes, *self.languages, *self.codes.values()]
        if not known or language in known or (self.form is not None and self.form.fullmatch(language)):
            return self.codes.get(language, language)
        near = get_close_matches(language, known, 3, 0.4)
        meant = f"did you mean {', '.join(near)}? " if near else ""
        more = "" if self.form is None else f", and codes such as {next(iter(self.codes.values()))}"
        names = ", ".join(sorted({*self.codes, *self.languages}))
        raise InputError(f"data.languages: {self.name} has no language {language!r}; {meant}it has {names}{more}")
