"""Tr(F) of a saved sequence classifier on a file of sentences: what ``fisher-study trace`` does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from trainables.config import ModelConfig
from trainables.curvature import Estimator, TraceEstimate, fisher_trace
from trainables.data.columns import Columns, find_columns, parse_columns
from trainables.data.contract import Rows
from trainables.data.labels import NAMES, NUMBERS, class_names
from trainables.data.tsv import read_table
from trainables.errors import InputError, one_line
from trainables.examples import Examples
from trainables.models.adapters import build_adapted, find_adapter
from trainables.models.build import build_classifier, positions
from trainables.models.files import load_model_files
from trainables.models.lora import merged
from trainables.models.tables import check_inputs
from trainables.tokenization.encoding import Encoder
from trainables.tokenization.fit import tokenizer_notes

TITLES = {
    Estimator.EXACT: "Tr(F)",
    Estimator.SIGNS: "Tr(F), random signs",
    Estimator.MONTE_CARLO: "Tr(F), Monte Carlo over labels",
    Estimator.EMPIRICAL: "empirical Fisher trace, at the observed labels: not Tr(F)",
}


@dataclass(frozen=True)
class CheckpointTrace:
    """A measurement and what to say about it.

    Attributes:
        columns: How the columns of the file were interpreted.
        lines: Line number of each example in the file, from 1.
        read: How the file was interpreted, in words.
        warnings: Lines to show beside the number.
        merged: The same over all weights, with a LoRA adapter merged into them; None where there is no adapter. Where
            there is one, ``estimate`` is over the adapter's own parameters.
    """

    estimate: TraceEstimate
    columns: Columns
    lines: list[int]
    read: str
    warnings: list[str]
    merged: TraceEstimate | None = None

    @property
    def title(self) -> str:
        """What the number is called."""
        return TITLES[self.estimate.estimator]

    def to_json(self, per_layer: bool) -> str:
        """The measurement as JSON; the empirical Fisher appears under its own name."""
        found = self.estimate
        value = "empirical_fisher_trace" if found.estimator is Estimator.EMPIRICAL else "fisher_trace"
        data: dict[str, Any] = {
            value: found.value,
            "standard_error": found.standard_error if found.num_examples > 1 else None,
            "num_examples": found.num_examples,
            "num_classes": found.num_classes,
            "num_parameters": found.num_parameters,
            "columns": self.columns.to_json(),
            "estimator": str(found.estimator),
            "path": found.path,
            "seconds": found.seconds,
            "warnings": self.warnings,
        }
        if self.merged is not None:
            several = self.merged.num_examples > 1
            data[f"{value}_merged"] = self.merged.value
            data["standard_error_merged"] = self.merged.standard_error if several else None
            data["num_parameters_merged"] = self.merged.num_parameters
        if per_layer:
            data["per_layer"] = found.per_layer
        return json.dumps(data, indent=2) + "\n"

    def to_csv(self) -> str:
        """The value of every example, in the order of the file: columns ``line`` (from 1) and ``value``."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["line", "value"])
        writer.writerows(zip(self.lines, self.estimate.per_example.tolist(), strict=True))
        return out.getvalue()


