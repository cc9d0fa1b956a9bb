"""Reading files whose columns have names, as the hub keeps them: parquet, JSON lines, CSV and TSV."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainables.data.contract import NO_LABEL
from trainables.data.layouts import Header
from trainables.data.tsv import Table
from trainables.errors import InputError, one_line

READERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".parquet": ("from_parquet", {}),
    ".json": ("from_json", {}),
    ".jsonl": ("from_json", {}),
    ".csv": ("from_csv", {"keep_default_na": False}),
    ".tsv": ("from_csv", {"keep_default_na": False, "sep": "\t"}),
}


def read_named(files: Sequence[Path], columns: Sequence[str]) -> Table:
    """The examples of the files of a split, one after another, with labels as the files name them.

    Args:
        files: The files, in order, all of one kind; several go by the name of the first.
        columns: Names of the sentence or both sentences, and of the label.

    Raises:
        InputError: A file is damaged or of another kind, lacks a column, or names other labels than the first.
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
    import datasets

    kind = next((suffix for suffix in file.suffixes if suffix in READERS), None)
    if kind is None:
        raise InputError(f"{file} is none of {', '.join(READERS)}, of which each may be compressed")
    reader, options = READERS[kind]
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what is wrong with a file is said here
    with tempfile.TemporaryDirectory() as cache:  # else it keeps a second copy of what the hub's cache holds
        try:
            table = getattr(datasets.Dataset, reader)(str(file), cache_dir=cache, keep_in_memory=True, **options)
        except (ValueError, OSError, datasets.exceptions.DatasetGenerationError) as error:
            raise InputError(f"{file} is damaged ({one_line(error)}); fetch it again") from None
        for name in columns:
            if name not in table.column_names:
                raise InputError(f"{file} has no column {name!r}; it has {', '.join(table.column_names)}")
        fields = [["" if value is None else str(value) for value in table[name]] for name in columns]
        names = tuple(getattr(table.features[columns[-1]], "names", None) or ())
    if names:
        fields[-1] = [label if label in ("", str(NO_LABEL)) else names[int(label)] for label in fields[-1]]
    return [list(row) for row in zip(*fields, strict=True)], names
