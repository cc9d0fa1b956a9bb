"""Fisher-Rao norm: the length of the parameters in the metric of the Fisher information, squared.

    theta^T F theta = mean over x of  Var_{y ~ p(y|x)} (J theta)_y

J is the Jacobian of the logits, and p the model's own prediction (Liang et al. 2019, "Fisher-Rao metric, geometry, and
complexity of neural networks"). The rows are those of Tr(F). Rescaling parts of the network in ways that leave the
function as it is leaves this norm as it is: a direction that the function does not depend on is not measured.
"""

from __future__ import annotations

import torch

from trainables.curvature.forward_mode import clear_padding, forward_mode, label_variance, product
from trainables.curvature.rivals.subject import FineTuned
from trainables.curvature.state import measuring


def fisher_rao(trained: FineTuned) -> float:
    """Mean over the traced rows; one forward-mode product, about a forward and a backward pass, in evaluation mode.

    Trainable parameters count, those of Tr(F). Memory: that of the trainable parameters once more.

    Returns:
        Squared nats: the parameters' unit cancels.
    """
    theta = {name: p.detach() for name, p in trained.model.named_parameters() if p.requires_grad}
    total, rows = 0.0, 0
    with measuring(trained.model, frozen=False), forward_mode(), torch.random.fork_rng([]):
        direction = {name: value.clone() for name, value in theta.items()}
        clear_padding(trained.model, direction)
        for inputs in trained.unlabelled():
            logits, change = product(trained.model, theta, direction, inputs)
            total += float(label_variance(logits.double().log_softmax(-1), change.double()).sum())
            rows += len(logits)
    return total / rows
