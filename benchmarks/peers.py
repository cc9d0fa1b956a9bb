"""Tr(F) by other libraries, each with the workarounds that it needs; benchmarks.curvature says how to install them.

A method gives Tr(F) of each example, or a scalar, which is their sum. If a library cannot take the model, its own
exception says so.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]
Method = Callable[[], Tensor]

PRODUCTS = 10
"""Number of matrix-vector products for a stochastic trace."""


class Logits(nn.Module):
    """A classifier that takes its inputs as one dictionary and returns logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Batch) -> Tensor:
        """Logits ``[batch, classes]``."""
        logits: Tensor = self.model(**inputs).logits
        return logits


def by_label(forward: Callable[[], Any], norms: Callable[[], Tensor], clear: Callable[[], object]) -> Tensor:
    """Squared norms of the examples' gradients: a forward and backward pass per label, losses weighted by sqrt(p)."""
    total, y, classes = torch.zeros(()), 0, 1
    while y < classes:
        clear()
        log_p = forward().logits.log_softmax(-1)
        classes = log_p.shape[1]
        (-(0.5 * log_p[:, y].detach()).exp() * log_p[:, y]).sum().backward()
        total = total + norms()
        y += 1
    return total


def with_positions(batch: Batch) -> Batch:
    """The inputs with position ids for each example, instead of one row for all."""
    rows, length = batch["input_ids"].shape
    return {**batch, "position_ids": torch.arange(length).repeat(rows, 1)}


def opacus(model: nn.Module, batch: Batch) -> Method:
    """Ghost norms, on a copy in training mode."""
    from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping

    private = GradSampleModuleFastGradientClipping(copy.deepcopy(model).train(), loss_reduction="sum")
    inputs = with_positions(batch)
    return lambda: by_label(
        lambda: private(**inputs), lambda: private.get_norm_sample().detach().square(), private.zero_grad
    )


def backpack(model: nn.Module, batch: Batch) -> Method:
    """Squared norms of per-example gradients, without LayerNorm's parameters: it warns that it does not support these.

    Only leaf modules are extended, since it stores tensors as ``output``, which is the name of a BERT module; the
    padding index of embeddings is removed, since no prediction depends on its row.
    """
    from backpack import backpack as within
    from backpack import extend
    from backpack.extensions import BatchL2Grad

    extended, inputs = copy.deepcopy(model), with_positions(batch)
    for module in extended.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None
        if not list(module.children()):
            extend(module)

    def run() -> Tensor:
        with within(BatchL2Grad()):
            return by_label(
                lambda: extended(**inputs),
                lambda: torch.stack([p.batch_l2 for p in extended.parameters() if hasattr(p, "batch_l2")]).sum(0),
                extended.zero_grad,
            )

    return run


def nngeometry(model: nn.Module, batch: Batch) -> Method:
    """Its diagonal, in closed form over labels, of a copy that it may hook; it gives a mean over examples.

    Version 0.4 does not support embeddings. With one-hot linear layers instead, its LayerNorm refuses sequences.
    """
    from nngeometry.layercollection import LayerCollection
    from nngeometry.metrics import FIM
    from nngeometry.object import PMatDiag
    from torch.utils.data import DataLoader, TensorDataset

    hooked = copy.deepcopy(model)
    layers = LayerCollection.from_model(hooked)
    keys, count = list(batch), len(batch["input_ids"])
    loader = DataLoader(TensorDataset(*batch.values()), batch_size=count)

    def logits(*values: Tensor) -> Tensor:
        found: Tensor = hooked(**dict(zip(keys, values, strict=True))).logits
        return found

    def run() -> Tensor:
        mean: Tensor = FIM(
            hooked, loader, PMatDiag, "classif_logits", function=logits, layer_collection=layers
        ).trace()  # fmt: skip
        return count * mean

    return run


def curvlinops(model: nn.Module, batch: Batch) -> Method:
    """Hutchinson's estimate with Gauss-Newton products, since it has no exact trace of this matrix.

    Products are taken one at a time: it would compute all of them at once, with that many times the memory.
    """
    from curvlinops import GGNLinearOperator, hutchinson_trace

    function, targets = Logits(model), torch.zeros(len(batch["input_ids"]), dtype=torch.long)
    matrix = GGNLinearOperator(
        function, nn.CrossEntropyLoss(reduction="sum"), list(function.parameters()), [(batch, targets)],
        check_deterministic=False, batch_size_fn=lambda inputs: len(inputs["input_ids"]),
    )  # fmt: skip

    def run() -> Tensor:
        draws = [hutchinson_trace(matrix, 1, distribution="rademacher") for _ in range(PRODUCTS)]
        return torch.stack(draws).mean()

    return run


def laplace(model: nn.Module, batch: Batch) -> Method:
    """Its diagonal of the Gauss-Newton matrix, one example at a time: it keeps the Jacobian of all logits."""
    from laplace.curvature import CurvlinopsGGN

    backend = CurvlinopsGGN(Logits(model), "classification")
    singles = [{key: value[i : i + 1] for key, value in batch.items()} for i in range(len(batch["input_ids"]))]
    target = torch.zeros(1, dtype=torch.long)
    return lambda: torch.stack([backend.diag(single, target)[1].sum() for single in singles])


PEERS: dict[str, Callable[[nn.Module, Batch], Method]] = {
    "opacus": opacus,
    "nngeometry": nngeometry,
    f"curvlinops, estimate of {PRODUCTS} products": curvlinops,
    "laplace": laplace,
    "backpack, without LayerNorm": backpack,
}
"""Functions that prepare a method for a model, in training mode without dropout, and a batch."""
PACKAGES = ("opacus", "nngeometry", "curvlinops-for-pytorch", "laplace-torch", "backpack-for-pytorch")


def difference(found: Tensor, exact: Tensor) -> float:
    """Largest relative difference of an example, or that of the sum if there are no values per example."""
    if found.ndim == 0:
        exact = exact.sum()
    return float(((found.double() - exact) / exact).abs().max())
