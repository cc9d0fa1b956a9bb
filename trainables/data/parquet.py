"""Reading the parquet files that the hub keeps of a data set."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainables.data.contract import NO_LABEL, HubFiles, Rows
from trainables.errors import InputError


def read_parquet(files: Sequence[Path], hub: HubFiles, labels: Sequence[str], keep_unlabelled: bool = False) -> Rows:
    """The labelled pairs of some parquet files, one after another.

    Args:
        files: The files of a split, in order.
        hub: Gives the columns.
        labels: The label names, which the files number in this order.
        keep_unlabelled: Whether rows with the label -1, or none, are kept, with ``NO_LABEL``.

    Returns:
        The rows in file order.

    Raises:
        InputError: A file is damaged, lacks a column, or has a row without a label.
    """
    first: list[str] = []
    second: list[str] = []
    labelled: list[int] = []
    for file in files:
        table = _columns(file, hub.columns)
        for number, label in enumerate(table[2], start=1):
            missing = label is None or label == NO_LABEL
            if label not in range(len(labels)) and not (missing and keep_unlabelled):
                advice = "; data.unlabelled=drop leaves such rows out" if missing else ""
                raise InputError(f"{file}, row {number}: label {label} is not one of 0 to {len(labels) - 1}{advice}")
        first += table[0]
        second += table[1]
        labelled += [NO_LABEL if label is None else label for label in table[2]]
    return Rows(first, second, labelled)


def _columns(file: Path, names: Sequence[str]) -> list[list[Any]]:
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what is wrong with a file is said here
    with tempfile.TemporaryDirectory() as cache:  # else it keeps a second copy of what the hub's cache holds
        try:
            table = datasets.Dataset.from_parquet(str(file), cache_dir=cache, keep_in_memory=True)
        except (ValueError, OSError, datasets.exceptions.DatasetGenerationError) as error:
            raise InputError(f"{file} is damaged ({str(error).splitlines()[0]}); fetch it again") from None
        for name in names:
            if name not in table.column_names:
                raise InputError(f"{file} has no column {name!r}; it has {', '.join(table.column_names)}")
        return [list(table[name]) for name in names]
