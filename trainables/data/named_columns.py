"""Reading files whose columns have names, as the hub keeps them: parquet, JSON lines, CSV and TSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pyarrow.parquet as pq

from trainables.data.contract import NO_LABEL
from trainables.data.layouts import Header
from trainables.data.tsv import Table, unquote
from trainables.errors import InputError, one_line

KINDS = (".parquet", ".json", ".jsonl", ".csv", ".tsv")
Fields = dict[str, list[Any]]
"""Column name to the value of each row; None, NaN or "" where a row has none."""


def read_named(files: Sequence[Path], columns: Sequence[str]) -> Table:
    """The examples in the files of a split, concatenated, with labels as the files name them.

    Args:
        files: The files, in order, all of one kind; messages about several name the first.
        columns: Names of the sentence or both sentences, and of the label.

    Raises:
        InputError: A file cannot be read or is of another kind, lacks a column, or names other labels than the first.
    """
    rows: list[list[str]] = []
    labels: tuple[str, ...] | None = None
    for file in files:
        found, names = _read(file, columns)
        if labels is not None and names != labels:
            raise InputError(f"{file} names the labels {', '.join(names)}, but {files[0]} {', '.join(labels)}")
        labels = names
        rows += found
    if not rows:
        raise InputError(f"{files[0]} has no row")
    header = Header(len(columns), 0, 1 if len(columns) == 3 else None, len(columns) - 1, None)
    return Table(files[0], header, list(enumerate(rows, start=1)), labels or (), "row")


def _read(file: Path, columns: Sequence[str]) -> tuple[list[list[str]], tuple[str, ...]]:
    """The fields of each row, and the label names that the file declares."""
    kind = next((suffix for suffix in file.suffixes if suffix in KINDS), None)
    if kind is None:
        raise InputError(f"{file} is none of {', '.join(KINDS)}, of which each may be compressed")
    names: tuple[str, ...] = ()
    try:
        if kind == ".parquet":
            table, names = _parquet(file, columns[-1])
        elif kind in (".json", ".jsonl"):
            table = _json(file)
        else:
            table = _delimited(file, kind)
    except (ValueError, OSError, EOFError) as error:
        why = one_line(error)
        said = f"is damaged ({why}); fetch it again" if kind == ".parquet" else f"cannot be read: {why}"
        raise InputError(f"{file} {said}") from None
    for name in columns:
        if name not in table:
            raise InputError(f"{file} has no column {name!r}; it has {', '.join(table) or 'none'}")
    fields = [[_text(value, name, file) for value in table[name]] for name in columns]
    if names:
        fields[-1] = [_named(label, names, file) for label in fields[-1]]
    return [list(row) for row in zip(*fields, strict=True)], names


def _parquet(file: Path, label: str) -> tuple[Fields, tuple[str, ...]]:
    """A parquet file's columns, and the names of its labels where its schema contains them."""
    from datasets import Features

    with pq.ParquetFile(file) as parquet:
        table = parquet.read()
    names = getattr(Features.from_arrow_schema(table.schema).get(label), "names", None)
    return table.to_pydict(), tuple(names or ())


def _json(file: Path) -> Fields:
    """The columns of a file with one object per line, or one array of objects; values keep their types in the file."""
    with fsspec.open(str(file), "rt", encoding="utf-8-sig", compression="infer") as stream:
        text = stream.read()
    if text.lstrip().startswith("["):
        rows = json.loads(text)
    else:
        rows = [_object(line, number) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("it takes an object for each row")
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}


def _object(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number}: {error.msg}") from None


def _delimited(file: Path, kind: str) -> Fields:
    """CSV with its quoting, or TSV as in a folder, where quotes are text; every field is kept as text."""
    options: dict[str, Any] = {"dtype": str, "na_filter": False, "encoding": "utf-8-sig"}
    if kind == ".tsv":
        options |= {"sep": "\t", "quoting": csv.QUOTE_NONE, "lineterminator": "\n"}
    table = pd.read_csv(file, **options)
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError("its rows have more fields than its header")
    if kind == ".csv":
        return {str(name): list(table[name]) for name in table}
    # Where lines end in CRLF, the last column keeps the CR.
    return {
        str(name).removesuffix("\r"): [unquote(field.removesuffix("\r")) for field in table[name].fillna("")]
        for name in table
    }


def _text(value: Any, column: str, file: Path) -> str:
    """A value as text, empty where there is none; InputError for a list, an object or bytes, which no task uses."""
    if isinstance(value, (dict, list, bytes)):
        raise InputError(f"{file}: column {column!r} holds a {type(value).__name__} in some row, and not text")
    return "" if value is None or value != value else str(value)


def _named(label: str, names: tuple[str, ...], file: Path) -> str:
    """The name of a numbered label; a placeholder for a missing label is kept."""
    if label in ("", str(NO_LABEL)):
        return label
    if not (label.isdecimal() and int(label) < len(names)):
        raise InputError(f"{file}: label {label} is none of the {len(names)} that the file names: {', '.join(names)}")
    return names[int(label)]
