"""Rivals of Tr(F) that are defined by all scores of a model: from their formulas, with the Fisher matrix itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tests.reference import fisher_trace_by_parameter, score
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


def normalized_trace(model: Any) -> float:
    traces = fisher_trace_by_parameter(model, make_batch())
    matrices = {name: p for name, p in model.named_parameters() if p.ndim == 2}
    return sum(float(w.detach().square().sum() * traces[name].mean()) for name, w in matrices.items())


def relative_flatness(model: Any) -> float:
    """With the Hessian of the mean loss at arbitrary labels, by automatic differentiation."""
    batch, labels = make_batch(), torch.tensor([0, 2, 1, 1, 0])
    name = "classifier.weight"
    weight = dict(model.named_parameters())[name].detach()

    def loss(w: Tensor) -> Tensor:
        return cross_entropy(torch.func.functional_call(model, {name: w}, kwargs=batch).logits, labels)

    hessian = torch.autograd.functional.hessian(loss, weight)
    pairs = [(y, z) for y in range(len(weight)) for z in range(len(weight))]
    return float(sum((weight[y] @ weight[z]) * hessian[y, :, z].trace() for y, z in pairs))


def fisher(model: Any) -> Tensor:
    """F itself, ``[parameters, parameters]``."""
    each, p = scores(model)
    return each.mT @ (p.unsqueeze(1) * each)


def lambda_max(model: Any) -> float:
    each, p = scores(model)
    return float(torch.linalg.matrix_norm(p.sqrt().unsqueeze(1) * each, 2) ** 2)


def trace_f2(model: Any) -> float:
    return float(fisher(model).square().sum())


def effective_rank(model: Any) -> float:
    f = fisher(model)
    return float(f.trace() ** 2 / f.square().sum())


INVARIANT_OR_SPECTRAL: dict[str, Callable[[Any], float]] = {
    "fisher_rao": fisher_rao,
    "normalized_trace": normalized_trace,
    "relative_flatness": relative_flatness,
    "lambda_max": lambda_max,
    "effective_rank": effective_rank,
    "trace_f2": trace_f2,
}
