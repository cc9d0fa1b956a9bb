"""Values computed from parameters alone, and so shared by all examples: their sources, and the way back to these.

Where such a value meets the examples, each of them gets its own copy; the gradients of the copies, ``[rows, *value]``,
go back to the parameters example by example.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from trainables.curvature.fast_path.operations import NoRule

Arrived = Callable[[Tensor], None]
MOST = 1 << 27  # the most entries of per-example gradients that are formed explicitly: half a gigabyte


class _Listen(Function):
    """Copy a value that does not require a gradient, and report the gradient of the copy all the same."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, value: Tensor, arrived: Arrived) -> Tensor:
        ctx.arrived = arrived
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        ctx.arrived(gradient)
        return None, None, None


@dataclass(eq=False)
class Source:
    """Where a shared value starts: a parameter, or the output of a lookup or product that has its own rule.

    Attributes:
        value: A leaf that requires a gradient.
        settle: Called with its per-example gradient ``[rows, *value]``; None for a parameter.
        name: Name of the parameter; empty if the source is not a parameter.
        pending: The part of its gradient that has arrived in this pass.
        expected: Number of operations from which it receives gradients.
        missing: How many of these gradients are still to come in this pass.
    """

    value: Tensor
    settle: Arrived | None
    name: str = ""
    pending: Tensor | None = None
    expected: int = 0
    missing: int = 0

    def add(self, gradient: Tensor | None) -> None:
        """Take the gradient ``[rows, *value]``, or None, from one operation; after the last, pass on the sum."""
        if gradient is not None:
            self.pending = gradient if self.pending is None else self.pending + gradient
        self.missing -= 1
        if self.missing == 0:
            self.close()

    def close(self) -> None:
        """Pass on what has arrived."""
        if self.settle is not None and self.pending is not None:
            whole, self.pending = self.pending, None
            self.settle(whole)


@dataclass(frozen=True)
class Shared:
    """A value that examples share.

    Attributes:
        seen: The model's tensor.
        value: The same value, computed from the sources' leaves.
    """

    seen: Tensor
    value: Tensor
    sources: tuple[Source, ...]


class SharedValues:
    """The shared values of one forward pass."""

    def __init__(self) -> None:
        self.start()

    def start(self, rows: int = 0, device: torch.device | None = None) -> None:
        """Forget the previous pass; the next one has ``rows`` examples on ``device``."""
        self.rows = rows
        self.anchor = torch.zeros((), device=device, requires_grad=True)
        self.sources: list[Source] = []
        self._shared: dict[int, Shared] = {}

    def add(self, seen: Tensor, value: Tensor, sources: tuple[Source, ...]) -> None:
        """Record the model's tensor together with the same value computed from the sources' leaves."""
        self._shared[id(seen)] = Shared(seen, value, sources)

    def get(self, tensor: Any) -> Shared | None:
        """The record of a tensor that is computed from parameters alone; None for anything else."""
        return self._shared.get(id(tensor))

    def parameter(self, tensor: Any) -> Source | None:
        """The source of a parameter that counts; None for any other tensor."""
        found = self.get(tensor)
        if found is not None and found.sources[0].name and found.value is found.sources[0].value:
            return found.sources[0]
        return None

    def computed(self, tensor: Any) -> bool:
        """Whether a tensor is computed from parameters alone but is not itself a parameter."""
        return self.get(tensor) is not None and self.parameter(tensor) is None

    def share(self, value: Tensor, settle: Arrived) -> Tensor:
        """Make an operation's output, without its graph, a new source, and return the output for the model.

        ``settle`` is called with the source's gradient ``[rows, *value]`` in each pass.
        """
        source = Source(value.detach().requires_grad_(), settle)
        self.sources.append(source)
        seen = source.value.clone()  # a model may modify it in place, which a leaf forbids
        self.add(seen, seen, (source,))
        return seen

    def copies(self, shared: Shared, dims: int) -> Tensor:
        """One copy of a shared value per example, ``[rows, 1, ..., *value]``; their gradients go back to its sources.

        Args:
            dims: Dimensions of the tensor with which the copies are broadcast; the first one is the examples.

        Raises:
            NoRule: The value has no dimension for the examples, or the copies would not fit in memory.
        """
        value = shared.value.detach()
        value = value.reshape((1,) * (dims - value.ndim) + value.shape)
        if value.shape[0] != 1 or value.ndim != dims or self.rows * value.numel() > MOST:
            raise NoRule(f"a value of shape {list(value.shape)} is computed from parameters and has no rule")
        shape = shared.value.shape
        self.expect(shared)
        copies = value.expand(self.rows, *value.shape[1:])
        return self.listen(copies, lambda gradient: self.arrive(shared, gradient.reshape(self.rows, *shape)))

    def listen(self, value: Tensor, arrived: Arrived) -> Tensor:
        """Arrange for ``arrived`` to get a tensor's gradient in each pass, and return the tensor for the model."""
        if not value.requires_grad:
            result: Tensor = _Listen.apply(self.anchor, value, arrived)  # type: ignore[no-untyped-call]
            return result

        def hook(gradient: Tensor) -> None:
            with torch.no_grad():
                arrived(gradient)

        value.register_hook(hook)  # type: ignore[no-untyped-call]
        return value

    def expect(self, shared: Shared) -> None:
        """Announce that each pass calls :meth:`arrive` once more for a value."""
        for source in shared.sources:
            source.expected += 1

    def arrive(self, shared: Shared, gradient: Tensor) -> None:
        """Carry the gradient ``[rows, *value]`` of a shared value back to its sources."""
        if shared.value is shared.sources[0].value:
            shared.sources[0].add(gradient)
            return
        leaves = [source.value for source in shared.sources]
        found = torch.autograd.grad(
            shared.value, leaves, gradient, retain_graph=True, allow_unused=True, is_grads_batched=True
        )
        for source, part in zip(shared.sources, found, strict=True):
            source.add(part)
