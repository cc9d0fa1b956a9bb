"""Per-example squared norms of a parameter's gradient from what its uses in a forward pass saw and received.

With input ``a`` and output gradient ``g`` of one example at positions t, all uses of the parameter together:

- Matrix: ``||sum_t g_t a_t^T||^2 = sum_{s,t} (a_s . a_t)(g_s . g_t)``; a bias adds 1 to every ``a_s . a_t``.
- Table: gradients of equal rows are added up first; positions of ``padding_idx`` have no gradient.

(Goodfellow 2015, "Efficient per-example gradient computations"; the sequence form is Li et al. 2022's ghost norm.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


def gram(inputs: Tensor) -> Tensor:
    """Inner products ``[rows, positions, positions]`` of the positions of inputs ``[rows, positions, features]``."""
    return torch.bmm(inputs, inputs.mT)


def prefers_gram(inputs: torch.Size, out_features: int, passes: int) -> bool:
    """Whether Gram matrices take fewer products than the gradient itself.

    Args:
        inputs: ``[rows, positions, in_features]``.
        passes: Backward passes that share the Gram matrix of the inputs.

    Returns:
        ``T^2 (d_in / passes + d_out) < T d_in d_out``.
    """
    _, length, in_features = inputs
    return length <= 1 or length * (in_features / passes + out_features) < in_features * out_features


def norms_by_gram(of_inputs: Tensor, gradient: Tensor) -> Tensor:
    """Squared norms of ``sum_t g_t a_t^T``, as ``[rows]``.

    Args:
        of_inputs: :func:`gram` of the inputs, ``[rows, positions, positions]``.
        gradient: ``[rows, positions, out_features]``.
    """
    if gradient.shape[1] == 1:
        return gradient.square().sum((1, 2)) * of_inputs[:, 0, 0]
    products: Tensor = torch.linalg.vecdot(of_inputs.flatten(1), gram(gradient).flatten(1))
    return products


def norms_directly(inputs: Tensor, gradient: Tensor) -> Tensor:
    """The same from the inputs ``[rows, positions, in_features]`` themselves."""
    # One example at a time: the products of a whole chunk would be as many copies of the layer.
    return torch.stack([torch.mm(g.mT, a).square().sum() for g, a in zip(gradient, inputs, strict=True)])


@dataclass
class MatrixUses:
    """The uses of one matrix in a pass; inputs ``[rows or 1, positions, in]``, gradients ``[rows, positions, out]``."""

    parts: list[tuple[Tensor, Tensor, bool]] = field(default_factory=list)

    def add(self, inputs: Tensor, gradient: Tensor, transposed: bool) -> None:
        """Take a use, without the positions that received no gradient from any example.

        Args:
            inputs: ``[rows or 1, positions, in_features]``.
            gradient: ``[rows, positions, out_features]``.
            transposed: Whether the matrix is stored as ``[in, out]``.
        """
        if len(inputs) != len(gradient):
            # A table of relative positions: of its rows an input of this length reaches some.
            reached = gradient.abs().amax((0, 2)).nonzero()[:, 0]
            inputs, gradient = inputs[:, reached].expand(len(gradient), -1, -1), gradient[:, reached]
        self.parts.append((inputs, gradient, transposed))

    def norms(self) -> Tensor:
        """Squared norms of the sum over the uses, the cross terms included, ``[rows]``."""
        inputs = torch.cat([part[0] for part in self.parts], 1)
        gradient = torch.cat([part[1] for part in self.parts], 1)
        if len({part[2] for part in self.parts}) == 1 and prefers_gram(inputs.shape, gradient.shape[2], 1):
            return norms_by_gram(gram(inputs), gradient)
        if len({part[2] for part in self.parts}) == 1:
            return norms_directly(inputs, gradient)
        return self.dense().square().sum((1, 2))

    def dense(self) -> Tensor:
        """The gradients themselves, ``[rows, *matrix]``."""
        return sum(  # type: ignore[return-value]
            torch.bmm(*((inputs.mT, gradient) if transposed else (gradient.mT, inputs)))
            for inputs, gradient, transposed in self.parts
        )


class Lookup:
    """Which rows of a table the positions of the examples read.

    Args:
        ids: ``[rows, positions]``, or ``[1, positions]`` where the examples share them.
        padding: Row that has no gradient, or None.
    """

    def __init__(self, ids: Tensor, padding: int | None) -> None:
        self.ids = ids if padding is None else torch.where(ids == padding, -1, ids)
        # One number for each pair of an example and a row.
        owner = torch.arange(len(ids), device=ids.device).unsqueeze(1)
        span = int(ids.max()) + 2 if ids.numel() else 2
        keys, self._place = torch.unique(owner * span + self.ids + 1, return_inverse=True)
        self._owner, self._dropped = keys // span, keys % span == 0

    def norms(self, gradient: Tensor) -> Tensor:
        """Squared norms ``[rows]`` of the table's gradient, from its output's, ``[rows, positions, features]``."""
        found, (rows, _, features) = len(self._owner), gradient.shape
        if len(self.ids) == 1:
            added = gradient.new_zeros(rows, found, features).index_add_(1, self._place[0], gradient)
            return added.square().sum(2).masked_fill_(self._dropped, 0.0).sum(1)
        added = gradient.new_zeros(found, features).index_add_(0, self._place.flatten(), gradient.flatten(0, 1))
        squares = added.square().sum(1).masked_fill_(self._dropped, 0.0)
        return gradient.new_zeros(rows).index_add_(0, self._owner, squares)


def norms_of_lookups(uses: list[tuple[Tensor, int | None, Tensor]]) -> Tensor:
    """Squared norms ``[rows]`` of the gradient of a table that is read several times.

    Args:
        uses: Ids ``[rows or 1, positions]``, padding row, gradient ``[rows, positions, features]`` of each.
    """
    rows = len(uses[0][2])
    ids = [ids if padding is None else torch.where(ids == padding, -1, ids) for ids, padding, _ in uses]
    whole = torch.cat([part.expand(rows, -1) for part in ids], 1)
    return Lookup(whole, -1).norms(torch.cat([gradient for _, _, gradient in uses], 1))
