"""The gradient of one optimiser step: its micro-batches, what a penalty may add to it, and the step rule's ascent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedModel

from trainables.config import StageConfig
from trainables.errors import Diverged
from trainables.examples import Examples
from trainables.regularizers.parameters import add_bounded, add_lazily
from trainables.seeding import Streams
from trainables.training.objective import objective
from trainables.training.step import Step
from trainables.training.step_rules import sam_ascent, tram_ascent, trust_region


def step_gradient(
    model: PreTrainedModel,
    examples: Examples,
    indices: list[int],
    config: StageConfig,
    streams: Streams,
    stage: str,
    index: int,
    dtype: torch.dtype = torch.float32,
    starting_point: Mapping[str, torch.Tensor] | None = None,
) -> tuple[dict[str, float], torch.Tensor]:
    """Leave the gradient of one optimiser step in ``.grad``: that of the objective, or the step rule's.

    Args:
        model: The model.
        examples: The stage's examples.
        indices: Row numbers of the batch.
        config: The stage.
        streams: The trial's random streams.
        stage: Stage and language, such as ``1.de``.
        index: Optimiser steps done in the stage.
        dtype: As of :class:`Step`.
        starting_point: As of :class:`Step`.

    Returns:
        The parts of the loss at the weights themselves, and the gradient's L2 norm.

    Raises:
        Diverged: The loss or the gradient is not finite; names the step.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    batch = (model, examples, indices, config, streams, stage, index, dtype, starting_point)
    parts = accumulate(*batch, rule=True)
    norm = _norm(parameters, stage, index)
    rule = config.optimizer
    if not (rule.sam_rho or rule.tram_sigma):
        return parts, norm
    ascent = (
        sam_ascent(parameters, rule.sam_rho, norm) if rule.sam_rho else tram_ascent(parameters, parts["trust_region"])
    )
    with ascent:
        accumulate(*batch)
    return parts, _norm(parameters, stage, index)


def accumulate(
    model: PreTrainedModel,
    examples: Examples,
    indices: list[int],
    config: StageConfig,
    streams: Streams,
    stage: str,
    index: int,
    dtype: torch.dtype = torch.float32,
    starting_point: Mapping[str, torch.Tensor] | None = None,
    rule: bool = False,
) -> dict[str, float]:
    """Gradients of one optimiser step over its micro-batches; the parts of its loss.

    Args:
        model: As of :func:`step_gradient`, and so are all but the last.
        examples: The stage's examples.
        indices: Row numbers of the batch.
        config: The stage.
        streams: The trial's random streams.
        stage: Stage and language.
        index: Optimiser steps done in the stage.
        dtype: As of :class:`Step`.
        starting_point: As of :class:`Step`.
        rule: Also measure what a step rule needs for its ascent.

    Returns:
        ``train_loss``, ``penalty.NAME``, and ``trust_region`` for TRAM.

    Raises:
        Diverged: The loss is not finite; names the step.
    """
    size = config.batch_size // config.accumulation
    parameters = [p for p in model.parameters() if p.requires_grad]
    parts: dict[str, float] = defaultdict(float)
    bounded: dict[torch.nn.Parameter, torch.Tensor] = {}
    for number, start in enumerate(range(0, len(indices), size)):
        chunk = indices[start : start + size]
        step = Step(model, examples, chunk, config.terms, streams, stage, index, number, dtype, starting_point)
        loss = objective(step, config)
        share = len(chunk) / len(indices)
        value = loss.total.detach()
        if loss.bounded is not None:
            value = value + loss.bounded.detach()
            found = torch.autograd.grad(share * loss.bounded, parameters, retain_graph=True, allow_unused=True)
            for parameter, gradient in zip(parameters, found, strict=True):
                if gradient is not None:
                    bounded[parameter] = bounded[parameter] + gradient if parameter in bounded else gradient
        if not torch.isfinite(value):
            raise Diverged(f"loss is {value.item()} at stage {stage}, step {index}")
        (share * loss.total).backward()  # type: ignore[no-untyped-call]
        parts["train_loss"] += share * loss.cross_entropy.item()
        for name, penalty in loss.penalties.items():
            parts[f"penalty.{name}"] += share * penalty.item()
        if rule and config.optimizer.tram_sigma:
            parts["trust_region"] += share * trust_region(step, config.optimizer.tram_sigma).item()
    fisher = config.penalties.fisher
    if bounded and fisher is not None and fisher.share is not None:
        add_bounded(model, bounded, fisher.share)
    for name, weight, lazy in config.penalties.on_parameters("lazy"):
        penalty = lazy(step)
        add_lazily(model, penalty, weight)
        parts[f"penalty.{name}"] = penalty.item()
    return parts


def _norm(parameters: Sequence[torch.nn.Parameter], stage: str, step: int) -> torch.Tensor:
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if not torch.isfinite(norm):
        raise Diverged(f"gradient is not finite at stage {stage}, step {step}")
    return norm
