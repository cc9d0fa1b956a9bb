"""The objective of one step: cross-entropy plus the sum of weight times penalty. Weights are applied here, once."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from trainables.augmentations.embedding_noise import gaussian_embedding_noise
from trainables.augmentations.view import KEEPS_TOKENS, ViewConfig
from trainables.config import StageConfig
from trainables.curvature import penalty_forward
from trainables.examples import Examples, to_device
from trainables.length_chunks import length_chunks
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoded

Role = Literal["main", "view"]
ROLES: tuple[Role, ...] = ("main", "view")


class Step:
    """One micro-batch of one optimiser step. It remembers its forward passes, so that no term makes one twice.

    Args:
        model: The model.
        examples: The stage's examples.
        indices: Row numbers of the micro-batch.
        config: The stage.
        streams: The trial's random streams.
        stage: Stage and language, such as ``1.de``.
        index: Optimiser steps done in the stage.
        micro_batch: Number of the micro-batch within the step.

    Attributes:
        batch_size: Rows of a full optimiser step.
        differentiable: What the Fisher penalty differentiates with respect to; set by the main pass.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        examples: Examples,
        indices: list[int],
        config: StageConfig,
        streams: Streams,
        stage: str,
        index: int,
        micro_batch: int,
    ) -> None:
        self.model = model
        self.streams = streams
        self.stage = stage
        self.index = index
        self.micro_batch = micro_batch
        self.batch_size = config.batch_size
        consistency = config.consistency
        self._views: dict[Role, ViewConfig | None] = {
            "main": config.noise,
            "view": None if consistency is None else consistency.view,
        }
        self.differentiable: list[torch.Tensor] = []
        self.labels = examples.labels[indices].to(model.device)
        self._examples = examples
        self._encoder = examples.encoder
        self._indices = indices
        fisher = config.penalties.fisher
        self.fisher_acts = fisher is not None and fisher.acts_on(index)
        self._passes: dict[tuple[Role, int | None], torch.Tensor] = {}

    def logits(self, role: Role, mask: int | None) -> torch.Tensor:
        """The model's prediction.

        Args:
            role: ``main``, what the cross-entropy sees: the stage's noise, or the clean input without one; or ``view``,
                the view of the consistency loss.
            mask: Number of the dropout mask of this step: equal numbers drop alike; None is evaluation mode.

        Returns:
            Logits ``[micro-batch, num_classes]``.
        """
        key = (role, mask)
        if key not in self._passes:
            self._passes[key] = self._forward(role, mask)
        return self._passes[key]

    def _forward(self, role: Role, mask: int | None) -> torch.Tensor:
        view = self._views[role]
        # Two numbers a micro-batch are enough: a step has two roles and no term asks for a third mask.
        draw = 2 * self.micro_batch + ROLES.index(role)
        encoded = self._encoded(view, draw)
        main = self.fisher_acts and (role, mask) == ("main", 0)
        self.model.train(mask is not None)
        with ExitStack() as stack:
            if view is not None and view.kind == "embedding_gaussian":
                generator = self.streams.generator("view", self.stage, self.index, draw)
                stack.enter_context(gaussian_embedding_noise(self.model, view.strength, generator))
            if main:
                ids = self._encoder.batch(encoded)["input_ids"].to(self.model.device)
                self.differentiable = stack.enter_context(penalty_forward(self.model, ids))
            part = 2 * self.micro_batch + (mask or 0)
            stack.enter_context(self.streams.forked("dropout", self.stage, self.index, part))
            return self._logits(encoded)

    def _logits(self, encoded: list[Encoded]) -> torch.Tensor:
        """Logits of all examples, computed by parts of like length where that saves time."""
        device = self.model.device
        chunks = [list(range(len(encoded)))]
        if device.type == "cpu":  # a GPU takes a whole batch in about the time of a part
            chunks = length_chunks([len(example) for example in encoded], self.model.config.hidden_size)
        parts: list[torch.Tensor] = []
        for chunk in chunks:
            inputs = to_device(self._encoder.batch([encoded[i] for i in chunk]), device)
            parts.append(self.model(**inputs).logits)
        order = torch.tensor([i for chunk in chunks for i in chunk], device=device)
        return torch.cat(parts)[order.argsort()] if len(parts) > 1 else parts[0]

    def _encoded(self, view: ViewConfig | None, draw: int) -> list[Encoded]:
        if view is None or view.kind in KEEPS_TOKENS:
            return [self._examples.encoded[i] for i in self._indices]
        seed = self.streams.derive("view", self.stage, self.index, draw)
        return self._examples.subword_views.view(self._indices, view.strength, seed)


@dataclass(frozen=True)
class Loss:
    """The objective of a micro-batch.

    Attributes:
        total: What is differentiated.
        cross_entropy: The cross-entropy part, detached (nats, mean over examples).
        penalties: Name to unweighted penalty, detached; only those that were computed.
    """

    total: torch.Tensor
    cross_entropy: torch.Tensor
    penalties: dict[str, torch.Tensor]


def objective(step: Step, config: StageConfig) -> Loss:
    """Cross-entropy plus the weighted penalties of a stage.

    A consistency loss of weight 0 is still reported, without gradient, so that the run equals bit for bit the same
    preset without its divergence.

    Args:
        step: The micro-batch.
        config: The stage.

    Returns:
        The loss and its parts.
    """
    total = cross_entropy(step.logits("main", mask=0), step.labels, label_smoothing=config.label_smoothing)
    penalties: dict[str, torch.Tensor] = {}
    if config.consistency is not None:
        consistency = config.consistency
        if share := consistency.view_share:
            view_loss = cross_entropy(
                consistency.view_logits(step), step.labels, label_smoothing=config.label_smoothing
            )
            total = (1 - share) * total + share * view_loss
    clean = total.detach()
    if config.consistency is not None:
        with torch.set_grad_enabled(consistency.weight > 0):
            penalties["consistency"] = consistency.penalty(step)
        if consistency.weight > 0:
            total = total + consistency.weight * penalties["consistency"]
    if config.penalties.l2 is not None and config.penalties.l2.weight > 0:
        penalties["l2"] = config.penalties.l2.penalty(step)
        total = total + config.penalties.l2.weight * penalties["l2"]
    if config.penalties.fisher is not None and step.fisher_acts:
        penalties["fisher"] = config.penalties.fisher.penalty(step)
        total = total + config.penalties.fisher.every * config.penalties.fisher.weight * penalties["fisher"]
    return Loss(total, clean, {name: value.detach() for name, value in penalties.items()})
