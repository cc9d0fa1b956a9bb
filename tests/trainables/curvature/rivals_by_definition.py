"""Rivals of Tr(F) that are defined by all scores of a model: from their formulas, with the Fisher matrix itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tests.reference import fisher_trace_by_parameter, score
from tests.trainables.curvature.cases import make_batch

ROWS = 5
LABELS = [0, 2, 2, 1, 0]


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
    batch, labels = make_batch(), torch.tensor([1, 1, 0, 2, 2])
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


def noise_scale(model: Any) -> float:
    each = torch.stack([vector(score(model, make_batch(), row, label)[0]) for row, label in enumerate(LABELS)])
    mean = each.mean(0)
    return float((each - mean).square().sum(1).mean() / mean.square().sum())


def adaptive_sharpness(model: Any) -> float:
    """Algorithm 1 of Croce and Hein (2020), line by line, on all weights as one vector."""
    names = {name: p.shape for name, p in model.named_parameters()}
    sizes = [shape.numel() for shape in names.values()]

    def f(x: Tensor) -> Tensor:
        parts = zip(names.items(), x.split(sizes), strict=True)
        weights = {name: part.reshape(shape) for (name, shape), part in parts}
        logits = torch.func.functional_call(model, weights, kwargs=make_batch()).logits
        scale = (logits - logits.mean(1, keepdim=True)).square().mean(1, keepdim=True).sqrt()
        return -(logits / scale).log_softmax(1)[range(ROWS), LABELS].mean()

    def gradient(x: Tensor) -> Tensor:
        (found,) = torch.autograd.grad(f(leaf := x.clone().requires_grad_()), leaf)
        return found.sign()

    w = vector(dict(model.named_parameters()))
    epsilon = 0.002 * w.abs()

    def project(x: Tensor) -> Tensor:
        return torch.clamp(x, w - epsilon, w + epsilon)

    p = [0.0, 0.22]
    while p[-1] < 1:
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    marks = [math.ceil(round(20 * share, 9)) for share in p]
    eta = [2.0]
    xs, top = [w, project(w + 2 * epsilon * gradient(w))], [w]
    with torch.no_grad():
        top.append(max(xs, key=f))
    eta.append(2.0)
    for k in range(1, 20):
        z = project(xs[k] + eta[k] * epsilon * gradient(xs[k]))
        xs.append(project(xs[k] + 0.75 * (z - xs[k]) + 0.25 * (xs[k] - xs[k - 1])))
        with torch.no_grad():
            top.append(max(top[k], xs[k + 1], key=f))
            eta.append(eta[k])
            if k + 1 in marks:
                before = marks[marks.index(k + 1) - 1]
                rises = sum(bool(f(xs[i + 1]) > f(xs[i])) for i in range(before, k + 1))
                stuck = eta[before] == eta[k] and f(top[before]) == f(top[k + 1])
                if rises < 0.75 * (k + 1 - before) or stuck:
                    eta[k + 1] = eta[k] / 2
                    xs[k + 1] = top[k + 1]
    return float((f(top[-1]) - f(w)).detach())


INVARIANT_OR_SPECTRAL: dict[str, Callable[[Any], float]] = {
    "fisher_rao": fisher_rao,
    "normalized_trace": normalized_trace,
    "relative_flatness": relative_flatness,
    "lambda_max": lambda_max,
    "effective_rank": effective_rank,
    "trace_f2": trace_f2,
    "noise_scale": noise_scale,
    "adaptive_sharpness": adaptive_sharpness,
}
