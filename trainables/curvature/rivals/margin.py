"""Margin: how far the right class lies before the best wrong one.

    mean over training rows of  log p(y|x) - max_{y' != y} log p(y'|x)

The normaliser cancels, so this is the margin of the logits, in nats. Jiang et al. (2020, "Fantastic generalization
measures and where to find them") take the 10th percentile of the same margins; Bassi et al. (2024) take the mean, of
probabilities. The mean of logits' margins stays informative where probabilities saturate at 1.
"""

from __future__ import annotations

import torch

from trainables.curvature.loop import logits_of
from trainables.curvature.rivals.subject import FineTuned
from trainables.curvature.state import measuring


def margin(trained: FineTuned) -> float:
    """Mean margin of the training rows in evaluation mode; one forward pass.

    Returns:
        Nats, mean over rows; larger is better, below 0 where the model is wrong on average.
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
