"""What a change of the parameters does to the logits, to first order: one forward-mode product."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainables.curvature.loop import logits_of


@contextmanager
def forward_mode() -> Iterator[None]:
    """Within the context, forward-mode products can be taken, and no graph is kept.

    Yields:
        Nothing.
    """
    # Only MATH has a forward-mode derivative, should a model keep sdpa.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), torch.random.fork_rng([]), warnings.catch_warnings():
        # torch loads its forward-mode rules at their first use, by a way that it deprecates.
        warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)
        yield


def logits_at(model: nn.Module, parameters: dict[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
    """The logits of a model with other values of its parameters.

    Args:
        model: A classifier; it is not touched.
        parameters: Name to value.
        inputs: Model inputs ``[batch, ...]``.

    Returns:
        ``[batch, num_classes]``.
    """
    return logits_of(torch.func.functional_call(model, parameters, kwargs=dict(inputs)))


def logits_and_change(
    model: nn.Module, theta: dict[str, Tensor], direction: dict[str, Tensor], inputs: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """The logits and their derivative along a direction, ``J v``; within :func:`forward_mode`.

    Args:
        model: A classifier; it is not touched.
        theta: Name to value of the parameters that move.
        direction: Name to the direction of each.
        inputs: Model inputs ``[batch, ...]``.

    Returns:
        Both ``[batch, num_classes]``.
    """
    product: Any = torch.func.jvp(lambda at: logits_at(model, at, inputs), (theta,), (direction,))
    logits, change = product
    return logits, change


def clear_padding(model: nn.Module, direction: dict[str, Tensor]) -> dict[str, Tensor]:
    """Set a direction to 0 in place where it moves padding rows.

    Padding rows have no gradient by definition, so that Tr(F) does not count them.

    Args:
        model: The model.
        direction: Parameter name to direction.

    Returns:
        The same direction.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None and f"{name}.weight" in direction:
            direction[f"{name}.weight"][module.padding_idx] = 0.0
    return direction
