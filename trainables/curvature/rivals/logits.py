"""Rivals that depend on the model only through its predictions."""

from __future__ import annotations

import torch

from trainables.curvature.loop import logits_of
from trainables.curvature.rivals.subject import FineTuned
from trainables.curvature.state import measuring


def label_variance(trained: FineTuned) -> float:
    """How undecided the model is: mean over validation rows of ``1 - sum_y p(y|x)^2``.

    This is the trace of the covariance of a one-hot label drawn from the model (Gini 1912). It uses no observed labels
    and no pass through the model. Tr(F) is this variance seen through the Jacobian of the logits, so part of Tr(F) is
    just uncertainty.

    Returns:
        A fraction: 0 for a model that is always certain, ``1 - 1/num_classes`` for one that predicts all classes alike.
    """
    p = trained.validation_logits.double().softmax(-1)
    return float((1 - p.square().sum(-1)).mean())


def margin(trained: FineTuned) -> float:
    """How far the right class is ahead of the best wrong one, on training rows; one forward pass in evaluation mode.

        mean over rows of  log p(y|x) - max_{y' != y} log p(y'|x)

    The normaliser cancels, so this is the margin of the logits. Jiang et al. (2020, "Fantastic generalization measures
    and where to find them") take the 10th percentile of the same margins; Bassi et al. (2024) take the mean, but of
    probability margins. The mean logit margin stays informative where probabilities saturate at 1.

    Returns:
        Nats; larger is better, below 0 where the model is wrong on average.
    """
    total, rows = 0.0, 0
    with measuring(trained.model, frozen=False), torch.no_grad():
        for inputs, labels in trained.labelled():
            logits = logits_of(trained.model(**inputs)).double()
            own = labels.unsqueeze(1)
            others = logits.scatter(1, own, -torch.inf).amax(1)
            total += float((logits.gather(1, own).squeeze(1) - others).sum())
            rows += len(labels)
    return total / rows
