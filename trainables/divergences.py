"""Divergences between two predictions, or between the hidden states behind them: unweighted and differentiable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainables.precision import at_least_float32


def kl_divergence(p_logits: Tensor, q_logits: Tensor, temperature: float = 1.0, stop_target: bool = False) -> Tensor:
    """KL(p^(1/T) renormalised || q) in nats, mean over examples; differentiable in both arguments.

    Args:
        p_logits: Logits of p, the target, ``[batch, num_classes]``.
        q_logits: Logits of q, ``[batch, num_classes]``.
        temperature: T; below 1 it sharpens the target.
        stop_target: Whether p is a constant.

    Returns:
        Scalar, in float32 or better.

    Example:
        >>> logits = torch.tensor([[0.3, 2.0, -1.0]])
        >>> kl_divergence(logits, logits).item()
        0.0
    """
    target = (p_logits.detach() if stop_target else p_logits) / temperature
    return divergence(at_least_float32(target).log_softmax(-1), at_least_float32(q_logits).log_softmax(-1)).mean()


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) of each row, in nats ``[rows]``, from log probabilities ``[rows, classes]``; differentiable in both.

    Since p and q both sum to 1, ``KL = sum p (exp(d) - 1 - d)`` with ``d = log q - log p``. No term of this sum is
    negative. In float32, rounding would swamp ``sum p d`` for p as close to q as noise of 1e-5 makes them.

    Example:
        >>> logits = torch.tensor([[0.0, 1e-8]], dtype=torch.float64)
        >>> kl = divergence(torch.zeros_like(logits).log_softmax(-1), logits.log_softmax(-1))
        >>> f"{kl.item():.4g}"
        '1.25e-17'
    """
    p, d = log_p.exp(), log_q - log_p
    # exp(d) - 1 - d to the last digit: the next term is 5e-11 of the sum at 0.1.
    small = d.clamp(-0.1, 0.1)
    series = 1 / 120 + small * (1 / 720 + small / 5040)
    series = small.square() * (1 / 2 + small * (1 / 6 + small * (1 / 24 + small * series)))
    # p exp(d) is q; exp(d) alone overflows where p is nearly 0.
    return torch.where(d.abs() < 0.1, p * series, log_q.exp() - p - p * d).sum(-1)


def symmetric_kl(clean: Tensor, view: Tensor, temperature: float = 1.0, stop_target: bool = False) -> Tensor:
    """KL(p_clean || p_view) + KL(p_view || p_clean), nats, mean over examples.

    Args:
        clean: Logits of the clean input ``[batch, num_classes]``; ``view`` has the same shape.
        temperature: Divides the logits of each term's target, its first argument.
        stop_target: Whether each term's target is a constant.
    """
    forward = kl_divergence(clean, view, temperature, stop_target)
    return forward + kl_divergence(view, clean, temperature, stop_target)


PREDICTIONS: dict[str, Callable[[Tensor, Tensor, float, bool], Tensor]] = {
    "kl": kl_divergence,
    "reverse_kl": lambda clean, view, temperature, stop: kl_divergence(view, clean, temperature, stop),
    "symmetric_kl": symmetric_kl,
    "half_symmetric_kl": lambda clean, view, temperature, stop: 0.5 * symmetric_kl(clean, view, temperature, stop),
}


def hidden_squared_error(
    clean: Sequence[Sequence[Tensor]], view: Sequence[Sequence[Tensor]], masks: Sequence[Tensor]
) -> Tensor:
    """Sum over layers of the mean squared change of a hidden state, a scalar in squared state units.

    The mean is over hidden units, over an example's tokens without padding, and over examples, in that order: each
    example counts equally, whatever its length.

    Args:
        clean: For each part of the batch, each layer's states ``[examples, tokens, hidden]``.
        view: The same for the view, whose tokens are in the same places.
        masks: For each part, 1 at tokens and 0 at padding, ``[examples, tokens]``.
    """
    examples = sum(len(mask) for mask in masks)
    total = at_least_float32(clean[0][0]).new_zeros(())
    for clean_layers, view_layers, mask in zip(clean, view, masks, strict=True):
        for before, after in zip(clean_layers, view_layers, strict=True):
            change = (at_least_float32(after) - at_least_float32(before)).square().mean(-1)
            share = mask.to(change) / mask.sum(1, keepdim=True).to(change)
            total = total + (share * change).sum()
    return total / examples
