"""Per-example squared gradient norms from Gram matrices, without a gradient of any parameter.

Owns the rule of each kind of layer. With input ``a`` and output gradient ``g`` of one example at positions t:

- Linear: ``||sum_t g_t a_t^T||^2 = sum_{s,t} (a_s . a_t)(g_s . g_t)``; a bias adds 1 to every ``a_s . a_t``.
- Embedding: the same with ``[id_s = id_t]`` in place of ``a_s . a_t``; positions of ``padding_idx`` have no gradient.
- LayerNorm: ``||sum_t g_t * xhat_t||^2 + ||sum_t g_t||^2``, xhat recomputed from the input.

(Goodfellow 2015, "Efficient per-example gradient computations"; the sequence form is Li et al. 2022's ghost norm.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

Rule = Callable[[Tensor], Tensor]


class NoRule(Exception):
    """The forward pass did something that the rules do not cover."""


class GhostNorms:
    """Hooks that turn each backward pass of a frozen model into per-example squared norms.

    Use as a context manager; inside it call :meth:`forward` once, then :meth:`backward` for each cotangent. The
    forward pass keeps Gram matrices instead of inputs, and each output gradient is consumed as it comes, so the memory
    stays below that of an ordinary training step.

    Args:
        model: Frozen, in evaluation mode; every module with parameters is a Linear, an Embedding or a LayerNorm.
        counted: Name of each parameter that counts, to its layer group.
        passes: Cotangents that each forward pass is followed by, for the choice between Gram and direct product.
    """

    def __init__(self, model: nn.Module, counted: Mapping[str, str], passes: int) -> None:
        self.model = model
        self.passes = passes
        self._counted = counted
        self._handles: list[Any] = []
        self._leaves: list[Tensor] = []
        self._masks: list[tuple[str, Tensor]] = []
        self._called: set[str] = set()
        self._shared: tuple[Tensor, bool, Tensor] | None = None
        self._rows = 0
        self._sums: dict[str, Tensor] = {}

    def __enter__(self) -> GhostNorms:
        for name, module in self.model.named_modules():
            has_weight, has_bias = f"{name}.weight" in self._counted, f"{name}.bias" in self._counted
            if has_weight or has_bias or isinstance(module, nn.Embedding):
                hook = partial(self._seen, name, has_weight, has_bias)
                self._handles.append(module.register_forward_hook(hook))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._leaves, self._masks, self._shared = [], [], None

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Run the model.

        Args:
            inputs: Model inputs ``[rows, length]``.

        Returns:
            Logits ``[rows, num_classes]`` with a graph.
        """
        self._leaves, self._masks, self._called, self._shared = [], [], set(), None
        self._rows = inputs["input_ids"].shape[0]
        logits: Tensor = self.model(**inputs).logits
        self._shared = None
        return logits

    def backward(self, logits: Tensor, cotangent: Tensor, *, last: bool) -> dict[str, Tensor]:
        """Squared norms of the gradient of ``(logits * cotangent).sum(1)`` for each example.

        Args:
            logits: From :meth:`forward`.
            cotangent: ``[rows, num_classes]``.
            last: Whether the graph may be freed.

        Returns:
            Layer group to float64 ``[rows]``.
        """
        self._sums = {}
        gradients = torch.autograd.grad(logits, self._leaves, cotangent, retain_graph=not last)
        with torch.no_grad():
            gram = of = torch.empty(0)
            for (name, mask), gradient in zip(self._masks, gradients, strict=True):
                if not name:
                    continue
                # The embeddings are summed, so that they share one gradient and its Gram matrix.
                if gradient is not of:
                    gram, of = torch.bmm(gradient, gradient.mT), gradient
                self._add(name, _inner(gram, mask))
        return self._sums

    def _add(self, name: str, norms: Tensor) -> None:
        # A Gram sum of an example without curvature may come out at -1e-12.
        group = self._counted[name]
        norms = norms.double().clamp_(min=0.0)
        self._sums[group] = self._sums[group] + norms if group in self._sums else norms

    def _seen(self, name: str, has_weight: bool, has_bias: bool, module: nn.Module, args: Any, output: Tensor) -> None:
        """After a module's forward pass: keep what its rule needs and wait for the output's gradient."""
        if name in self._called:
            raise NoRule(f"module {name} is used more than once in a forward pass")
        self._called.add(name)
        if len(args) != 1 or output.shape[0] != self._rows or output.ndim not in (2, 3):
            raise NoRule(f"module {name} does not see the examples one by one")
        with torch.no_grad():
            if isinstance(module, nn.Embedding):
                output.requires_grad_()
                self._leaves.append(output)
                # A frozen table has no name here: it only starts the graph.
                self._masks.append((f"{name}.weight" if has_weight else "", _same_row(args[0], module, output.dtype)))
                return
            inputs = args[0].detach()
            if inputs.ndim == 2:
                inputs = inputs.unsqueeze(1)
            rule: Rule
            if isinstance(module, nn.LayerNorm):
                rule = partial(_layer_norm, module, inputs, has_weight, has_bias)
            else:
                rule = self._linear(args[0], inputs, output.shape[-1], has_weight, has_bias)
        parameter = f"{name}.weight" if has_weight else f"{name}.bias"

        def arrived(gradient: Tensor) -> None:
            with torch.no_grad():
                self._add(parameter, rule(gradient.unsqueeze(1) if gradient.ndim == 2 else gradient))

        output.register_hook(arrived)  # type: ignore[no-untyped-call]

    def _linear(self, key: Tensor, inputs: Tensor, out_features: int, has_weight: bool, has_bias: bool) -> Rule:
        length, in_features = inputs.shape[1:]
        if not has_weight:
            return lambda gradient: gradient.sum(1).square().sum(1)
        # Gram: T^2 d_in once and T^2 d_out a pass. Direct: T d_in d_out a pass.
        if length > 1 and length * (in_features / self.passes + out_features) >= in_features * out_features:
            return partial(_direct, inputs, has_bias)
        # Query, key and value read the same tensor.
        if self._shared is None or self._shared[0] is not key or self._shared[1] != has_bias:
            gram = torch.bmm(inputs, inputs.mT)
            self._shared = (key, has_bias, gram.add_(1.0) if has_bias else gram)
        return partial(_gram, self._shared[2])


