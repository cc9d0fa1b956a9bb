"""What every data set offers: rows of one or two sentences with a label, parallel across languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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

    def examples(self) -> list[tuple[str, ...]]:
        """The sentences of each row, without its label.

        Returns:
            Tuples of one or two sentences.
        """
        return list(zip(self.first, strict=True) if self.second is None else zip(self.first, self.second, strict=True))


@dataclass(frozen=True)
class HubFiles:
    """Where the hub keeps a data set: parquet files ``LANG/{train,validation}-*.parquet``, labels as numbers.

    Attributes:
        name: Id of the repository.
        columns: Columns of the first sentence, the second sentence and the label.
        languages: The languages that it has.
    """

    name: str
    columns: tuple[str, str, str]
    languages: tuple[str, ...]


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
    """

    name: str
    labels: tuple[str, ...]
    sentences: int = 2
    numbered: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    hub: HubFiles | None = None
    bundled: Path | None = None
