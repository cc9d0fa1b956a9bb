"""The trials table and the curves table as files, with a dictionary of their columns."""

from __future__ import annotations

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from trainables.config.dotted_paths import paths
from trainables.measuring.measurements import DEFINITIONS, defined_as

IDENTITY = {
    "study": "name of the study",
    "trial_id": "id of the trial, fixed at planning",
    "arm": "family",
    "label": "family and searched values",
    "seed": "seed of the trial",
    "state": "complete, not_reached (stages.0.until), diverged, failed, unfinished or unreadable",
    "reason": "why a trial is not complete",
}
PROVENANCE = {
    "run": "number of the run (one `run` or `resume`) that ended the trial",
    "seconds": "wall time of the trial (seconds)",
    "steps": "optimiser steps of all stages (count)",
    "cpus": "CPUs, and so threads, of the trial (count)",
    "peak_memory_mib": "peak resident memory of the trial (MiB)",
    "device": "device that computed",
    "host": "machine that computed",
    "precision": "number format of the training passes; everything measured is float32 or better",
    "continued_from": "where an interrupted trial went on, if it did",
    "checkpoint": "why a checkpoint was not kept or not used, if so",
    "models": "why a classifier was not saved, if so",
    "predictions": "why predictions were not saved, if so",
    "version.NAME": "version of that package",
    "data_fingerprint": "hash of the decoded rows that the trial used",
    "model_fingerprint": "hash of the pretrained model's files",
    "model_revision": "commit of the model on the hub; empty for a folder",
    "commit": "commit of the package's source, where it is a git checkout",
    "dirty": "the checkout had changes (true or false)",
}
CURVES = {
    "trial_id": "id of the trial",
    "stage": "0 (English) or 1 (target language)",
    "language": "language that the stage trains on",
    "step": "optimiser steps done in the stage (count)",
    "epoch": "epochs done in the stage, may be fractional",
    "name": "what is measured; its unit is that of the measurement of the same name",
    "x": "second coordinate where there is one: sigma for kl_ratio, distance from the stage's start for path_kl_en",
    "value": "the value",
    "standard_error": "standard error of the value, where there is one",
}


def meaning(column: str) -> str:
    """What a column of the trials table means, with its unit; empty for an unknown column.

    Example:
        >>> meaning("stage2.de.gain")
        'accuracy_after minus accuracy_before (fraction)'
    """
    if column.startswith("config."):
        return paths().get(column.removeprefix("config."), "")
    if column.startswith("version."):
        return PROVENANCE["version.NAME"]
    return {**IDENTITY, **DEFINITIONS, **PROVENANCE}.get(defined_as(column) or column, "")


def table_files(trials: pd.DataFrame, curves: pd.DataFrame) -> dict[str, bytes]:
    """The exported files by name. Fields of a Parquet file carry their meanings, which columns.csv lists as well."""
    of_trials = {column: meaning(column) for column in trials.columns}
    of_curves = {column: CURVES.get(column, "") for column in curves.columns}
    dictionary = pd.DataFrame(
        [("trials", *item) for item in of_trials.items()] + [("curves", *item) for item in of_curves.items()],
        columns=["table", "column", "meaning"],
    )
    return {
        "trials.csv": _csv(trials),
        "trials.parquet": _parquet(trials, of_trials),
        "curves.csv": _csv(curves),
        "curves.parquet": _parquet(curves, of_curves),
        "columns.csv": _csv(dictionary),
    }


def _csv(table: pd.DataFrame) -> bytes:
    """Comma-separated values, empty where absent. Arrow is fast, and writes the fewest digits that restore a number."""
    stream = io.BytesIO()
    options = csv.WriteOptions(quoting_style="needed")
    csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), stream, options)
    return stream.getvalue()


def _parquet(table: pd.DataFrame, meanings: dict[str, str]) -> bytes:
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    fields = [field.with_metadata({"meaning": meanings.get(field.name, "")}) for field in arrow.schema]
    stream = io.BytesIO()
    pq.write_table(arrow.cast(pa.schema(fields)), stream, compression="zstd")
    return stream.getvalue()