def _inner(left: Tensor, right: Tensor) -> Tensor:
    """Inner product of two stacks of matrices, matrix by matrix, ``[rows]``."""
    products: Tensor = torch.linalg.vecdot(left.flatten(1), right.flatten(1))
    return products


def _gram(gram: Tensor, gradient: Tensor) -> Tensor:
    if gradient.shape[1] == 1:
        return gradient.square().sum((1, 2)) * gram[:, 0, 0]
    return _inner(gram, torch.bmm(gradient, gradient.mT))


def _direct(inputs: Tensor, has_bias: bool, gradient: Tensor) -> Tensor:
    # One example at a time: the products of a whole chunk would be as many copies of the layer.
    norms = torch.stack([torch.mm(g.mT, a).square().sum() for g, a in zip(gradient, inputs, strict=True)])
    return norms + gradient.sum(1).square().sum(1) if has_bias else norms


def _layer_norm(module: nn.LayerNorm, inputs: Tensor, has_weight: bool, has_bias: bool, gradient: Tensor) -> Tensor:
    norms = torch.zeros(gradient.shape[0], dtype=gradient.dtype, device=gradient.device)
    if has_weight:
        # From the input, not as (output - bias) / weight, which breaks at weight 0.
        normalized = nn.functional.layer_norm(inputs, module.normalized_shape, eps=module.eps)
        norms += normalized.mul_(gradient).sum(1).square().sum(1)
    if has_bias:
        norms += gradient.sum(1).square().sum(1)
    return norms


def _same_row(ids: Tensor, module: nn.Embedding, dtype: torch.dtype) -> Tensor:
    """1 where two positions of an example read the same row of a table, 0 elsewhere; ``[rows, length, length]``."""
    same = ids.unsqueeze(2) == ids.unsqueeze(1)
    if module.padding_idx is not None:
        same &= (ids != module.padding_idx).unsqueeze(2)
    return same.to(dtype)
