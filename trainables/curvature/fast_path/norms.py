"""Per-example squared gradient norms of parameters, from the inputs and output gradients of all their uses.

With input ``a`` and output gradient ``g`` of one example at positions t, where t runs over all uses of the parameter:

- Matrix: ``||sum_t g_t a_t^T||^2 = sum_{s,t} (a_s . a_t)(g_s . g_t)``; a bias adds 1 to every ``a_s . a_t``.
- Table: gradients of the same row are summed first; positions with ``padding_idx`` have no gradient.

(Goodfellow 2015, "Efficient per-example gradient computations"; the sequence form is Li et al. 2022's ghost norm.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trainables.curvature.fast_path.operations import NoRule
from trainables.curvature.fast_path.sharing import MOST, Source


def gram(inputs: Tensor) -> Tensor:
    """Inner products ``[rows, positions, positions]`` between positions of inputs ``[rows, positions, features]``."""
    return torch.bmm(inputs, inputs.mT)


def prefers_gram(inputs: torch.Size, out_features: int, passes: int) -> bool:
    """Whether Gram matrices take fewer multiplications than the gradient itself.

    Args:
        inputs: ``[rows, positions, in_features]``.
        passes: Backward passes that share the Gram matrix of the inputs.

    Returns:
        ``T^2 (d_in / passes + d_out) < T d_in d_out``.
    """
    _, length, in_features = inputs
    return length <= 1 or length * (in_features / passes + out_features) < in_features * out_features


def norms_by_gram(of_inputs: Tensor, gradient: Tensor) -> Tensor:
    """Squared norms of ``sum_t g_t a_t^T``, ``[rows]``.

    Args:
        of_inputs: :func:`gram` of the inputs, ``[rows, positions, positions]``.
        gradient: ``[rows, positions, out_features]``.
    """
    if gradient.shape[1] == 1:
        return gradient.square().sum((1, 2)) * of_inputs[:, 0, 0]
    products: Tensor = torch.linalg.vecdot(of_inputs.flatten(1), gram(gradient).flatten(1))
    return products


def norms_directly(inputs: Tensor, gradient: Tensor) -> Tensor:
    """The same squared norms, from the inputs ``[rows, positions, in_features]`` themselves."""
    # One example at a time: for a whole chunk, the products would take the memory of one layer per example.
    return torch.stack([torch.mm(g.mT, a).square().sum() for g, a in zip(gradient, inputs, strict=True)])


@dataclass
class MatrixUses:
    """Uses of one matrix in a pass, with inputs ``[rows, positions, in]`` and gradients ``[rows, positions, out]``."""

    parts: list[tuple[Tensor, Tensor, bool]] = field(default_factory=list)

    def add(self, inputs: Tensor, gradient: Tensor, transposed: bool) -> None:
        """Take a use; of shared inputs, ``[1, positions, in]``, only the positions with a gradient in some example.

        Args:
            transposed: Whether the matrix is stored as ``[in, out]``.
        """
        if len(inputs) != len(gradient):
            # A table of relative positions: an input of this length reaches only some of its rows.
            reached = gradient.abs().amax((0, 2)).nonzero()[:, 0]
            inputs, gradient = inputs[:, reached].expand(len(gradient), -1, -1), gradient[:, reached]
        self.parts.append((inputs, gradient, transposed))

    def norms(self) -> Tensor:
        """Squared norms ``[rows]`` of the sum over the uses, including the cross terms."""
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
        ids: ``[rows, positions]``, or ``[1, positions]`` if the examples share them.
        padding: The row that has no gradient, or None.
    """

    def __init__(self, ids: Tensor, padding: int | None) -> None:
        self.ids = ids if padding is None else torch.where(ids == padding, -1, ids)
        # One number per pair of an example and a row.
        owner = torch.arange(len(ids), device=ids.device).unsqueeze(1)
        span = int(ids.max()) + 2 if ids.numel() else 2
        keys, self._place = torch.unique(owner * span + self.ids + 1, return_inverse=True)
        self._owner, self._dropped = keys // span, keys % span == 0

    def norms(self, gradient: Tensor) -> Tensor:
        """Squared norms ``[rows]`` of the table's gradient, from the output's ``[rows, positions, features]``."""
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
        uses: Ids ``[rows or 1, positions]``, padding row and gradient ``[rows, positions, features]`` of each use.
    """
    rows = len(uses[0][2])
    ids = [ids if padding is None else torch.where(ids == padding, -1, ids) for ids, padding, _ in uses]
    whole = torch.cat([part.expand(rows, -1) for part in ids], 1)
    return Lookup(whole, -1).norms(torch.cat([gradient for _, _, gradient in uses], 1))


@dataclass
class NormSums:
    """Squared norms of one backward pass; the uses of a parameter are summed before the norm is taken.

    Attributes:
        counted: Maps the name of each parameter that counts to the group in which it is summed.
        uses: Number of operations in a forward pass that use a parameter, by its name.
        found: Squared norms ``[rows]`` by group.
    """

    counted: Mapping[str, str]
    uses: Counter[str]
    found: dict[str, Tensor] = field(default_factory=dict)
    _matrices: dict[str, MatrixUses] = field(default_factory=dict)
    _lookups: dict[str, list[tuple[Tensor, int | None, Tensor]]] = field(default_factory=dict)

    def finish(self, source: Source, rows: int) -> None:
        """Count a parameter whose gradient was kept: as it is, or as uses of a matrix or table.

        Raises:
            NoRule: Its uses are of kinds that cannot be summed, or their sum would not fit in memory.
        """
        name = source.name
        kinds = (source.pending is not None) + (name in self._matrices) + (name in self._lookups)
        if kinds > 1:
            if source.pending is None or name in self._lookups or rows * source.value.numel() > MOST:
                raise NoRule(f"{name} is used in ways whose gradients cannot be added up")
            self.add(source, (source.pending + self._matrices[name].dense()).square().sum((1, 2)))
        elif source.pending is not None:
            self.add(source, source.pending.reshape(rows, -1).square().sum(1))  # a scalar's is [rows]
        elif name in self._matrices:
            self.add(source, self._matrices[name].norms())
        elif name in self._lookups:
            self.add(source, norms_of_lookups(self._lookups[name]))

    def together(self, *sources: Source | None) -> bool:
        """Whether the norms of parameters are summed in the same group; None is a parameter that does not count."""
        return len({None if source is None else self.counted[source.name] for source in sources}) == 1

    def add(self, source: Source, found: Tensor) -> None:
        """Count squared norms ``[rows]`` of a parameter's gradient, summed over all its uses."""
        # For an example without curvature, a Gram sum may come out as -1e-12.
        group, found = self.counted[source.name], found.double().clamp_(min=0.0)
        self.found[group] = self.found[group] + found if group in self.found else found

    def add_product(self, source: Source, inputs: Tensor, gradient: Tensor, transposed: bool) -> None:
        """Keep one use of a matrix for :meth:`finish`; arguments as for :meth:`MatrixUses.add`."""
        self._matrices.setdefault(source.name, MatrixUses()).add(inputs, gradient, transposed)

    def add_lookup(self, source: Source, ids: Tensor, padding: int | None, gradient: Tensor) -> None:
        """Keep one use of a table for :meth:`finish`; arguments as for :func:`norms_of_lookups`."""
        self._lookups.setdefault(source.name, []).append((ids, padding, gradient))
