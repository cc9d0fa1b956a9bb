"""Batches and predictions of a split, and what is computed from them: accuracy, likelihood, calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from trainables.examples import Examples
from trainables.precision import passes_in

BATCH_SIZE = 64
CURVATURE_BATCH = 32
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Evaluation:
    """Quality of the predictions on a split.

    Attributes:
        accuracy: Share of correct predictions.
        f1: Macro F1, the mean over the classes that occur among labels or predictions (fraction).
        nll: Mean negative log-likelihood (nats per example).
        ece: Expected calibration error, 15 equal-width bins of the predicted class's probability (fraction).
    """

    accuracy: float
    f1: float
    nll: float
    ece: float


def predict(
    model: PreTrainedModel, examples: Examples, limit: int | None = None, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Logits in evaluation mode.

    Args:
        limit: Number of rows to use, from the first; None takes all.
        dtype: Format of the passes, as ``precision.training_dtype`` decides.

    Returns:
        float32 logits ``[examples, num_classes]`` on the CPU, in the order of the rows.
    """
    model.eval()
    logits = torch.empty(len(examples.labels[:limit]), model.config.num_labels)
    with torch.no_grad(), passes_in(model.device, dtype):
        for indices in examples.by_length(BATCH_SIZE, limit):
            logits[indices] = model(**examples.inputs(indices, model.device)).logits.float().cpu()
    return logits


def first_rows(model: PreTrainedModel, examples: Examples, limit: int) -> Iterator[dict[str, torch.Tensor]]:
    """The first rows of a split, in its fixed drawn order, as batches for a measurement of curvature.

    Yields:
        Model inputs ``[batch, longest]`` and ``labels`` ``[batch]``, on the model's device.
    """
    for indices in examples.by_length(CURVATURE_BATCH, limit):
        yield examples.inputs(indices, model.device) | {"labels": examples.labels[indices].to(model.device)}


def evaluate(
    model: PreTrainedModel, examples: Examples, limit: int | None = None, dtype: torch.dtype = torch.float32
) -> Evaluation:
    """Evaluate a model on a split, with a limit and a format as for :func:`predict`."""
    return score(predict(model, examples, limit, dtype), examples.labels[:limit])


def score(logits: torch.Tensor, labels: torch.Tensor) -> Evaluation:
    """Accuracy, F1, likelihood and calibration (Naeini et al. 2015) of given predictions.

    Args:
        logits: ``[examples, num_classes]``.
        labels: ``[examples]``.

    Example:
        >>> score(torch.tensor([[9.0, 0.0], [0.0, 9.0]]), torch.tensor([0, 0])).accuracy
        0.5
    """
    logits = logits.double()
    probabilities = logits.softmax(-1)
    confidence, predicted = probabilities.max(-1)
    right = (predicted == labels).double()
    bins = (confidence * CALIBRATION_BINS).ceil().long().clamp(1, CALIBRATION_BINS) - 1
    difference = torch.zeros(CALIBRATION_BINS, dtype=torch.float64).index_add(0, bins, right - confidence)
    return Evaluation(
        accuracy=right.mean().item(),
        f1=_macro_f1(predicted, labels, logits.shape[-1]),
        nll=cross_entropy(logits, labels).item(),
        ece=(difference.abs().sum() / len(labels)).item(),
    )


def _macro_f1(predicted: torch.Tensor, labels: torch.Tensor, classes: int) -> float:
    hits = torch.bincount(labels[predicted == labels], minlength=classes).double()
    both = torch.bincount(labels, minlength=classes) + torch.bincount(predicted, minlength=classes)
    return (2 * hits / both)[both > 0].mean().item()


def halves_right(
    logits: torch.Tensor, labels: torch.Tensor, halves: tuple[Sequence[int], Sequence[int]]
) -> dict[str, float]:
    """Accuracy on each half of a split.

    Args:
        logits: ``[examples, num_classes]``.
        labels: ``[examples]``.
        halves: Row numbers of both.

    Returns:
        ``half1`` and ``half2`` to the share of correct predictions (fraction); empty where a half is empty.
    """
    if not all(halves):
        return {}
    right = (logits.argmax(-1) == labels).double()
    return {f"half{number}": float(right[list(rows)].mean()) for number, rows in enumerate(halves, start=1)}
