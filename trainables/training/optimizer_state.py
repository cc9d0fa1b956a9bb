"""The state of an optimiser as flat tensors, and back."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from trainables.training.checkpoint import StageState
from trainables.training.kept_weights import State


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> State:
    """The state of an optimiser, which holds tensors only, as AdamW's does: ``PARAMETER.KEY`` to tensor."""
    state: Mapping[int, Mapping[str, torch.Tensor]] = optimizer.state_dict()["state"]
    return {f"{index}.{name}": tensor for index, kept in state.items() for name, tensor in kept.items()}


def restore_optimizer(
    optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LambdaLR, state: StageState
) -> None:
    """Put an optimiser and its schedule, both newly made, where they stood."""
    kept: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in state.optimizer.items():
        index, _, key = name.partition(".")
        kept.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": kept})
    schedule.load_state_dict({**schedule.state_dict(), "last_epoch": state.steps, "_step_count": state.steps + 1})
    for group, rate, scale in zip(optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True):
        group["lr"] = rate * scale(state.steps)
