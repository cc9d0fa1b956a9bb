"""The operations on parameters that have their own rule; any other gets one copy of the parameter per example.

A rule is called instead of the operation, with the same arguments, and returns what the model gets, or None if it does
not apply. It is passed the output's gradient and adds up squared norms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trainables.curvature.fast_path.ghost import GhostNorms, Rules
from trainables.curvature.fast_path.norms import Lookup, norms_by_gram, norms_directly, prefers_gram
from trainables.curvature.fast_path.operations import Kind, NoRule
from trainables.curvature.fast_path.sharing import Source


def _linear(ghost: GhostNorms, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    matrix, offset = ghost.values.parameter(weight), ghost.values.parameter(bias)
    if ghost.values.computed(weight):
        # The weight is itself computed, so torch forms its gradient, example by example.
        return _add_bias(ghost, torch.bmm(_by_example(ghost, x), _copies(ghost, weight).mT), x, bias)
    if ghost.values.computed(bias):
        return None
    return _product(ghost, functional.linear(x, weight, bias), x, matrix, offset, transposed=False)


def _addmm(ghost: GhostNorms, bias: Tensor, x: Tensor, weight: Tensor, **scales: Any) -> Tensor | None:
    if scales or ghost.values.computed(weight) or ghost.values.computed(bias):
        return None
    matrix, offset = ghost.values.parameter(weight), ghost.values.parameter(bias)
    return _product(ghost, torch.addmm(bias, x, weight), x, matrix, offset, transposed=True)


def _matmul(ghost: GhostNorms, x: Tensor, weight: Tensor) -> Tensor | None:
    matrix = ghost.values.parameter(weight)
    if ghost.values.get(x) is not None or weight.ndim != 2 or x.ndim < 2:
        return None
    if matrix is None:
        return _add_bias(ghost, torch.bmm(_by_example(ghost, x), _copies(ghost, weight)), x, None)
    return _product(ghost, torch.matmul(x, weight), x, matrix, None, transposed=True)


def _by_example(ghost: GhostNorms, x: Tensor) -> Tensor:
    """``[rows, positions, features]``."""
    if x.shape[0] % ghost.rows:
        raise NoRule("a product does not see the examples one by one")
    return x.reshape(ghost.rows, -1, x.shape[-1])


def _copies(ghost: GhostNorms, tensor: Tensor) -> Tensor:
    shared = ghost.values.get(tensor)
    assert shared is not None
    return ghost.values.copies(shared, tensor.ndim + 1)


def _add_bias(ghost: GhostNorms, product: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
    if bias is not None:
        product = product + (bias if ghost.values.get(bias) is None else _copies(ghost, bias).unsqueeze(1))
    return product.reshape(*x.shape[:-1], product.shape[-1])


def _product(
    ghost: GhostNorms, out: Tensor, x: Tensor, matrix: Source | None, bias: Source | None, *, transposed: bool
) -> Tensor:
    inputs = _by_example(ghost, x.detach())
    alone = matrix is not None and ghost.sums.uses[matrix.name] == 1
    folded = alone and bias is not None and ghost.sums.uses[bias.name] == 1 and ghost.sums.together(matrix, bias)
    if bias is not None and not folded:
        bias.expected += 1
    gram = None
    if alone and prefers_gram(inputs.shape, out.shape[-1], ghost.passes):
        gram = ghost.gram(inputs, x, folded)
        del inputs

    def arrived(gradient: Tensor) -> None:
        gradient = gradient.reshape(ghost.rows, -1, gradient.shape[-1])
        if matrix is not None and gram is not None:
            ghost.sums.add(matrix, norms_by_gram(gram, gradient))
        elif matrix is not None and alone:
            ghost.sums.add(matrix, norms_directly(inputs, gradient))
            if bias is not None and folded:
                ghost.sums.add(bias, gradient.sum(1).square().sum(1))
        elif matrix is not None:
            ghost.sums.add_product(matrix, inputs, gradient, transposed)
        if bias is not None and not folded:
            bias.add(gradient.sum(1))

    return ghost.values.listen(out, arrived)


def _shared_linear(ghost: GhostNorms, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    """A projection of a table of relative positions: the table's rows are further positions of every example."""
    matrix, offset, before = ghost.values.parameter(weight), ghost.values.parameter(bias), ghost.values.get(x)
    if matrix is None or ghost.values.computed(bias):
        return None
    inputs = (x if before is None else before.value).detach()
    if offset is not None:
        offset.expected += 1
    if before is not None:
        ghost.values.expect(before)

    def settle(gradient: Tensor) -> None:
        flat = gradient.reshape(ghost.rows, -1, gradient.shape[-1])
        ghost.sums.add_product(matrix, inputs.reshape(1, -1, inputs.shape[-1]), flat, False)
        if offset is not None:
            offset.add(flat.sum(1))
        if before is not None:
            ghost.values.arrive(before, gradient @ weight)

    out = functional.linear(inputs, weight.detach(), None if bias is None else bias.detach())
    return ghost.values.share(out, settle)


