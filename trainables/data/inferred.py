"""Labels and number of sentences of a task that does not define them: those of its English training file."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from trainables.data.contract import UNLABELLED, Task
from trainables.data.tsv import Table
from trainables.errors import InputError


def from_training_file(task: Task, table: Table, labels: tuple[str, ...]) -> Task:
    """The task that an English training file defines: one or two sentences, and the labels.

    Args:
        table: The training file; its header or first line gives the number of columns.
        labels: The labels in the order of the classes; empty takes those that the file declares, else those that it
            has, sorted.

    Raises:
        InputError: The file has neither 2 nor 3 columns, or its last column holds no labels.
    """
    header, columns = table.header, table.width
    if header is None and columns not in (2, 3):
        raise InputError(
            f"{table.at(1)}: expected 2 or 3 tab-separated columns (one or two sentences, then the label), "
            f"found {columns}"
        )
    task = replace(task, sentences=columns - 1 if header is None else 1 + (header.second is not None))
    if chosen := labels or table.labels:
        return replace(task, labels=chosen, numbered=() if any(label.isdecimal() for label in chosen) else chosen)
    written = [label.strip() for label in table.column(-1 if header is None else header.label)]
    counts = Counter(written)
    if 2 * len(counts) > len(table.lines):
        raise InputError(
            f"{table.path}: the last column holds {len(counts):,} different labels in {len(table.lines):,} lines, so "
            "it seems to be no label; name the labels in data.labels when it is"
        )
    if header is None and counts[written[0]] == 1 and written[0] not in UNLABELLED:
        raise InputError(
            f"{table.at(1)}: label {written[0]!r} occurs on no other line, so this seems to be a header; remove the "
            "line, or name the labels in data.labels"
        )
    return replace(task, labels=tuple(sorted(label for label in counts if _is_class(label, counts))))


def _is_class(label: str, counts: Counter[str]) -> bool:
    """Whether a label found in a file is a class: -1 is one on a scale such as -1, 0, 1, and none beside 0, 1, 2."""
    if label != "-1":
        return label not in UNLABELLED
    others = {other for other in counts if other not in UNLABELLED}
    return others <= {"0", "1"} or any(other[:1] == "-" and other[1:].isdecimal() for other in others)
