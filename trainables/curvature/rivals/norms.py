"""Norms of the parameters, and of their change (Jiang et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor

from trainables.curvature.rivals.subject import FineTuned


def parameter_norm(trained: FineTuned) -> float:
    """``||theta||_2`` of all parameters, head included (parameter units)."""
    return l2_norm(parameter.detach() for parameter in trained.model.parameters())


def distance_from_pretrained(trained: FineTuned) -> float:
    """``||theta - theta_0||_2`` over the encoder's parameters (parameter units).

    "Distance from initialisation" in Jiang et al. (2020) and Bassi et al. (2024). The head is left out, since it starts
    from a random draw and not from a pretrained point.
    """
    encoder = f"{trained.model.base_model_prefix}."
    return l2_norm(
        parameter.detach() - trained.pretrained[name]
        for name, parameter in trained.model.named_parameters()
        if name.startswith(encoder)
    )


def l2_norm(tensors: Iterable[Tensor]) -> float:
    """L2 norm of several tensors taken as one vector, summed in float64.

    Example:
        >>> import torch
        >>> l2_norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
        5.0
    """
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))
