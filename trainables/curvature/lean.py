"""Autograd functions with the same values as torch's own and less memory traffic in the second derivative.

torch differentiates the derivative of GELU as a composition of a dozen elementwise passes, and ``dot(g, g)`` as two
products and a sum: together about a tenth of a penalty step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def squared_norm(tensor: Tensor) -> Tensor:
    """Sum of squares as a float64 scalar, over pieces short enough for float32 to sum to its last digits.

    A single float32 ``dot`` over a multilingual word embedding is off by 1e-3; a float64 copy takes ten times as long.

    Example:
        >>> squared_norm(torch.full((3, 100_000), 0.5)).item()
        75000.0
    """
    return torch.stack([torch.dot(piece, piece) for piece in torch.split(tensor.reshape(-1), _PIECE)]).double().sum()


_PIECE = 1 << 14


class SumOfSquares(Function):
    """``sum_k ||g_k||^2`` of several tensors, with the derivative ``2 g_k`` in one pass each."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        """The value, a scalar."""
        ctx.save_for_backward(*tensors)
        return torch.stack([squared_norm(tensor) for tensor in tensors]).sum().to(tensors[0].dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        """Derivative."""
        twice = 2 * gradient
        return tuple(tensor * twice for tensor in ctx.saved_tensors)


class Gelu(Function):
    """GELU without the tanh approximation, twice differentiable; torch's kernels give value and first derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """``x * Phi(x)``."""
        ctx.save_for_backward(x)
        return nn.functional.gelu(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """First derivative, itself differentiable once."""
        (x,) = ctx.saved_tensors
        result: Tensor = _GeluBackward.apply(gradient, x)  # type: ignore[no-untyped-call]
        return result


class _GeluBackward(Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(gradient, x)
        result: Tensor = torch.ops.aten.gelu_backward(gradient, x)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        gradient, x = ctx.saved_tensors
        # gelu''(x) = (2 - x^2) phi(x), in two buffers.
        square = x * x
        second = torch.mul(square, -0.5).exp_()
        second.mul_(square.sub_(2.0).mul_(-1.0 / math.sqrt(2.0 * math.pi)))
        return torch.ops.aten.gelu_backward(cotangent, x), second.mul_(gradient).mul_(cotangent)


@contextmanager
def lean_gelu(model: nn.Module) -> Iterator[None]:
    """Within the context, the model's exact GELU activations are :class:`Gelu`; others are left alone."""
    changed = [module for module in model.modules() if _is_exact_gelu(module) and "forward" not in vars(module)]
    for module in changed:
        module.forward = Gelu.apply
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _is_exact_gelu(module: nn.Module) -> bool:
    if type(module) is nn.GELU:
        return module.approximate == "none"
    # transformers' GELUActivation wraps either torch's function or a slow formula.
    return type(module).__name__ == "GELUActivation" and getattr(module, "act", None) is nn.functional.gelu
