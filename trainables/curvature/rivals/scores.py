"""Rivals from the gradients ``g_i`` of the losses of single training rows, at their observed labels."""

from __future__ import annotations

from trainables.curvature.rivals.norms import l2_norm
from trainables.curvature.rivals.subject import FineTuned
from trainables.curvature.rivals.training_loss import loss_and_gradient
from trainables.curvature.state import measuring


def empirical_fisher(trained: FineTuned) -> float:
    """Trace of the empirical Fisher: mean over rows, sum over parameters, of ``||grad_theta log p(y|x)||^2``.

    Often used instead of Tr(F), but a different quantity, and never called Tr(F) here: the expectation is over the
    data's labels, not the model's, so it vanishes with the loss (Kunstner et al. 2019, "Limitations of the empirical
    Fisher approximation"). In evaluation mode. Cost: one forward and one backward pass, made once.

    Returns:
        Squared nats per squared parameter unit.
    """
    return trained.squared_score


def noise_scale(trained: FineTuned) -> float:
    """Gradient noise scale: how much the gradients of single examples differ, relative to their mean.

        tr(Sigma) / ||G||^2,   G = mean over training rows of g_i,   tr(Sigma) = mean of ||g_i||^2 - ||G||^2

    This is the "simple" noise scale of McCandlish et al. (2018, "An empirical model of large-batch training", equation
    2.9), the batch size at which noise and mean gradient have equal norms. The rows are treated as the whole
    population, so the value is between 0 and their number minus 1; the unbiased estimate of ||G||^2 for more rows can
    be negative, and often would be for a converged model. Over all trainable parameters, in evaluation mode. Cost: one
    forward and one backward pass, and those of ``squared_score``, made once for all rivals that read it.

    Returns:
        A number of examples; 0 if no example has a gradient.
    """
    theta = {name: p for name, p in trained.model.named_parameters() if p.requires_grad}
    single = trained.squared_score
    if single == 0:
        return 0.0
    with measuring(trained.model, frozen=False):
        _, gradient = loss_and_gradient(trained, theta)
    mean = l2_norm(gradient.values()) ** 2
    return max(single / mean - 1, 0.0) if mean else float("inf")
