"""Trace of the empirical Fisher: squared scores at the observed labels.

    mean over training rows of  ||grad_theta log p(y|x)||^2,   y observed

Often used in place of Tr(F) and another quantity: the expectation is over the data's labels, not the model's, so it
vanishes with the loss (Kunstner et al. 2019, "Limitations of the empirical Fisher approximation"). Never called Tr(F).
"""

from __future__ import annotations

from trainables.curvature.rivals.subject import FineTuned


def empirical_fisher(trained: FineTuned) -> float:
    """Mean over the training rows, sum over parameters, evaluation mode; a forward and a backward pass, once.

    Returns:
        Squared nats per squared parameter unit.
    """
    return trained.squared_score
