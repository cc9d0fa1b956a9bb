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


def probabilities(logits: Tensor) -> Tensor:
    """softmax, from its formula."""
    return logits.double().exp() / logits.double().exp().sum(-1, keepdim=True)


def kl(p_logits: Tensor, q_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(p^(1/T) || q): sum over classes, mean over examples."""
    p, q = probabilities(p_logits / temperature), probabilities(q_logits)
    return sum(pi * (pi / qi).log() for pi, qi in zip(p.flatten(), q.flatten(), strict=True)) / len(p)


def squared_change(
    clean: Sequence[Sequence[Tensor]], view: Sequence[Sequence[Tensor]], lengths: Sequence[Sequence[int]]
) -> Tensor:
    """Sum over layers of the mean over examples, their tokens and units of (view - clean)^2; part, layer, example."""
    total, examples = torch.zeros((), dtype=torch.float64), sum(len(part) for part in lengths)
    for clean_layers, view_layers, part in zip(clean, view, lengths, strict=True):
        for before, after in zip(clean_layers, view_layers, strict=True):
            for row, length in enumerate(part):
                total = total + (after[row, :length] - before[row, :length]).square().mean() / examples
    return total


def consistency(loss: Any, clean: Tensor, view: Tensor, fixed_clean: Tensor, fixed_view: Tensor) -> Tensor:
    """The divergence of a consistency loss on predictions, with constants in the place of what has no gradient."""
    stop, temperature = loss.stop_gradient, loss.temperature
    clean = fixed_clean if stop == "clean" else clean
    clean_target, view_target = (fixed_clean, fixed_view) if stop == "target" else (clean, view)
    forward, backward = kl(clean_target, view, temperature), kl(view_target, clean, temperature)
    return {
        "kl": forward,
        "reverse_kl": backward,
        "symmetric_kl": forward + backward,
        "half_symmetric_kl": 0.5 * (forward + backward),
    }[loss.divergence]
