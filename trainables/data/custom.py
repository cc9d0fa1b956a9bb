"""A user's own task: a folder of TSV files with one or two sentences and a label a line, any label set."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from trainables.data.contract import Task
from trainables.data.tsv import read_fields
from trainables.errors import InputError

TASK = Task("custom", ())


def custom_task(train: Path, labels: tuple[str, ...]) -> Task:
    """The task that an English training file defines: one or two sentences, and the labels.

    Args:
        train: The training file; its first line gives the number of columns.
        labels: The labels in the order of the classes; empty takes the sorted labels of the training file.

    Returns:
        The task.

    Raises:
        InputError: The file cannot be read, has neither 2 nor 3 columns, or its last column holds no labels.
    """
    lines = read_fields(train)
    columns = len(lines[0])
    if columns not in (2, 3):
        raise InputError(
            f"{train}, line 1: expected 2 or 3 tab-separated columns (one or two sentences, then the label), "
            f"found {columns}"
        )
    counts = Counter(fields[-1].strip() for fields in lines if len(fields) == columns)
    if not labels:
        if 2 * len(counts) > len(lines):
            raise InputError(
                f"{train}: the last column holds {len(counts):,} different labels in {len(lines):,} lines, so it seems "
                "to be no label; name the labels in data.labels when it is"
            )
        header = lines[0][-1].strip()
        if counts[header] == 1:
            raise InputError(
                f"{train}, line 1: label {header!r} occurs on no other line, so this seems to be a header; remove the "
                "line, or name the labels in data.labels"
            )
        labels = tuple(sorted(label for label in counts if label))
    return Task("custom", labels, sentences=columns - 1)
