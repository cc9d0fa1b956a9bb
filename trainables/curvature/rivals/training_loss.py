"""The mean training loss at any value of the parameters, and its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from trainables.curvature.forward_mode import logits_at
from trainables.curvature.rivals.subject import FineTuned

Rescale = Callable[[Tensor], Tensor]
"""A change to the logits ``[batch, num_classes]`` before the loss."""


def loss_and_gradient(
    trained: FineTuned, theta: Mapping[str, Tensor], rescale: Rescale | None = None
) -> tuple[float, dict[str, Tensor]]:
    """The mean cross-entropy of the training rows, and its gradient for the parameters on which it depends.

    Accumulated batch by batch: one forward and one backward pass over the rows.

    Args:
        theta: Values by parameter name; they are leaves that require a gradient.

    Returns:
        The loss (nats), and gradients by parameter name.
    """
    total = 0.0
    gradient: dict[str, Tensor] = {}
    for loss in losses(trained, theta, rescale):
        parts = torch.autograd.grad(loss, list(theta.values()), allow_unused=True)
        for name, part in zip(theta, parts, strict=True):
            if part is not None:
                gradient[name] = gradient[name].add_(part) if name in gradient else part.clone()
        total += float(loss.detach())
    return total, gradient


def losses(trained: FineTuned, theta: Mapping[str, Tensor], rescale: Rescale | None = None) -> Iterator[Tensor]:
    """Each batch's part of the mean (nats), by one forward pass; parameters not in ``theta`` are the model's own."""
    rows = sum(len(batch["labels"]) for batch in trained.train)
    for inputs, labels in trained.labelled():
        logits = logits_at(trained.model, dict(theta), inputs).double()
        yield cross_entropy(logits if rescale is None else rescale(logits), labels, reduction="sum") / rows
