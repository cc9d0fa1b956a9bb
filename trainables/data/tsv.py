"""Reading one TSV file: XTREME's download as it is (CRLF, CSV quoting) as well as plain tab-separated text."""

from __future__ import annotations

from pathlib import Path

from trainables.data.contract import Rows, Task
from trainables.errors import InputError

LISTED_LABELS = 20  # a message is one line


def _unquote(field: str) -> str:
    """Undo CSV quoting."""
    # XTREME wraps a field in quotes only when it holds a quote itself, and doubles the inner ones. A plain file may
    # hold a sentence that merely begins and ends with a quote; it has no doubled quote inside and stays as it is.
    if len(field) < 2 or field[0] != '"' or field[-1] != '"':
        return field
    inner = field[1:-1]
    if '""' not in inner or '"' in inner.replace('""', ""):
        return field
    return inner.replace('""', '"')


def read_fields(path: Path) -> list[list[str]]:
    """The fields of every line of a file.

    Lines end at LF or CRLF only: published rows hold control characters at which ``str.splitlines`` would break. Blank
    lines at the end are none.

    Args:
        path: The file.

    Returns:
        One list a line, CSV quoting undone.

    Raises:
        InputError: The file does not exist, is empty, or is no UTF-8 text.
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
    return [[_unquote(field) for field in line.removesuffix("\r").split("\t")] for line in lines]


def read_tsv(path: Path, task: Task) -> Rows:
    """The labelled examples of a file ``sentence [TAB sentence] TAB label``, without header.

    Args:
        path: The file.
        task: Gives the number of sentences and the label set.

    Returns:
        The rows in file order.

    Raises:
        InputError: The file cannot be read, or a line has another number of columns, no label or an unknown one.
    """
    index = {label: i for i, label in enumerate(task.labels)}
    names = ["sentence"] * task.sentences + ["label"]
    lines = read_fields(path)
    labels = []
    for number, fields in enumerate(lines, start=1):
        if len(fields) != len(names):
            raise InputError(
                f"{path}, line {number}: expected {len(names)} tab-separated columns ({', '.join(names)}), "
                f"found {len(fields)}"
                + ("; files without labels cannot be used here" if len(fields) == task.sentences == 2 else "")
            )
        label = fields[-1].strip()
        label = task.aliases.get(label, label)
        if not label:
            raise InputError(f"{path}, line {number}: the label is missing")
        if label not in index:
            raise InputError(f"{path}, line {number}: label {label!r} is not one of {_listed(task.labels)}")
        labels.append(index[label])
    second = [fields[1] for fields in lines] if task.sentences == 2 else None
    return Rows([fields[0] for fields in lines], second, labels)


def _listed(labels: tuple[str, ...]) -> str:
    more = f" and {len(labels) - LISTED_LABELS:,} more" if len(labels) > LISTED_LABELS else ""
    return ", ".join(labels[:LISTED_LABELS]) + more
