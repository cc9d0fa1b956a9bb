"""What the slow path needs: logits of any classifier, and squared gradient norms of every parameter at one example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature.lean import squared_norm
from trainables.errors import InputError


def logits_of(output: Any) -> Tensor:
    """The logits ``[rows, num_classes]`` in a model's output.

    Args:
        output: An output with ``logits``, a tuple that starts with them, or the tensor itself.

    Raises:
        InputError: The logits have another shape.
    """
    logits = getattr(output, "logits", output)
    if isinstance(logits, tuple):
        logits = logits[0]
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        shape = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"the model must return logits [examples, classes], got {shape}: it is not a classifier")
    return logits


def gradients(logits: Tensor, wrt: Sequence[Tensor], cotangents: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Gradients of ``(logits * cotangent).sum()`` for each cotangent, 0 where there is none; the graph is freed."""
    for k, cotangent in enumerate(cotangents, start=1):
        yield torch.autograd.grad(logits, wrt, cotangent, retain_graph=k < len(cotangents), materialize_grads=True)


def squared_norms(model: nn.Module, logits: Tensor, cotangent: Tensor, *, last: bool) -> dict[str, Tensor]:
    """Squared norms of one example's gradients of ``(logits * cotangent).sum()``.

    Args:
        model: The parameters that require a gradient count, tied ones once.
        logits: ``[1, num_classes]`` with a graph.
        cotangent: ``[1, num_classes]``.

    Returns:
        Squared norm by parameter name, float64, without parameters on which the logits do not depend.
    """
    counted = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    gradients = torch.autograd.grad(logits, list(counted.values()), cotangent, retain_graph=not last, allow_unused=True)
    return {
        name: squared_norm(gradient.coalesce().values() if gradient.is_sparse else gradient)
        for name, gradient in zip(counted, gradients, strict=True)
        if gradient is not None
    }
