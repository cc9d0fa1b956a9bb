"""Naive definitions, straight from the formulas, in float64: what every fast routine is compared with."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def double(model: nn.Module) -> Any:
    """A float64 copy in evaluation mode."""
    return copy.deepcopy(model).double().eval()


def fisher_trace_by_loop(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """sum_y p(y|x) ||grad log p(y|x)||^2 of each example, one example and one label at a time; [examples]."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    values = []
    for i in range(batch["input_ids"].shape[0]):
        log_p = model(**{k: v[i : i + 1] for k, v in batch.items()}).logits[0].log_softmax(-1)
        total = 0.0
        for y in range(log_p.numel()):
            score = torch.autograd.grad(log_p[y], parameters, retain_graph=True, allow_unused=True)
            norm = sum(float(g.double().square().sum()) for g in score if g is not None)
            total += float(log_p[y].detach().exp()) * norm
        values.append(total)
    return torch.tensor(values, dtype=torch.float64)