def trace_checkpoint(
    checkpoint: str,
    data: Path,
    *,
    columns: str | None = None,
    labels: str | None = None,
    tokenizer: str | None = None,
    estimator: str = "auto",
    samples: int = 1,
    seed: int = 0,
    max_examples: int | None = None,
    max_length: int = 128,
    batch_size: int = 32,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> CheckpointTrace:
    """Measure a saved classifier.

    Args:
        checkpoint: Folder or hub id of any sequence classifier, or of a LoRA adapter (its base is read as well).
        data: TSV without header: sentence [, sentence] [, label].
        columns: Which column is which, as ``first=1,second=none,label=2``; None infers them, or refuses the file.
        labels: How ``empirical`` reads labels: ``names`` of the classifier or class ``numbers``; None takes what fits.
        tokenizer: Folder or hub id of the tokenizer; None takes the checkpoint's.
        estimator: ``auto``, ``exact``, ``signs``, ``monte-carlo`` or ``empirical``.
        samples: Draws per example for ``signs`` and ``monte-carlo``.
        seed: Seed of those draws.
        max_examples: Number of lines to read, from the first; None reads all.
        max_length: Largest number of pieces in an example.
        progress: Called with (examples done, all examples).

    Raises:
        InputError: The checkpoint, the file or an option is invalid.
    """
    if estimator not in tuple(Estimator):
        raise InputError(f"unknown estimator {estimator!r}; known: {', '.join(Estimator)}")
    if labels not in (None, NAMES, NUMBERS):
        raise InputError(f"--labels: expected {NAMES} or {NUMBERS}, got {labels!r}")
    given = None if columns is None else parse_columns(columns)
    table = read_table(data)
    lines = table.lines
    if given is None and (header := table.header) is not None:
        table.refuse_unread()
        given = Columns(header.first, header.second, header.label)
    if (adapter := find_adapter(checkpoint)) is not None:
        model, files, new_head = build_adapted(adapter, tokenizer)
    else:
        files = load_model_files(ModelConfig(name=checkpoint), classifier=True, tokenizer=tokenizer)
        model, new_head = build_classifier(files)
    names = class_names(model.config, checkpoint)
    places = find_columns(data, lines, names.fit, given)
    observed, read = None, places.describe(len(lines[:max_examples]))
    if estimator == Estimator.EMPIRICAL:
        if places.label is None:
            raise InputError(
                f"{data}: {places.describe(len(lines))}, but the empirical Fisher needs observed labels; --columns "
                "says where they are"
            )
        written = [(number, fields[places.label].strip()) for number, fields in lines]
        observed, reading = names.numbers(data, written, labels)
        read += f", class {reading}"
    try:
        place = torch.device(device)
        model.to(place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used: {one_line(error)}") from None
    length = min(max_length, positions(model))
    lines = lines[:max_examples]
    second = None if places.second is None else [fields[places.second] for _, fields in lines]
    classes = [0] * len(lines) if observed is None else list(observed[: len(lines)])
    rows = Rows([fields[places.first] for _, fields in lines], second, classes)
    examples = Examples(rows, Encoder(files.tokenizer, length))
    check_inputs(model, files.tokenizer, examples.encoded, checkpoint)

    def batches() -> Iterator[dict[str, torch.Tensor]]:
        for start in range(0, len(examples), batch_size):
            indices = list(range(len(examples)))[start : start + batch_size]
            labels = {} if observed is None else {"labels": examples.labels[indices]}
            yield examples.inputs(indices, place) | labels

    def measure(model: PreTrainedModel) -> TraceEstimate:
        return fisher_trace(
            model,
            batches(),
            estimator=estimator,
            samples=samples,
            generator=torch.Generator().manual_seed(seed),
            progress=progress,
        )

    estimate = measure(model)
    over_merged = None if adapter is None else measure(merged(model))
    warnings = tokenizer_notes(checkpoint, files.tokenizer, {"the file": examples.rows})
    warnings += [note for note in (estimate.note, estimate.unused_draws(samples, "--estimator")) if note]
    if new_head:
        warnings.append(
            "the checkpoint holds no classification head, so a new one was initialised: this is the trace of an "
            "untrained head"
        )
    cut = sum(len(example) == length for example in examples.encoded)
    if cut:
        warnings.append(f"{cut} of {len(examples)} examples fill --max-length {length} and may have been cut")
    if empty := sum(not all(text.strip() for text in example) for example in rows.examples()):
        warnings.append(f"{empty} of {len(examples)} examples have an empty sentence")
    return CheckpointTrace(estimate, places, [number for number, _ in lines], read, warnings, over_merged)
