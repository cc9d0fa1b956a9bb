"""Inner products of scores of linear layers from their inputs and output gradients, in one pass for many layers.

The gradient of a weight matrix at one example is ``sum_t g_t a_t^T``, with the inputs a and the output gradients g of
the layer at positions t. These factors are small, so those of many layers fit in memory after a single pass; the
gradients themselves are formed for a few rows of a matrix at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature.loop import gradients

Forward = Callable[[int], Tensor]
"""Logits ``[1, num_classes]`` of an example, by its number."""
Columns = Callable[[Tensor, int], tuple[Tensor, ...]]
"""Cotangents ``[1, num_classes]`` at the logits of an example."""
_FORMED = 1 << 26  # entries of gradients formed at once
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}


def factorable(model: nn.Module, counted: set[nn.Parameter], forward: Forward, count: int) -> list[nn.Linear]:
    """The linear layers whose gradients are these products: each runs once per example, and none shares its weight.

    All parameters of these layers count. Every layer is proven on the first example, since its weight might also be
    used in another way.
    """
    owners = Counter(parameter for _, parameter in model.named_parameters(remove_duplicate=False))
    layers = [
        module
        for module in model.modules()
        if type(module) is nn.Linear and all(p in counted and owners[p] == 1 for p in module.parameters())
    ]
    for i in range(count):
        with torch.no_grad(), _recorded(layers) as seen:
            forward(i)
        layers = [layer for layer in layers if len(seen[layer]) == 1]
    return _proven(layers, forward)


def _proven(layers: list[nn.Linear], forward: Forward) -> list[nn.Linear]:
    with _recorded(layers) as seen:
        logits = forward(0)
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(logits)
    outputs = [seen[layer][0][1] for layer in layers]
    weights = [layer.weight for layer in layers]
    found = torch.autograd.grad(logits, [*outputs, *weights], direction, allow_unused=True) if layers else ()
    proven = []
    for layer, at_output, at_weight in zip(layers, found, found[len(layers) :], strict=False):
        if at_output is not None and at_weight is not None:
            product = _flat(at_output).mT @ _flat(seen[layer][0][0])
            if float((product - at_weight).norm()) <= _TOLERANCE[logits.dtype] * float(at_weight.norm()):
                proven.append(layer)
    return proven


@contextmanager
def _recorded(layers: list[nn.Linear]) -> Iterator[dict[nn.Linear, list[tuple[Tensor, Tensor]]]]:
    """Within the context, inputs and outputs of layers are recorded, one pair per call."""
    seen: dict[nn.Linear, list[tuple[Tensor, Tensor]]] = {layer: [] for layer in layers}

    def record(layer: Any, args: tuple[Tensor, ...], output: Tensor) -> None:
        seen[layer].append((args[0].detach(), output))

    hooks = [layer.register_forward_hook(record) for layer in layers]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _flat(tensor: Tensor) -> Tensor:
    """``[positions, features]``."""
    return tensor.reshape(-1, tensor.shape[-1])


def products_of_layers(
    layers: list[nn.Linear], forward: Forward, columns: Columns, count: int, num_columns: int, held: int
) -> Tensor:
    """Inner products between the columns ``J^T s`` of all examples, over the parameters of linear layers.

    Args:
        layers: From :func:`factorable`.
        held: Entries of factors held in memory at once.

    Returns:
        float64 ``[count * num_columns, count * num_columns]`` on the CPU, the columns of an example side by side.
    """
    total = torch.zeros(count * num_columns, count * num_columns, dtype=torch.float64)
    waiting = list(layers)
    while waiting:
        sizes = _entries(waiting, forward, count, num_columns)
        part = [waiting.pop(0)]
        room = held - sizes[part[0]]
        while waiting and sizes[waiting[0]] <= room:
            room -= sizes[waiting[0]]
            part.append(waiting.pop(0))
        factors: dict[nn.Linear, list[tuple[Tensor, Tensor]]] = {layer: [] for layer in part}
        for i in range(count):
            with _recorded(part) as seen:
                logits = forward(i)
            for found in gradients(logits, [seen[layer][0][1] for layer in part], columns(logits, i)):
                for layer, gradient in zip(part, found, strict=True):
                    factors[layer].append((_flat(seen[layer][0][0]), _flat(gradient)))
        while part:
            layer = part.pop()
            total += _products(layer, factors.pop(layer)).cpu()
    return total


def _entries(layers: list[nn.Linear], forward: Forward, count: int, num_columns: int) -> dict[nn.Linear, int]:
    """About how many entries the factors of each layer have, as if every example were as long as the first."""
    with torch.no_grad(), _recorded(layers) as seen:
        forward(0)
    return {layer: count * (calls[0][0].numel() + num_columns * calls[0][1].numel()) for layer, calls in seen.items()}


def _products(layer: nn.Linear, factors: list[tuple[Tensor, Tensor]]) -> Tensor:
    weight = layer.weight
    total = torch.zeros(len(factors), len(factors), dtype=torch.float64, device=weight.device)
    if layer.bias is not None:
        total += added_products(torch.stack([gradient.sum(0) for _, gradient in factors]))
    step = max(_FORMED // (len(factors) * weight.shape[1]), 1)
    for start in range(0, len(weight), step):
        some = [(gradient[:, start : start + step].mT @ inputs).flatten() for inputs, gradient in factors]
        total += added_products(torch.stack(some))
    return total


_PIECE = 1 << 14  # this many products are summed in the vectors' precision; the sums of pieces are added in float64


def added_products(vectors: Tensor) -> Tensor:
    """Inner products of vectors ``[count, entries]``: float64 ``[count, count]``.

    Example:
        >>> added_products(torch.tensor([[1.0, 2.0], [0.0, 3.0]]))
        tensor([[5., 6.],
                [6., 9.]], dtype=torch.float64)
    """
    total = torch.zeros(len(vectors), len(vectors), dtype=torch.float64, device=vectors.device)
    for start in range(0, vectors.shape[1], _PIECE):
        piece = vectors[:, start : start + _PIECE]
        total += (piece @ piece.mT).double()
    return total
