"""The one optimisation loop, for both stages."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from transformers import (
    PreTrainedModel,
    get_constant_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

from trainables.config import StageConfig
from trainables.curvature import require_second_derivatives
from trainables.examples import Examples
from trainables.measuring.evaluation import evaluate
from trainables.measuring.measurements import CurvePoint
from trainables.regularizers.parameters import penalised
from trainables.seeding import Streams
from trainables.training.checkpoint import StageState
from trainables.training.gradient import StageGradient
from trainables.training.kept_weights import Kept, State, added, mean, weights_of


@dataclass(frozen=True)
class StageResult:
    """What the loop itself saw.

    Attributes:
        penalties: Name to mean unweighted penalty over those steps of the last epoch on which it acted, even where the
            epoch was cut short.
        train_nll: The last measured training loss; None where the stage does not end by it.
    """

    steps: int
    penalties: dict[str, float]
    train_nll: float | None = None


def train_stage(
    model: PreTrainedModel,
    examples: Examples,
    english: Examples,
    config: StageConfig,
    streams: Streams,
    number: int,
    language: str,
    report: Callable[[CurvePoint], None],
    on_step: Callable[[int], None] | None = None,
    dtype: torch.dtype = torch.float32,
    resume: StageState | None = None,
    on_epoch: Callable[[StageState], None] | None = None,
    accuracy_every: int | None = 1,
) -> StageResult:
    """Train in place with AdamW, linear warm-up and decay, clipping, and the step rule that is set.

    With ``until``, the stage ends when the training loss is low enough, even within an epoch, and the learning rate
    does not decay. With ``runs``, each run after the first starts from the stage's first weights with a new optimiser
    and schedule; the counts of epochs and steps, which name the random streams, continue.

    Args:
        english: English validation examples, evaluated after epochs where the stage is English or selects by them.
        number: 0 or 1.
        on_step: Called after each optimiser step with the steps done, unless the training loss ended the stage with it.
        dtype: Format of training and evaluation passes, as ``precision.training_dtype`` decides; else float32.
        resume: The stage's saved state; None starts it. The model must hold the weights that the stage started with.
        on_epoch: Receives the stage's state after each epoch, unless the training loss ended the stage with it.
        accuracy_every: Epochs between English evaluations in stage 0; None: only where the stage selects by accuracy.

    Raises:
        Diverged: The loss or a gradient is not finite; the message names the step.
    """
    stage = f"{number}.{language}"
    batches = math.ceil(len(examples) / config.batch_size)
    if config.penalties.fisher is not None:
        require_second_derivatives(model)
    until, last = config.until, batches * config.longest
    optimizer, schedule = _optimizer(model, config, batches * config.epochs)
    parameters = [p for p in model.parameters() if p.requires_grad]
    starting_point = {}
    if config.penalties.needs_start:
        starting_point = {name: p.detach().clone() for name, p in model.named_parameters()}
    gradient = StageGradient(model, examples, config, streams, stage, dtype, starting_point)
    selects, many = config.selection == "best_english", config.runs > 1
    first = weights_of(model) if many else {}
    kept: Kept | None = None
    done, steps, means, nll, reached = 0, 0, {}, None, False
    if resume is not None:
        model.load_state_dict(resume.model)
        before = many * batches * config.epochs * ((resume.epoch - 1) // config.epochs)  # steps of completed runs
        _restore_optimizer(optimizer, schedule, replace(resume, steps=resume.steps - before))
        done, steps, means, kept = resume.epoch, resume.steps, resume.means, resume.kept
    for epoch in range(done + 1, config.longest + 1):
        if many and epoch > 1 and epoch % config.epochs == 1 % config.epochs:
            model.load_state_dict(first)
            optimizer, schedule = _optimizer(model, config, batches * config.epochs)
        order = torch.randperm(len(examples), generator=streams.generator("order", stage, epoch)).tolist()
        sums: dict[str, float] = defaultdict(float)
        counts: dict[str, int] = defaultdict(int)
        for start in range(0, len(order), config.batch_size):
            rows = order[start : start + config.batch_size]
            losses, norm = gradient.of_step(rows, steps)
            if config.clip is not None:
                torch.nn.utils.clip_grads_with_norm_(parameters, config.clip, norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            steps += 1
            for name, value in losses.items():
                sums[name] += value
                counts[name] += 1
            if until is not None and (steps % until.every == 0 or steps == last):
                nll = evaluate(model, examples, until.examples, dtype).nll
                report(CurvePoint(number, language, steps, steps / batches, "train_nll", nll))
                if reached := nll < until.train_nll:
                    break
            if on_step is not None:
                on_step(steps)
        at = steps / batches if reached else epoch
        means = {name: sums[name] / counts[name] for name in sums}
        for name, value in means.items():
            report(CurvePoint(number, language, steps, at, name, value))
        if selects or (number == 0 and accuracy_every is not None and (reached or epoch % accuracy_every == 0)):
            accuracy = evaluate(model, english, dtype=dtype).accuracy
            report(CurvePoint(number, language, steps, at, "accuracy.en", accuracy))
            if selects and (kept is None or accuracy > kept[0]):
                kept = accuracy, weights_of(model)
        if config.selection == "average" or (many and epoch % config.epochs == 0):
            kept = added(kept, model)
        if reached:
            break
        if on_epoch is not None:
            on_epoch(StageState(epoch, steps, means, model.state_dict(), _optimizer_tensors(optimizer), kept))
    if kept is not None:
        model.load_state_dict(kept[1] if selects else mean(kept))
    if until is not None and nll is None:  # it was interrupted after its last epoch
        nll = evaluate(model, examples, until.examples, dtype).nll
    return StageResult(steps, {name: value for name, value in means.items() if name.startswith("penalty.")}, nll)


def _optimizer(
    model: PreTrainedModel, config: StageConfig, total_steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW and its schedule; a stage that ends by its loss warms up as if it ended after its epochs."""
    settings = config.optimizer
    decaying = {name: p for name, p in penalised(model, settings.exempt_biases_and_norms)}
    decayed = list(decaying.values())
    exempt = [p for name, p in model.named_parameters() if p.requires_grad and name not in decaying]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": exempt, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, eps=settings.epsilon, fused=True)
    warmup = round(settings.warmup * total_steps)
    if config.until is not None:
        return optimizer, get_constant_schedule_with_warmup(optimizer, warmup)
    return optimizer, get_linear_schedule_with_warmup(optimizer, warmup, total_steps)


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> State:
    """The state of an optimiser that holds only tensors, as AdamW's does: ``PARAMETER.KEY`` to tensor."""
    state: Mapping[int, Mapping[str, torch.Tensor]] = optimizer.state_dict()["state"]
    return {f"{index}.{name}": tensor for index, kept in state.items() for name, tensor in kept.items()}


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LambdaLR, state: StageState
) -> None:
    """Restore the saved state of an optimiser and its schedule, both newly created."""
    kept: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in state.optimizer.items():
        index, _, key = name.partition(".")
        kept.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": kept})
    schedule.load_state_dict({**schedule.state_dict(), "last_epoch": state.steps, "_step_count": state.steps + 1})
    for group, rate, scale in zip(optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True):
        group["lr"] = rate * scale(state.steps)
