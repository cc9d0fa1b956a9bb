"""Rivals of Tr(F) that are defined by all scores of a model: from their formulas, with the Fisher matrix itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.reference import score
from tests.trainables.curvature.cases import make_batch

ROWS = 5


def vector(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([value.detach().flatten() for value in tensors.values()])


def scores(model: Any) -> tuple[Tensor, Tensor]:
    """grad log p(y|x) of every row and label, ``[rows * classes, parameters]``, and p(y|x) / rows of each."""
    found = [score(model, make_batch(), row, label) for row in range(ROWS) for label in range(3)]
    return torch.stack([vector(s) for s, _ in found]), torch.tensor([p / ROWS for _, p in found], dtype=torch.float64)


def fisher_rao(model: Any) -> float:
    theta = vector(dict(model.named_parameters()))
    each, p = scores(model)
    return float((p * (each @ theta).square()).sum())


INVARIANT_OR_SPECTRAL: dict[str, Callable[[Any], float]] = {
    "fisher_rao": fisher_rao,
}
