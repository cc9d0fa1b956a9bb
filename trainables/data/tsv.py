"""Reading one TSV file: XTREME's download as it is (CRLF, CSV quoting) as well as plain tab-separated text."""

from __future__ import annotations

from pathlib import Path

from trainables.data.contract import Rows, Task
from trainables.errors import InputError


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

    Lines end at LF or CRLF only: published rows hold control characters at which ``str.splitlines`` would break.

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
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from None
    if not text:
        raise InputError(f"{path} is empty")
    lines = text.removesuffix("\n").split("\n")
    return [[_unquote(field) for field in line.removesuffix("\r").split("\t")] for line in lines]


def read_tsv(path: Path, task: Task) -> Rows:
    """The labelled sentence pairs of a file ``sentence1 TAB sentence2 TAB label``, without header.

    Args:
        path: The file.
        task: Gives the label set.

    Returns:
        The rows in file order.

    Raises:
        InputError: The file cannot be read, or a line has another number of columns or an unknown label.
    """
    index = {label: i for i, label in enumerate(task.labels)}
    rows = Rows([], [], [])
    assert rows.second is not None
    for number, fields in enumerate(read_fields(path), start=1):
        if len(fields) != 3:
            raise InputError(
                f"{path}, line {number}: expected 3 tab-separated columns (sentence, sentence, label), "
                f"found {len(fields)}" + ("; files without labels cannot be used here" if len(fields) == 2 else "")
            )
        label = fields[2].strip()
        label = task.aliases.get(label, label)
        if label not in index:
            raise InputError(f"{path}, line {number}: label {label!r} is not one of {', '.join(task.labels)}")
        rows.first.append(fields[0])
        rows.second.append(fields[1])
        rows.labels.append(index[label])
    return rows
