"""The change of a classifier's logits along one direction of its parameters, and its variance over labels.

With logits z(theta), J = dz/dtheta and p = softmax(z), the Fisher information of one example is
F = J^T (diag p - p p^T) J, so d^T F d is the variance of (J d)_y under y ~ p. It takes one forward-mode product per
batch, and no gradient.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainables.curvature.last_layer import shortened
from trainables.curvature.loop import logits_of
from trainables.curvature.state import measuring
from trainables.errors import InputError


@contextmanager
def forward_mode() -> Iterator[None]:
    """Allow forward-mode products: no gradients, and attention that has a forward-mode derivative."""
    # If a model keeps sdpa: only MATH has a forward-mode derivative.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        # torch loads its forward-mode rules at their first use, through a function that it deprecates.
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
        yield


def logits_at(model: nn.Module, parameters: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
    """Logits ``[batch, classes]`` of a model with some parameters replaced; the model keeps its own."""
    with shortened(model):
        return logits_of(torch.func.functional_call(model, dict(parameters), kwargs=dict(batch)))


def product(
    model: nn.Module, at: dict[str, Tensor], along: dict[str, Tensor], batch: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Logits and their derivative J d along a direction d, each ``[batch, classes]``.

    Call it within :func:`forward_mode`; ``at`` and ``along`` need the same names and shapes.
    """
    found: Any = torch.func.jvp(lambda parameters: logits_at(model, parameters, batch), (at,), (along,))
    return found[0], found[1]


def label_variance(log_p: Tensor, change: Tensor) -> Tensor:
    """Variance under p of one number per label: ``d^T F d`` of each example for ``change = J d``.

    Args:
        log_p: Log probabilities ``[batch, classes]``.

    Returns:
        ``[batch]``, in squared units of ``change``.
    """
    p = log_p.exp()
    centred = change - (p * change).sum(-1, keepdim=True)
    return (p * centred.square()).sum(-1)


def quadratic_form(
    model: nn.Module, at: dict[str, Tensor], along: dict[str, Tensor], batches: Iterable[Mapping[str, Tensor]]
) -> tuple[float, int]:
    """``d^T F d`` along a direction, mean over examples (nats, summed in float64), and the number of examples.

    In evaluation mode. Costs one forward-mode product per batch, about as much as a forward and a backward pass.

    Args:
        batches: Model inputs ``[batch, ...]`` on the model's device.

    Raises:
        InputError: There are no examples.
    """
    total, examples = 0.0, 0
    with measuring(model, frozen=False), forward_mode():
        for inputs in batches:
            logits, change = product(model, at, along, inputs)
            total += float(label_variance(logits.double().log_softmax(-1), change.double()).sum())
            examples += len(logits)
    if not examples:
        raise InputError("the curvature along a displacement needs at least one example")
    return total / examples, examples


def clear_padding(model: nn.Module, along: dict[str, Tensor]) -> int:
    """Set the padding rows of a direction to 0, in place, and return how many entries were cleared.

    These rows have no gradient, so Tr(F) does not count them.
    """
    cleared = 0
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None and f"{name}.weight" in along:
            row = along[f"{name}.weight"][module.padding_idx]
            row.zero_()
            cleared += row.numel()
    return cleared
