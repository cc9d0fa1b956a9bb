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

from trainables.config import ModelConfig
from trainables.curvature import Estimator, TraceEstimate, fisher_trace
from trainables.data.contract import Rows
from trainables.data.tsv import read_fields
from trainables.errors import InputError
from trainables.examples import Examples
from trainables.models.build import build_classifier, positions
from trainables.models.files import load_model_files
from trainables.tokenization.encoding import Encoder

NAMES = {
    Estimator.EXACT: "Tr(F)",
    Estimator.SIGNS: "Tr(F), random signs",
    Estimator.MONTE_CARLO: "Tr(F), Monte Carlo over labels",
    Estimator.EMPIRICAL: "empirical Fisher trace, at the observed labels: not Tr(F)",
}


@dataclass(frozen=True)
class CheckpointTrace:
    """A measurement and what to say about it.

    Attributes:
        estimate: The measurement.
        warnings: Lines that belong beside the number.
    """

    estimate: TraceEstimate
    warnings: list[str]

    @property
    def title(self) -> str:
        """What the number is called."""
        return NAMES[self.estimate.estimator]

    def to_json(self, per_layer: bool) -> str:
        """The measurement as JSON; the empirical Fisher stands under its own name.

        Args:
            per_layer: With the split by layer group.

        Returns:
            An object with the value, its standard error and what they rest on.
        """
        found = self.estimate
        value = "empirical_fisher_trace" if found.estimator is Estimator.EMPIRICAL else "fisher_trace"
        data: dict[str, Any] = {
            value: found.value,
            "standard_error": found.standard_error if found.num_examples > 1 else None,
            "num_examples": found.num_examples,
            "num_classes": found.num_classes,
            "num_parameters": found.num_parameters,
            "estimator": str(found.estimator),
            "path": found.path,
            "seconds": found.seconds,
            "warnings": self.warnings,
        }
        if per_layer:
            data["per_layer"] = found.per_layer
        return json.dumps(data, indent=2) + "\n"

    def to_csv(self) -> str:
        """The value of every example, in the order of the file.

        Returns:
            Columns ``line`` (from 1) and ``value``.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["line", "value"])
        writer.writerows(enumerate(self.estimate.per_example.tolist(), start=1))
        return out.getvalue()


def trace_checkpoint(
    checkpoint: str,
    data: Path,
    *,
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
        checkpoint: Folder or hub id of any sequence classifier.
        data: TSV without header: sentence [, sentence [, label]].
        estimator: ``auto``, ``exact``, ``signs``, ``monte-carlo`` or ``empirical``.
        samples: Draws an example for ``signs`` and ``monte-carlo``.
        seed: Seed of those draws.
        max_examples: Only the first so many lines.
        max_length: Pieces of an example at the most.
        batch_size: Examples at a time.
        device: Where to compute, as torch names it.
        progress: Called with (examples done, examples).

    Returns:
        The measurement.

    Raises:
        InputError: The checkpoint, the file or an option is not as it must be.
    """
    if estimator not in tuple(Estimator):
        raise InputError(f"unknown estimator {estimator!r}; known: {', '.join(Estimator)}")
    first, second, labels = _columns(data, max_examples)
    files = load_model_files(ModelConfig(name=checkpoint))
    model, new_head = build_classifier(files)
    if model.config.num_labels < 2:
        raise InputError(f"model {checkpoint} has one class: Tr(F) needs a softmax over two or more")
    observed = _label_ids(labels, model.config.label2id, data) if estimator == Estimator.EMPIRICAL else None
    try:
        place = torch.device(device)
        model.to(place)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from None
    length = min(max_length, positions(model))
    examples = Examples(Rows(first, second, observed or [0] * len(first)), Encoder(files.tokenizer, length))
    estimate = fisher_trace(
        model,
        _batches(examples, batch_size, place, with_labels=observed is not None),
        estimator=estimator,
        samples=samples,
        generator=torch.Generator().manual_seed(seed),
        progress=progress,
    )
    warnings = [estimate.note] if estimate.note else []
    if new_head:
        warnings.append(
            "the checkpoint holds no classification head, so a new one was initialised: this is the trace of an "
            "untrained head"
        )
    cut = sum(len(example) == length for example in examples.encoded)
    if cut:
        warnings.append(f"{cut} of {len(examples)} examples fill --max-length {length} and may have been cut")
    return CheckpointTrace(estimate, warnings)


def _columns(path: Path, limit: int | None) -> tuple[list[str], list[str] | None, list[str] | None]:
    """Sentences, second sentences and labels of a file, as far as it has them."""
    lines = read_fields(path)[:limit]
    columns = len(lines[0])
    for number, fields in enumerate(lines, start=1):
        if not 1 <= len(fields) <= 3:
            raise InputError(
                f"{path}, line {number}: expected 1 to 3 tab-separated columns (sentence, sentence, label), "
                f"found {len(fields)}"
            )
        if len(fields) != columns:
            raise InputError(f"{path}, line {number}: {len(fields)} columns, but line 1 has {columns}")
    first, *rest = (list(column) for column in zip(*lines, strict=True))
    return first, rest[0] if rest else None, [label.strip() for label in rest[1]] if len(rest) > 1 else None


def _label_ids(labels: list[str] | None, known: dict[str, int], path: Path) -> list[int]:
    """Class numbers of observed labels, given by the model's names or by number."""
    if labels is None:
        raise InputError(f"{path} has no third column: the empirical Fisher needs observed labels")
    names = {name: number for name, number in known.items()} | {str(number): number for number in known.values()}
    for line, label in enumerate(labels, start=1):
        if label not in names:
            raise InputError(f"{path}, line {line}: label {label!r} is not one of {', '.join(known)}, nor its number")
    return [names[label] for label in labels]


def _batches(
    examples: Examples, batch_size: int, device: torch.device, with_labels: bool
) -> Iterator[dict[str, torch.Tensor]]:
    for start in range(0, len(examples), batch_size):
        indices = list(range(start, min(start + batch_size, len(examples))))
        inputs = examples.inputs(indices, device)
        if with_labels:
            inputs["labels"] = examples.labels[indices]
        yield inputs
