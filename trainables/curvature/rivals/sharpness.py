"""One-step sharpness: by how much the training loss rises after one step uphill.

    L(theta + rho g / ||g||_2) - L(theta),   g = grad L(theta),   rho = 0.05

L is the mean cross-entropy of the training rows, and the step is the ascent step of SAM (Foret et al. 2021, equation 2)
over all parameters at once; rho is SAM's default. To first order the rise is rho ||g||. Bassi et al. (2024) start from
a random neighbour of theta and do not normalise the gradient; without that noise the measure is deterministic.
"""

from __future__ import annotations

import torch

from trainables.curvature.rivals.norms import l2_norm
from trainables.curvature.rivals.subject import FineTuned
from trainables.curvature.rivals.training_loss import loss_and_gradient, losses
from trainables.curvature.state import measuring

RHO = 0.05  # L2 norm of the step, in parameter units


def sharpness(trained: FineTuned) -> float:
    """Rise of the mean training loss after one ascent step of length ``RHO``, in evaluation mode.

    The gradient is that of all rows, accumulated batch by batch. The step is taken on displaced copies of the
    parameters, so the model's own weights and ``.grad`` are never written to. Cost over the rows: one forward and
    backward pass and one more forward pass; twice the memory of the trainable parameters.

    Returns:
        Nats; 0 if the gradient is exactly 0.
    """
    theta = {name: p for name, p in trained.model.named_parameters() if p.requires_grad}
    with measuring(trained.model, frozen=False):
        loss, gradient = loss_and_gradient(trained, theta)
        norm = l2_norm(gradient.values())
        if norm == 0:
            return 0.0
        with torch.no_grad():
            moved = {name: g.mul_(RHO / norm).add_(theta[name]) for name, g in gradient.items()}
            return sum(float(part) for part in losses(trained, moved)) - loss
