"""The nonzero eigenvalues of the Fisher matrix, from the inner products of scores.

With ``S_i S_i^T = diag(p_i) - p_i p_i^T`` and J_i the Jacobian of the logits of example i, the Fisher matrix of n
examples is F = A A^T, where A has the n (C - 1) columns J_i^T s / sqrt(n), with s a column of S_i. Its dual K = A^T A
has the same nonzero eigenvalues, but its order is n (C - 1) instead of the number of parameters, so

    lambda_max(F) = lambda_max(K),   Tr(F) = Tr(K),   Tr(F^2) = ||K||_F^2

A column has an entry for each parameter, so columns are formed for a few parameters at a time; those of linear layers
come from their factors (``factors``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature.batches import placed, read_examples
from trainables.curvature.cotangents import Cotangents
from trainables.curvature.estimate import Estimator
from trainables.curvature.factors import added_products, factorable, products_of_layers
from trainables.curvature.loop import gradients, logits_of
from trainables.curvature.state import measuring
from trainables.curvature.trace import counted_groups

ROWS = 100  # examples that are used
HELD = 1 << 29  # entries of scores, or of their factors, held in memory at once: 2 GiB in float32


def fisher_spectrum(
    model: nn.Module, batches: Iterable[Mapping[str, Any]], *, rows: int = ROWS, held: int = HELD
) -> Tensor:
    """Eigenvalues of the Fisher matrix of a classifier, over every parameter that requires a gradient.

    In evaluation mode, and exact over the model's own labels. At most ``rows`` examples are used, one at a time; they
    are evenly spaced in the input, which may be sorted by length. The linear layers are split into parts whose factors
    fit ``held``, the other parameters into parts whose scores do. Each part costs one forward pass and
    ``num_classes - 1`` backward passes to its depth. Memory: ``held`` entries twice, or one parameter's scores if those
    are more. For a table, only the rows that an example reads are kept.

    Args:
        model: A classifier whose output has ``logits`` ``[batch, num_classes]``, float32 or better.
        batches: Mappings from argument names to tensors ``[batch, ...]``; ``labels`` are ignored.

    Returns:
        float64 ``[examples * (num_classes - 1)]`` on the CPU, ascending; all other eigenvalues are 0 (squared nats per
        squared parameter unit).

    Raises:
        InputError: As :func:`trainables.curvature.fisher_trace`.
        NonFiniteLogits: The model has diverged.
    """
    names = counted_groups(model)
    counted = {parameter for name, parameter in model.named_parameters() if name in names}
    given = read_examples(batches)
    step = -(-len(given.inputs) // rows)
    examples = replace(given, inputs=given.inputs[::step], labels=given.labels[::step])
    cotangents = Cotangents(examples, Estimator.EXACT, 1, torch.Generator())
    count = len(examples.inputs)

    def forward(i: int) -> Tensor:
        return logits_of(model(**placed(examples.inputs[i], model)))

    def columns(logits: Tensor, i: int) -> tuple[Tensor, ...]:
        return cotangents.at(logits, [i])

    with measuring(model, frozen=False):
        with torch.no_grad():
            num_columns = len(columns(forward(0), 0))
        layers = factorable(model, counted, forward, count)
        products = products_of_layers(layers, forward, columns, count, num_columns, held)
        factored = {parameter for layer in layers for parameter in layer.parameters()}
        others = [p for p in model.parameters() if p in counted and p not in factored]
        for part in _parts(others, held // (count * num_columns)):
            scores: list[list[tuple[Tensor, Tensor]]] = [[] for _ in part]
            for i in range(count):
                logits = forward(i)
                for of_column in gradients(logits, part, columns(logits, i)):
                    for found, gradient in zip(scores, of_column, strict=True):
                        found.append(_rows_with_entries(gradient.to_dense()))
            while scores:
                products = products + inner_products(scores.pop()).cpu()
    eigenvalues: Tensor = torch.linalg.eigvalsh(products / count)
    return eigenvalues.clamp(min=0.0)


def _parts(parameters: list[nn.Parameter], limit: int) -> Iterator[list[nn.Parameter]]:
    """Groups of neighbouring parameters with at most ``limit`` entries together, or one parameter with more."""
    part: list[nn.Parameter] = []
    for parameter in parameters:
        if part and sum(p.numel() for p in part) + parameter.numel() > limit:
            yield part
            part = []
        part.append(parameter)
    if part:
        yield part


def _rows_with_entries(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Indices ``[k]`` and values ``[k, width]`` of the nonzero rows, which for a table are among those read."""
    table = gradient.reshape(len(gradient) if gradient.ndim else 1, -1)
    rows = table.any(1).nonzero()[:, 0]
    return rows, table if len(rows) == len(table) else table[rows]


def inner_products(columns: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Inner products of tables that are 0 except in some rows.

    Args:
        columns: For each table, the indices of these rows, ascending ``[k]``, and their values ``[k, width]``.

    Returns:
        float64 ``[tables, tables]``.

    Example:
        >>> one = torch.tensor([0, 7]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> other = torch.tensor([7]), torch.tensor([[10.0, 1.0]])
        >>> inner_products([one, other])
        tensor([[ 30.,  34.],
                [ 34., 101.]], dtype=torch.float64)
    """
    touched = torch.unique(torch.cat([rows for rows, _ in columns]))
    values = columns[0][1]
    whole = values.new_zeros(len(columns), len(touched), values.shape[1])
    for column, (rows, found) in zip(whole, columns, strict=True):
        column[torch.searchsorted(touched, rows)] = found
    return added_products(whole.flatten(1))
