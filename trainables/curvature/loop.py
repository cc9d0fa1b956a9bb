"""The slow path: one example at a time, gradients of every parameter. Right for any differentiable model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature.batches import Example
from trainables.errors import InputError


def logits_of(output: Any) -> Tensor:
    """The logits in a model's output.

    Args:
        output: An output with ``logits``, a tuple that starts with them, or the tensor itself.

    Returns:
        Logits ``[rows, num_classes]``.

    Raises:
        InputError: They have another shape.
    """
    logits = getattr(output, "logits", output)
    if isinstance(logits, tuple):
        logits = logits[0]
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"the model must return logits [examples, classes], got {shape}: it is not a classifier")
    return logits


def squared_norms(model: nn.Module, logits: Tensor, cotangents: Tensor) -> Iterator[dict[str, Tensor]]:
    """Squared norms of one example's gradients.

    Args:
        model: The model; parameters that require a gradient count, tied ones once.
        logits: ``[1, num_classes]`` with a graph.
        cotangents: ``[num_classes, passes]``.

    Yields:
        For each cotangent, parameter name to the squared norm of the gradient of ``logits @ cotangent``, float64.
    """
    counted = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    passes = cotangents.shape[1]
    for k in range(passes):
        gradients = torch.autograd.grad(
            logits[0], list(counted.values()), cotangents[:, k], retain_graph=k + 1 < passes, allow_unused=True
        )
        yield {
            name: (gradient.coalesce().values() if gradient.is_sparse else gradient).double().square().sum()
            for name, gradient in zip(counted, gradients, strict=True)
            if gradient is not None
        }


def run(model: nn.Module, example: Example) -> Tensor:
    """Logits of one example.

    Args:
        model: The model.
        example: Its inputs ``[1, ...]``.

    Returns:
        ``[1, num_classes]``.
    """
    return logits_of(model(**example))
