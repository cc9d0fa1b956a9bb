"""The gradient of one optimiser step: its micro-batches, what a penalty may add to it, and the step rule's ascent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from trainables.config import StageConfig
from trainables.errors import Diverged
from trainables.examples import Examples
from trainables.regularizers.parameters import add_bounded, add_lazily
from trainables.seeding import Streams
from trainables.training.micro_batch import MicroBatch
from trainables.training.objective import objective
from trainables.training.step_rules import sam_ascent, tram_ascent, trust_region


@dataclass(frozen=True)
class StageGradient:
    """Leaves the gradient of each optimiser step of a stage in ``.grad``.

    Attributes:
        stage: Stage and language, such as ``1.de``.
        dtype: As of :class:`MicroBatch`.
        starting_point: As of :class:`MicroBatch`.
    """

    model: PreTrainedModel
    examples: Examples
    config: StageConfig
    streams: Streams
    stage: str
    dtype: torch.dtype = torch.float32
    starting_point: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def of_step(self, indices: list[int], index: int) -> tuple[dict[str, float], torch.Tensor]:
        """Take the gradient of the objective over a batch, or the one that SAM or TRAM takes instead.

        Args:
            indices: Row numbers of the batch.
            index: Optimiser steps done in the stage.

        Returns:
            The parts of the loss at the unperturbed weights, and the gradient's L2 norm.

        Raises:
            Diverged: The loss or the gradient is not finite; the message names the step.
        """
        parts = self.accumulate(indices, index, measure_region=True)
        norm = self._norm(index)
        optimizer = self.config.optimizer
        if not (optimizer.sam_rho or optimizer.tram_sigma):
            return parts, norm
        parameters = self._parameters()
        if optimizer.sam_rho:
            ascent = sam_ascent(parameters, optimizer.sam_rho, norm)
        else:
            ascent = tram_ascent(parameters, parts["trust_region"])
        with ascent:
            self.accumulate(indices, index)
        return parts, self._norm(index)

    def accumulate(self, indices: list[int], index: int, measure_region: bool = False) -> dict[str, float]:
        """Add up the objective's gradients over the micro-batches of a batch, and return the parts of its loss.

        Args:
            measure_region: Also measure the trust region that TRAM's ascent needs.

        Returns:
            ``train_loss``, ``penalty.NAME``, ``penalty.fisher_factor`` with a share, and ``trust_region`` for TRAM.

        Raises:
            Diverged: The loss is not finite; the message names the step.
        """
        model, config, stage, terms = self.model, self.config, self.stage, self.config.terms
        size = config.batch_size // config.accumulation
        parameters = self._parameters()
        parts: dict[str, float] = defaultdict(float)
        penalty_gradient: dict[torch.nn.Parameter, torch.Tensor] = {}
        for number, start in enumerate(range(0, len(indices), size)):
            chunk = indices[start : start + size]
            batch = MicroBatch(
                model, self.examples, chunk, terms, self.streams, stage, index, number, self.dtype, self.starting_point
            )
            loss = objective(batch, config)
            fraction = len(chunk) / len(indices)
            value = loss.total.detach()
            if loss.held_back is not None:
                value = value + loss.held_back.detach()
                found = torch.autograd.grad(fraction * loss.held_back, parameters, retain_graph=True, allow_unused=True)
                for parameter, gradient in zip(parameters, found, strict=True):
                    if gradient is not None:
                        so_far = penalty_gradient.get(parameter)
                        penalty_gradient[parameter] = gradient if so_far is None else so_far + gradient
            if not torch.isfinite(value):
                raise Diverged(f"loss is {value.item()} at stage {stage}, step {index}")
            (fraction * loss.total).backward()  # type: ignore[no-untyped-call]
            parts["train_loss"] += fraction * loss.cross_entropy.item()
            for name, penalty in loss.penalties.items():
                parts[f"penalty.{name}"] += fraction * penalty.item()
            if measure_region and config.optimizer.tram_sigma:
                parts["trust_region"] += fraction * trust_region(batch, config.optimizer.tram_sigma).item()
        fisher = config.penalties.fisher
        if penalty_gradient and fisher is not None and fisher.share is not None:
            parts["penalty.fisher_factor"] = add_bounded(model, penalty_gradient, fisher.share)
        for name, weight, lazy in config.penalties.of_form("lazy"):
            penalty = lazy(batch)  # it only reads the parameters, so any micro-batch will do
            add_lazily(model, penalty, weight)
            parts[f"penalty.{name}"] = penalty.item()
        return parts

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def _norm(self, index: int) -> torch.Tensor:
        norm = torch.nn.utils.get_total_norm([p.grad for p in self._parameters() if p.grad is not None])
        if not torch.isfinite(norm):
            raise Diverged(f"gradient is not finite at stage {self.stage}, step {index}")
        return norm
