"""The objective of one step: cross-entropy plus weighted penalties; ``gradient.py`` adds lazy and bounded ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from trainables.config import StageConfig
from trainables.training.micro_batch import MicroBatch


@dataclass(frozen=True)
class Loss:
    """The objective of a micro-batch.

    Attributes:
        total: What is differentiated, without ``held_back``.
        cross_entropy: The cross-entropy part, detached (nats, mean over examples).
        penalties: Name to unweighted penalty, detached; only those that were computed.
        held_back: The weighted Fisher penalty where it has a share: ``gradient.py`` bounds its gradient. Else None.
    """

    total: torch.Tensor
    cross_entropy: torch.Tensor
    penalties: dict[str, torch.Tensor]
    held_back: torch.Tensor | None = None


def objective(batch: MicroBatch, config: StageConfig) -> Loss:
    """Cross-entropy plus the weighted penalties of a stage, except lazy ones, which act on its gradient.

    A consistency loss of weight 0 is still reported, without gradient, so that the run equals, bit for bit, one with
    the same preset without its divergence.
    """
    total = cross_entropy(batch.logits("main", mask=0), batch.labels, label_smoothing=config.label_smoothing)
    penalties: dict[str, torch.Tensor] = {}
    consistency = config.consistency
    if consistency is not None:
        resolved = consistency.resolved()
        if view_share := resolved.view_share:
            view_loss = cross_entropy(
                batch.logits("view", resolved.view_mask), batch.labels, label_smoothing=config.label_smoothing
            )
            total = (1 - view_share) * total + view_share * view_loss
    unpenalised = total.detach()
    if consistency is not None:
        with torch.set_grad_enabled(resolved.weight > 0):
            penalties["consistency"] = consistency.penalty(batch)
        if resolved.weight > 0:
            total = total + resolved.weight * penalties["consistency"]
    for name, weight, penalty in config.penalties.of_form("plain"):
        penalties[name] = penalty(batch)
        total = total + weight * penalties[name]
    held_back = None
    if (fisher := config.penalties.fisher) is not None and batch.fisher_acts:
        penalties["fisher"] = fisher.penalty(batch)
        weighted = fisher.every * fisher.weight * penalties["fisher"]
        if fisher.share is None:
            total = total + weighted
        else:
            held_back = weighted
    return Loss(total, unpenalised, {name: value.detach() for name, value in penalties.items()}, held_back)
