"""Parameter norm: ``||theta||_2`` over all parameters, head included (Jiang et al. 2020, norm-based measures)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import Tensor

from trainables.curvature.rivals.subject import FineTuned


def parameter_norm(trained: FineTuned) -> float:
    """L2 norm of all parameters (parameter units)."""
    return l2_norm(parameter.detach() for parameter in trained.model.parameters())


def l2_norm(tensors: Iterable[Tensor]) -> float:
    """L2 norm of several tensors taken as one vector, summed in float64.

    Example:
        >>> import torch
        >>> l2_norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
        5.0
    """
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))
