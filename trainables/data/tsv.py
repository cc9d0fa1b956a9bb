"""Reading one TSV file: XTREME's download as it is (CRLF, CSV quoting) as well as plain tab-separated text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.contract import NO_LABEL, UNLABELLED, Rows, Task, listed
from trainables.data.layouts import Header, find_header
from trainables.errors import InputError

DROP = "data.unlabelled=drop leaves such rows out"


def unquote(field: str) -> str:
    """Undo CSV quoting."""
    # XTREME wraps a field in quotes only when it contains a quote itself, and doubles the inner ones. A plain file may
    # contain a sentence that merely begins and ends with a quote; it has no doubled quote inside and stays as it is.
    if len(field) < 2 or field[0] != '"' or field[-1] != '"':
        return field
    inner = field[1:-1]
    if '""' not in inner or '"' in inner.replace('""', ""):
        return field
    return inner.replace('""', '"')


def read_fields(path: Path) -> list[list[str]]:
    """The fields of every line of a file, CSV quoting undone.

    Lines end at LF or CRLF only: published rows contain control characters at which ``str.splitlines`` would break
    lines. Blank lines at the end do not count.

    Raises:
        InputError: The file does not exist, is empty, or is not UTF-8 text.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        text = path.read_bytes().decode("utf-8-sig")  # some editors put a byte order mark first
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from None
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"{path} is empty")
    return [[unquote(field) for field in line.removesuffix("\r").split("\t")] for line in lines]


@dataclass(frozen=True)
class Table:
    """The examples of a file, still as text.

    Attributes:
        header: What its header line says; None where it has none.
        lines: Number in the file, from 1, and fields of every example.
        labels: Names of the labels in the order of the classes, where the file declares them.
        unit: What the numbers count: ``line`` or ``row``.
    """

    path: Path
    header: Header | None
    lines: list[tuple[int, list[str]]]
    labels: tuple[str, ...] = ()
    unit: str = "line"

    def at(self, number: int) -> str:
        """The place of an example, for messages."""
        return f"{self.path}, {self.unit} {number}"

    @property
    def width(self) -> int:
        """Number of columns of the header, else of the first line."""
        return len(self.lines[0][1]) if self.header is None else self.header.width

    def refuse_unread(self) -> None:
        """Raise an InputError where the header names sentences that would not be read."""
        if self.header is not None and self.header.unread:
            raise InputError(
                f"{self.path}: the header names {', '.join(self.header.unread)}, which would not be read; name the "
                "column of the sentence sentence1, that of a second one sentence2, and leave the others out"
            )

    def column(self, place: int) -> list[str]:
        """The fields of one column, from all lines of the full width."""
        return [fields[place] for _, fields in self.lines if len(fields) == self.width]


def read_table(path: Path, language: str | None = None, code: str | None = None) -> Table:
    """The examples of a file, with or without the header line of a published one.

    Args:
        language: The language to read from a file that contains many and names each row's in a column.
        code: The task's own name for it.

    Raises:
        InputError: The file cannot be read, has only a header, or has no line in that language.
    """
    lines = list(enumerate(read_fields(path), start=1))
    header = find_header(lines[0][1])
    if header is None:
        return Table(path, None, lines)
    table = Table(path, header, lines[1:])
    if header.language is not None and language is not None:
        found = Counter(table.column(header.language))
        if language not in found and code in found:
            language = code
        if language not in found:
            raise InputError(
                f"{path} has no line of language {language!r}; it has {', '.join(sorted(found)) or 'none'}"
            )
        kept = [(n, line) for n, line in table.lines if len(line) != header.width or line[header.language] == language]
        table = Table(path, header, kept)
    if not table.lines:
        raise InputError(f"{path} has a header line and no example")
    return table


def rows_of(table: Table, task: Task, keep_unlabelled: bool = False) -> Rows:
    """The labelled examples of a table, in its order.

    Args:
        task: Gives the number of sentences and the label set.
        keep_unlabelled: Whether rows without a usable label (``-``, ``-1``, empty) are kept, with ``NO_LABEL``.

    Raises:
        InputError: A line has the wrong number of columns, no label or an unknown one.
    """
    if (header := table.header) is not None and (header.second is None) != (task.sentences == 1):
        raise InputError(
            f"{table.at(1)}: the header names {1 if header.second is None else 2} sentences an example, but "
            f"data.name={task.name} has {task.sentences}"
        )
    _check_widths(table, task)
    first, second, label = (0, 1, -1) if header is None else (header.first, header.second or 0, header.label)
    labels = [fields[label].strip() for _, fields in table.lines]
    return Rows(
        [fields[first] for _, fields in table.lines],
        [fields[second] for _, fields in table.lines] if task.sentences == 2 else None,
        _numbers(table, labels, task, keep_unlabelled),
    )


def _check_widths(table: Table, task: Task) -> None:
    names = ["sentence"] * task.sentences + ["label"]
    width = len(names) if table.header is None else table.width
    for number, fields in table.lines:
        if len(fields) == width:
            continue
        expected = f"{width} tab-separated columns" + (f" ({', '.join(names)})" if table.header is None else "")
        blank = "" if "".join(fields).strip() else "but the line is blank: "
        raise InputError(
            f"{table.at(number)}: expected {expected}, {blank}found {len(fields)}"
            + ("; files without labels cannot be used here" if len(fields) == task.sentences == 2 else "")
        )


def _numbers(table: Table, labels: Sequence[str], task: Task, keep_unlabelled: bool) -> list[int]:
    """Class number of every label: by name or, where the file has no names, by the order in ``task.numbered``."""
    index = {label: i for i, label in enumerate(task.labels)}
    if unknown := [label for label in table.labels if label not in index and label not in task.aliases]:
        raise InputError(
            f"{table.path} names a label {unknown[0]!r}, which is not one of {listed(task.labels)}: label sets "
            "must not differ between languages and splits"
        )
    missing = {label for label in UNLABELLED if label not in index}
    known = index | {other: index[label] for other, label in task.aliases.items() if label in index}
    found = set(labels) - missing
    by_number = {str(i): index[label] for i, label in enumerate(task.numbered)}
    if found and not found & known.keys() and found <= by_number.keys():
        known = by_number
    numbers = []
    for (number, _), label in zip(table.lines, labels, strict=True):
        if label in known:
            numbers.append(known[label])
        elif label in missing and keep_unlabelled:
            numbers.append(NO_LABEL)
        elif label in missing:
            count = sum(label in missing for label in labels)
            shown = f" ({label!r})" if label else ""
            raise InputError(
                f"{table.at(number)}: the label is missing{shown}, as on {count:,} of {len(labels):,} {table.unit}s; "
                f"{DROP}"
            )
        else:
            raise InputError(
                f"{table.at(number)}: label {label!r} is not one of {listed(task.labels)}"
                + _advice(label, labels, number, table, task)
            )
    return numbers


def _advice(label: str, labels: Sequence[str], number: int, table: Table, task: Task) -> str:
    """What an unknown label most likely is."""
    if label.isdecimal() and not task.numbered and not any(name.isdecimal() for name in task.labels):
        return f"; if the file numbers its labels, say in which order: data.labels={','.join(task.labels)}"
    if number == 1 and table.header is None and len(labels) > 1 and labels.count(label) == 1:
        return "; if the line is a header, remove it"
    return ""
