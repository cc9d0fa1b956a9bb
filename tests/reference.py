"""Naive definitions, straight from the formulas, in float64: what every fast routine is compared with."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]


def double(model: nn.Module) -> Any:
    """A float64 copy in evaluation mode."""
    return copy.deepcopy(model).double().eval()


def score(model: nn.Module, batch: Batch, row: int, label: int) -> tuple[dict[str, Tensor], float]:
    """grad log p(label | x) of one example for each trainable parameter, and p(label | x)."""
    names = {name: p for name, p in model.named_parameters() if p.requires_grad}
    output = model(**{key: value[row : row + 1] for key, value in batch.items() if key != "labels"})
    log_p = output.logits[0].log_softmax(-1)[label]
    gradients = torch.autograd.grad(log_p, list(names.values()), allow_unused=True)
    found = zip(names.items(), gradients, strict=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in found}, float(log_p.detach().exp())


def fisher_trace_by_parameter(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """sum_y p(y|x) ||grad log p(y|x)||^2, one example and one label at a time; parameter to float64 [examples]."""
    model = double(model)
    rows = len(next(iter(batch.values())))
    classes = model(**{key: value[:1] for key, value in batch.items() if key != "labels"}).logits.shape[1]
    values = {name: torch.zeros(rows, dtype=torch.float64) for name, p in model.named_parameters() if p.requires_grad}
    for row in range(rows):
        for label in range(classes):
            gradients, p = score(model, batch, row, label)
            for name, gradient in gradients.items():
                values[name][row] += p * gradient.square().sum()
    return values


def fisher_trace_by_loop(model: nn.Module, batch: Batch) -> Tensor:
    """The same, summed over parameters; float64 [examples]."""
    return torch.stack(list(fisher_trace_by_parameter(model, batch).values())).sum(0)


def squared_scores_at(model: nn.Module, batch: Batch, labels: Sequence[int]) -> Tensor:
    """||grad log p(labels_i | x_i)||^2; float64 [examples]."""
    model = double(model)
    norms = []
    for row, label in enumerate(labels):
        gradients, _ = score(model, batch, row, label)
        norms.append(torch.stack([g.square().sum() for g in gradients.values()]).sum())
    return torch.stack(norms)


def squared_mean_score_at(model: nn.Module, batch: Batch, labels: Sequence[int]) -> float:
    """|| (1/B) sum_i grad log p(labels_i | x_i) ||^2."""
    model = double(model)
    scores = [score(model, batch, row, label)[0] for row, label in enumerate(labels)]
    means = [sum(s[name] for s in scores) / len(scores) for name in scores[0]]
    return float(sum(mean.square().sum() for mean in means))
