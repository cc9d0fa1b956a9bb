"""Reading the parquet files that the hub keeps of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainables.data.contract import HubFiles, Rows
from trainables.errors import InputError


def read_parquet(files: Sequence[Path], hub: HubFiles, labels: Sequence[str]) -> Rows:
    """The labelled pairs of some parquet files, one after another.

    Args:
        files: The files of a split, in order.
        hub: Gives the columns.
        labels: The label names, which the files number in this order.

    Returns:
        The rows in file order.

    Raises:
        InputError: A file is damaged, lacks a column, or has a row without a label.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    first: list[str] = []
    second: list[str] = []
    labelled: list[int] = []
    for file in files:
        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file} is damaged ({str(error).splitlines()[0]}); fetch it again") from None
        for name in hub.columns:
            if name not in table.column_names:
                raise InputError(f"{file} has no column {name!r}; it has {', '.join(table.column_names)}")
        columns = [table[name].to_pylist() for name in hub.columns]
        for number, label in enumerate(columns[2], start=1):
            if label not in range(len(labels)):
                raise InputError(f"{file}, row {number}: label {label} is not one of 0 to {len(labels) - 1}")
        first += columns[0]
        second += columns[1]
        labelled += columns[2]
    return Rows(first, second, labelled)
