"""The predictions of one trial as one parquet file, with one row per example, language and stage."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from trainables.measuring.measurements import PREDICTIONS
from trainables.training.checkpoint import Files

_TYPES = (pa.string(), pa.string(), pa.int8(), pa.int32(), pa.int32(), pa.list_(pa.float32()))
SCHEMA = pa.schema(
    [
        pa.field(name, kind, metadata={"meaning": meaning})
        for (name, meaning), kind in zip(PREDICTIONS.items(), _TYPES, strict=True)
    ]
)


class PredictionFile:
    """Gathers the predictions of a trial and writes them after each stage."""

    def __init__(self, folder: Files, trial_id: str) -> None:
        self._folder = folder
        self._name = f"{trial_id}.parquet"
        self._tables: list[pa.Table] = []
        self.note: str | None = None
        """What went wrong, else None."""

    def go_on(self, finished: Collection[str]) -> None:
        """Take over what was written before an interruption; from stage 1, only the languages that finished it."""
        try:
            table = pq.read_table(io.BytesIO(self._folder.read(self._name)), schema=SCHEMA)
        except (OSError, pa.ArrowException) as error:
            self.note = f"those of the stages before the trial went on are missing: {error}"
            return
        rows = table.to_pylist()
        kept = [i for i, row in enumerate(rows) if row["stage"] == 0 or row["language"] in finished]
        self._tables.append(table.take(kept))

    def add(
        self, split: str, language: str, stage: int, rows: Sequence[int], labels: torch.Tensor, logits: torch.Tensor
    ) -> None:
        """Add the predictions for some examples.

        Args:
            split: ``validation`` or ``test``.
            stage: 0 or 1.
            rows: Number of each example in its file, from 0.
            labels: Their classes ``[examples]``.
            logits: ``[examples, num_classes]``.
        """
        count = len(rows)
        columns = [[split] * count, [language] * count, [stage] * count, list(rows), labels.tolist()]
        probabilities = logits.double().softmax(-1).tolist()
        arrays = [pa.array(c, kind) for c, kind in zip([*columns, probabilities], _TYPES, strict=True)]
        self._tables.append(pa.table(arrays, schema=SCHEMA))

    def save(self, labels: Sequence[str]) -> None:
        """Write everything added so far, with the names of the classes in the file's metadata.

        If that fails, ``note`` says so; the measurements do not depend on the file.
        """
        table = pa.concat_tables(self._tables).replace_schema_metadata({"labels": json.dumps(list(labels))})
        stream = io.BytesIO()
        pq.write_table(table, stream, compression="zstd")
        try:
            self._folder.write(self._name, stream.getvalue())
        except OSError as error:
            self.note = f"not saved: {error}"
