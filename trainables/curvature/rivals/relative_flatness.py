"""Relative flatness of the classifier, the last linear layer.

    sum over classes y, y' of  <w_y, w_y'> Tr(H_yy')

w_y is the weight vector of class y, and H_yy' the block of the Hessian of the mean cross-entropy between w_y and w_y'
(Petzka et al. 2021, "Relative flatness and generalization", definition 3). With logits W phi(x) + b that block is the
mean over x of (diag(p) - p p^T)_yy' phi phi^T, whatever the labels are, so that

    mean over x of  ||phi(x)||^2 (sum_y p_y ||w_y||^2 - ||sum_y p_y w_y||^2)

The larger, the less flat. Only this layer's weights and features enter: how the encoder's layers are scaled does not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature.last_layer import shortened
from trainables.curvature.loop import logits_of
from trainables.curvature.rivals.subject import FineTuned
from trainables.curvature.state import measuring
from trainables.errors import InputError


def relative_flatness(trained: FineTuned) -> float:
    """Mean over the traced rows in evaluation mode, in closed form; one forward pass.

    Returns:
        Squared nats: the unit of the weights cancels against that of the Hessian.

    Raises:
        InputError: The logits are not what a linear layer makes of one vector an example.
    """
    total, rows = 0.0, 0
    with measuring(trained.model, frozen=False), shortened(trained.model), torch.no_grad():
        for inputs in trained.unlabelled():
            logits, features, weight = _last_layer(trained.model, inputs)
            p, w = logits.double().softmax(-1), weight.double()
            # Centred, because the difference of the two squares cancels where the model is certain.
            mean = p @ w
            spread = (p * (w.unsqueeze(0) - mean.unsqueeze(1)).square().sum(-1)).sum(-1)
            total += float((features.double().square().sum(-1) * spread).sum())
            rows += len(p)
    return total / rows


def _last_layer(model: nn.Module, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Logits ``[batch, classes]``, features ``[batch, hidden]`` and weight ``[classes, hidden]`` of the last layer."""
    calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def record(layer: Any, args: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append((output, args[0], layer.weight))

    hooks = [layer.register_forward_hook(record) for layer in model.modules() if isinstance(layer, nn.Linear)]
    try:
        logits = logits_of(model(**inputs))
    finally:
        for hook in hooks:
            hook.remove()
    for output, features, weight in reversed(calls):
        if output.shape == logits.shape and features.ndim == 2 and torch.equal(output, logits):
            return logits, features, weight
    raise InputError(
        "measure.relative_flatness needs logits that a linear layer makes of one vector an example, and this model's "
        "are made in another way: leave it out of measure.rivals"
    )
