"""Squared norms of the gradients of parameters, summed by group over one backward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from torch import Tensor

from trainables.curvature import norms
from trainables.curvature.operations import NoRule
from trainables.curvature.sharing import MOST, Source


class NormSums:
    """Counts each use of a parameter, and adds up those of the same one before the norm is taken.

    Args:
        counted: Name of each parameter that counts, to the group that it is summed in.
        uses: Name to the number of operations of a forward pass that use it.
    """

    def __init__(self, counted: Mapping[str, str], uses: Counter[str]) -> None:
        self._counted = counted
        self._uses = uses
        self.start()

    def start(self) -> None:
        """Begin a backward pass."""
        self.found: dict[str, Tensor] = {}
        self._matrices: dict[str, norms.MatrixUses] = {}
        self._lookups: dict[str, list[tuple[Tensor, int | None, Tensor]]] = {}

    def finish(self, source: Source, rows: int) -> None:
        """Count a parameter that is used more than once, or on its own.

        Raises:
            NoRule: Its uses are of kinds that do not add up, or their sum would not fit the memory.
        """
        name = source.name
        kinds = (source.pending is not None) + (name in self._matrices) + (name in self._lookups)
        if kinds > 1:
            if source.pending is None or name in self._lookups or rows * source.value.numel() > MOST:
                raise NoRule(f"{name} is used in ways whose gradients cannot be added up")
            self.add(source, (source.pending + self._matrices[name].dense()).square().sum((1, 2)))
        elif source.pending is not None:
            self.add(source, source.pending.flatten(1).square().sum(1))
        elif name in self._matrices:
            self.add(source, self._matrices[name].norms())
        elif name in self._lookups:
            self.add(source, norms.norms_of_lookups(self._lookups[name]))

    def uses(self, source: Source) -> int:
        """How many operations of a forward pass use a parameter."""
        return self._uses[source.name]

    def together(self, *sources: Source | None) -> bool:
        """Whether the norms of parameters are summed in the same group; None counts as one that does not count."""
        return len({None if source is None else self._counted[source.name] for source in sources}) == 1

    def add(self, source: Source, found: Tensor) -> None:
        """Count squared norms ``[rows]`` of the gradient of a parameter that has one use."""
        # A Gram sum of an example without curvature may come out at -1e-12.
        group, found = self._counted[source.name], found.double().clamp_(min=0.0)
        self.found[group] = self.found[group] + found if group in self.found else found

    def add_product(self, source: Source, inputs: Tensor, gradient: Tensor, transposed: bool) -> None:
        """Count a use of a matrix that has several; arguments as for :meth:`norms.MatrixUses.add`."""
        self._matrices.setdefault(source.name, norms.MatrixUses()).add(inputs, gradient, transposed)

    def add_lookup(self, source: Source, ids: Tensor, padding: int | None, gradient: Tensor) -> None:
        """Count a use of a table that has several.

        Args:
            ids: ``[rows or 1, positions]``.
            padding: Row without a gradient, or None.
            gradient: ``[rows, positions, features]``.
        """
        self._lookups.setdefault(source.name, []).append((ids, padding, gradient))
