"""Curvature relative to the scale of the parameters: rivals without parameter units, on the rows of Tr(F)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature.forward_mode import clear_padding, quadratic_form
from trainables.curvature.last_layer import shortened
from trainables.curvature.loop import logits_of
from trainables.curvature.rivals.subject import FineTuned
from trainables.curvature.state import measuring
from trainables.errors import InputError


def fisher_rao(trained: FineTuned) -> float:
    """Fisher-Rao norm: the squared length of the parameters in the metric of the Fisher information.

        theta^T F theta = mean over x of  Var_{y ~ p(y|x)} (J theta)_y

    J is the Jacobian of the logits, and p the model's own prediction (Liang et al. 2019, "Fisher-Rao metric, geometry,
    and complexity of neural networks"). Rescaling parts of the network without changing the function does not change
    this norm, since it ignores directions on which the function does not depend. It covers the trainable parameters, as
    Tr(F) does. Cost, in evaluation mode: one forward-mode product, and memory for a copy of the trainable parameters.

    Returns:
        Squared nats.
    """
    theta = {name: p.detach() for name, p in trained.model.named_parameters() if p.requires_grad}
    direction = {name: value.clone() for name, value in theta.items()}
    clear_padding(trained.model, direction)
    return quadratic_form(trained.model, theta, direction, trained.unlabelled())[0]


def normalized_trace(trained: FineTuned) -> float:
    """Normalised trace: Tr(F) of each weight matrix times the matrix's squared norm.

        sum over weight matrices W of  ||W||_F^2 Tr(F_W)

    F_W is the block of the Fisher matrix that belongs to W, so multiplying W by a, if another matrix compensates for
    it, divides Tr(F_W) by a^2. This is the scale correction of Tsuzuku et al. (2020, "Normalized flat minima"), matrix
    by matrix and with the Fisher information. Embedding tables are matrices; biases and the gains of norms are not, and
    do not count. The passes are those of Tr(F) itself.

    Returns:
        Squared nats.
    """
    weights = dict(trained.model.named_parameters())
    return sum(
        float(weights[name].detach().double().square().sum()) * part for name, part in trained.trace.per_matrix.items()
    )


def relative_flatness(trained: FineTuned) -> float:
    """Relative flatness of the last linear layer, the classifier: closed form, one forward pass in evaluation mode.

        sum over classes y, y' of  <w_y, w_y'> Tr(H_yy')

    w_y is the weight vector of class y, and H_yy' the block for w_y and w_y' of the Hessian of the mean cross-entropy
    (Petzka et al. 2021, "Relative flatness and generalization", definition 3). With logits W phi(x) + b, that block is
    the mean over x of (diag(p) - p p^T)_yy' phi phi^T, whatever the labels, so the sum is

        mean over x of  ||phi(x)||^2 (sum_y p_y ||w_y||^2 - ||sum_y p_y w_y||^2)

    Larger values are less flat. Only this layer's weights and features enter, not the scales of the encoder's layers.

    Returns:
        Squared nats: the unit of the weights cancels against that of the Hessian.

    Raises:
        InputError: The logits are not the output of a linear layer for one vector per example.
    """
    total, rows = 0.0, 0
    with measuring(trained.model, frozen=False), shortened(trained.model), torch.no_grad():
        for inputs in trained.unlabelled():
            logits, features, weight = _last_layer(trained.model, inputs)
            p, w = logits.double().softmax(-1), weight.double()
            # Centred, because the difference of the two terms cancels where the model is certain.
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
