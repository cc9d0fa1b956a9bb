"""What every data set offers: rows of one or two sentences with a label, parallel across languages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from trainables.errors import InputError

FLORES = re.compile("[a-z]{3}_[A-Z][a-z]{3}")
"""A language and its script, such as deu_Latn."""

UNLABELLED = ("", "-", "-1")
"""What published files write in the place of a label that is missing or that annotators did not agree on."""
NO_LABEL = -1
"""Stands for such a label among rows, until they are dropped."""


@dataclass(frozen=True)
class Rows:
    """Labelled sentences or sentence pairs, column by column.

    Attributes:
        first: First sentences.
        second: Second sentences, or None for a one-sentence task.
        labels: Indices into the task's labels.
    """

    first: list[str]
    second: list[str] | None
    labels: list[int]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, indices: Sequence[int]) -> Rows:
        """Some rows, in the order asked for.

        Args:
            indices: Row numbers.

        Returns:
            Those rows.
        """
        return Rows(
            [self.first[i] for i in indices],
            None if self.second is None else [self.second[i] for i in indices],
            [self.labels[i] for i in indices],
        )

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Rows one after another.

        Args:
            parts: Rows of one task.

        Returns:
            All of them.
        """
        second = [text for part in parts for text in part.second or ()]
        return cls(
            [text for part in parts for text in part.first],
            second if any(part.second is not None for part in parts) else None,
            [label for part in parts for label in part.labels],
        )

    def examples(self) -> list[tuple[str, ...]]:
        """The sentences of each row, without its label.

        Returns:
            Tuples of one or two sentences.
        """
        return list(zip(self.first, strict=True) if self.second is None else zip(self.first, self.second, strict=True))


@dataclass(frozen=True)
class HubFiles:
    """Where the hub keeps a data set: parquet files with numbers for labels, or TSV files with a header line.

    Attributes:
        name: Id of the repository.
        columns: Columns of parquet files: the first sentence, the second sentence and the label.
        languages: The languages that it has; empty: see ``Task.codes``.
        pattern: Its files, by ``{language}`` and ``{split}``.
        splits: Its names of ``train``, ``dev`` and ``test``, in this order.
    """

    name: str
    columns: tuple[str, str, str] = ("", "", "")
    languages: tuple[str, ...] = ()
    pattern: str = "{language}/{split}-*.parquet"
    splits: tuple[str, str, str] = ("train", "validation", "test")


@dataclass(frozen=True)
class Task:
    """A data set: its labels, and where the hub or the package keeps it.

    Attributes:
        name: Name in ``data.name``.
        labels: Label names; their order gives the label indices.
        sentences: Sentences of an example, one or two.
        numbered: The labels in the order in which a file without their names numbers them, from 0; empty: no such file.
        aliases: Other spellings of labels in published files.
        hub: Its files on the hub, or None when it is not there.
        bundled: Folder inside the package, or None when it is not bundled.
        codes: Short codes of languages to the codes in file names; a code of the latter kind is taken as it is.
        pooled: Whether all rows that do not train in English validate: those left of the training split, and the
            splits dev and test; for small sets whose training split is parallel, too.
    """

    name: str
    labels: tuple[str, ...]
    sentences: int = 2
    numbered: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    hub: HubFiles | None = None
    bundled: Path | None = None
    codes: Mapping[str, str] = field(default_factory=dict)
    pooled: bool = False

    def code(self, language: str) -> str:
        """The name of a language in the names of the files.

        Args:
            language: As the configuration names it.

        Returns:
            The code.

        Raises:
            InputError: The set has codes, and this is none of either kind.
        """
        if not self.codes or language in self.codes:
            return self.codes.get(language, language)
        if FLORES.fullmatch(language):
            return language
        near = get_close_matches(language, [*self.codes, *self.codes.values()], 3, 0.4)
        meant = f"did you mean {', '.join(near)}" if near else f"short codes are {', '.join(self.codes)}"
        raise InputError(f"data.languages: {self.name} has no language {language!r}; {meant}? FLORES codes do, too")
