"""What every data set offers: rows of one or two sentences with a label, parallel across languages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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

    def take(self, indices: list[int]) -> Rows:
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


@dataclass(frozen=True)
class Task:
    """A data set: its labels, and where the hub or the package keeps it.

    Attributes:
        name: Name in ``data.name``.
        labels: Label names; their order gives the label indices.
        aliases: Other spellings of labels in published files.
        hub_id: Data set id on the hub, or None when it is not there.
        hub_columns: Columns of the first sentence, the second sentence and the label on the hub.
        bundled: Folder inside the package, or None when it is not bundled.
    """

    name: str
    labels: tuple[str, ...]
    aliases: dict[str, str]
    hub_id: str | None
    hub_columns: tuple[str, str, str]
    bundled: Path | None