def _table(
    ghost: GhostNorms, ids: Tensor, weight: Tensor, options: tuple[Any, ...], settings: dict[str, Any], rows: int
) -> tuple[Tensor, Callable[[Tensor], None]] | None:
    """The output of a lookup, and the function that takes its gradient ``[rows, ..., features]``."""
    table = ghost.values.parameter(weight)
    if table is None:
        return None
    names = ("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")
    settings = dict(zip(names, options, strict=False)) | settings
    if settings.get("max_norm") is not None or settings.get("scale_grad_by_freq"):
        raise NoRule(f"{table.name} is an embedding with max_norm or scale_grad_by_freq")
    padding = settings.get("padding_idx")
    padding = None if padding is None else padding % len(weight)
    flat = ids.reshape(rows, -1)
    lookup = Lookup(flat, padding) if ghost.sums.uses[table.name] == 1 else None

    def arrived(gradient: Tensor) -> None:
        gradient = gradient.reshape(ghost.rows, -1, gradient.shape[-1])
        if lookup is None:
            ghost.sums.add_lookup(table, flat, padding, gradient)
        else:
            ghost.sums.add(table, lookup.norms(gradient))

    return functional.embedding(ids, weight.detach(), padding), arrived


def _embedding(ghost: GhostNorms, ids: Tensor, weight: Tensor, *options: Any, **settings: Any) -> Tensor | None:
    if ids.shape[0] % ghost.rows:
        raise NoRule("an embedding does not see the examples one by one")
    found = _table(ghost, ids, weight, options, settings, ghost.rows)
    return None if found is None else ghost.values.listen(*found)


def _shared_embedding(ghost: GhostNorms, ids: Tensor, weight: Tensor, *options: Any, **settings: Any) -> Tensor | None:
    found = _table(ghost, ids, weight, options, settings, 1)
    return None if found is None else ghost.values.share(*found)


def _layer_norm(
    ghost: GhostNorms, x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor | None:
    out = functional.layer_norm(x, shape, weight, bias, eps)
    return _gain(ghost, out, lambda: functional.layer_norm(x.detach(), shape, eps=eps), weight, bias)


def _rms_norm(ghost: GhostNorms, x: Tensor, shape: Any, weight: Any = None, eps: float | None = None) -> Tensor | None:
    out = functional.rms_norm(x, shape, weight, eps)
    return _gain(ghost, out, lambda: functional.rms_norm(x.detach(), shape, eps=eps), weight, None)


def _gain(ghost: GhostNorms, out: Tensor, normalized: Callable[[], Tensor], weight: Any, bias: Any) -> Tensor | None:
    """``normalized`` is computed from the norm's input, not as (output - bias) / weight, which breaks at weight 0."""
    if ghost.values.computed(weight) or ghost.values.computed(bias):
        return None
    gain, offset = ghost.values.parameter(weight), ghost.values.parameter(bias)
    for source in (gain, offset):
        if source is not None:
            source.expected += 1

    def arrived(gradient: Tensor) -> None:
        if gain is not None:
            gain.add(normalized().mul_(gradient).reshape(ghost.rows, -1, *weight.shape).sum(1))
        if offset is not None:
            offset.add(gradient.reshape(ghost.rows, -1, *bias.shape).sum(1))

    return ghost.values.listen(out, arrived)


def _conv1d(
    ghost: GhostNorms, x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor | None:  # fmt: skip
    """Place examples side by side as groups of channels, so that each has its own kernel."""
    if ghost.values.get(weight) is None or ghost.values.get(x) is not None or x.ndim != 3 or x.shape[0] != ghost.rows:
        return None
    kernels = _copies(ghost, weight).flatten(0, 1)
    out = functional.conv1d(
        x.reshape(1, -1, x.shape[2]), kernels, None, stride, padding, dilation, groups * ghost.rows
    ).reshape(ghost.rows, weight.shape[0], -1)
    if bias is None:
        return out
    return out + (bias if ghost.values.get(bias) is None else _copies(ghost, bias)).unsqueeze(-1)


def _repeat(ghost: GhostNorms, tensor: Tensor, *sizes: Any, repeats: Any = None) -> Tensor | None:
    shared = ghost.values.get(tensor)
    times = tuple(repeats if repeats is not None else sizes[0] if isinstance(sizes[0], (tuple, list)) else sizes)
    if shared is None or times[0] != ghost.rows:
        return None
    copies = ghost.values.copies(shared, tensor.ndim + 1)
    if len(times) > tensor.ndim:
        return copies.reshape(ghost.rows, *(1,) * (len(times) - 1 - tensor.ndim), *tensor.shape).repeat(1, *times[1:])
    return copies.repeat(1, 1, *times[1:]).flatten(0, 1)


RULES: Rules = {
    Kind.SHARED: {"linear": _shared_linear, "embedding": _shared_embedding},
    Kind.BATCHED: {
        "linear": _linear,
        "addmm": _addmm,
        "matmul": _matmul,
        "__matmul__": _matmul,
        "mm": _matmul,
        "embedding": _embedding,
        "layer_norm": _layer_norm,
        "rms_norm": _rms_norm,
        "conv1d": _conv1d,
        "repeat": _repeat,
    },
}
