"""Which parameters a penalty or decay acts on, and in which form a penalty on them enters a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Form = Literal["lazy", "plain"]
"""``plain``: a term of the loss. AdamW divides a gradient by its own size, so a row without any other gradient, such as
the embedding of a word that is in no sentence, takes a full step however small the weight: the weight sets no dose.
``lazy``: the same gradient, but only on rows that the step has seen, see :func:`add_lazily`."""


def penalised(model: torch.nn.Module, exempt_biases_and_norms: bool) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The trainable parameters, with or without biases and LayerNorm's weights.

    Biases and LayerNorm's weights are recognised by their shape: in every encoder they alone have one dimension.

    Yields:
        Name and parameter.
    """
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and (parameter.dim() > 1 or not exempt_biases_and_norms):
            yield name, parameter


def add_lazily(model: torch.nn.Module, penalty: torch.Tensor, weight: float) -> None:
    """Add the gradient of a penalty to those rows of ``.grad`` that have a gradient from the rest of the objective.

    A row is a slice along the first dimension: one word of an embedding matrix, one element of a vector. Optimisers for
    sparse gradients do the same: their updates and decay skip the rows that a step has not looked up.

    Args:
        model: Its parameters carry the gradient of the rest of the objective.
    """
    import torch

    seen = [parameter for parameter in model.parameters() if parameter.grad is not None]
    gradients = torch.autograd.grad(weight * penalty, seen, allow_unused=True)
    for parameter, gradient in zip(seen, gradients, strict=True):
        if gradient is not None and parameter.grad is not None:
            rows = parameter.grad.flatten(1).any(1) if parameter.dim() > 1 else parameter.grad.bool()
            parameter.grad += gradient * rows.view(-1, *[1] * (parameter.dim() - 1))


def add_bounded(model: torch.nn.Module, gradients: Mapping[torch.nn.Parameter, torch.Tensor], share: float) -> float:
    """Add a penalty's gradient to ``.grad``, shortened to at most a share of the gradient already there.

        g = r + min(1, share ||r|| / ||q||) q,   r: the gradient of the rest, q: the penalty's

    Below a share of 1, g r >= (1 - share) ||r||^2: whatever the penalty, and whatever the sign of its weight, a step
    against g still descends the rest to first order.

    Args:
        model: Its parameters carry r.
        gradients: Parameter to q, the penalty's weighted gradient over the whole step.
        share: Largest ||q|| as a share of ||r||, L2 norms over all parameters.

    Returns:
        The factor on q; 1 where q was short enough.
    """
    import torch

    rest = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    own = torch.nn.utils.get_total_norm(list(gradients.values()))
    scale = (share * rest / own.clamp(min=torch.finfo(own.dtype).tiny)).clamp(max=1.0)
    for parameter, gradient in gradients.items():
        parameter.grad = scale * gradient if parameter.grad is None else parameter.grad + scale * gradient
    return float(scale)
