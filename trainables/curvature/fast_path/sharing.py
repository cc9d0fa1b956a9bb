"""Values that are computed from parameters alone, and so shared by the examples: where they start, and the way back.

A value has one copy for each example where it joins them; the gradients of the copies, ``[rows, *value]``, go back to
the parameters example by example.
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
MOST = 1 << 27  # entries of per-example gradients that are formed as such: half a gigabyte


class _Listen(Function):
    """A copy of a value that does not require a gradient, and yet tells its gradient."""

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
    """Where a shared value starts: a parameter, or the output of a lookup or product that has a rule of its own.

    Attributes:
        value: A leaf that requires a gradient.
        settle: What becomes of its per-example gradient ``[rows, *value]``; None for a parameter.
        name: Of the parameter, or of none.
        pending: What has come of its gradient in this pass.
        expected: Operations whose gradients it gets.
        missing: Those still to come in this pass.
    """

    value: Tensor
    settle: Arrived | None
    name: str = ""
    pending: Tensor | None = None
    expected: int = 0
    missing: int = 0

    def add(self, gradient: Tensor | None) -> None:
        """Take the gradient ``[rows, *value]``, or None, from one operation; hand on the sum after the last."""
        if gradient is not None:
            self.pending = gradient if self.pending is None else self.pending + gradient
        self.missing -= 1
        if self.missing == 0:
            self.close()

    def close(self) -> None:
        """Hand on what has come."""
        if self.settle is not None and self.pending is not None:
            whole, self.pending = self.pending, None
            self.settle(whole)


@dataclass(frozen=True)
class Shared:
    """A value that examples share.

    Attributes:
        seen: The tensor that the model has.
        value: The same, computed from the sources' leaves.
    """

    seen: Tensor
    value: Tensor
    sources: tuple[Source, ...]


class SharedValues:
    """The shared values of one forward pass."""

    def __init__(self) -> None:
        self.start()

    def start(self, rows: int = 0, device: torch.device | None = None) -> None:
        """Forget the pass before; the next one has ``rows`` examples on ``device``."""
        self.rows = rows
        self.anchor = torch.zeros((), device=device, requires_grad=True)
        self.sources: list[Source] = []
        self._shared: dict[int, Shared] = {}

    def add(self, seen: Tensor, value: Tensor, sources: tuple[Source, ...]) -> None:
        """Take a value as the model has it, and the same computed from the sources' leaves."""
        self._shared[id(seen)] = Shared(seen, value, sources)

    def get(self, tensor: Any) -> Shared | None:
        """What is known of a tensor that is computed from parameters alone; None for anything else."""
        return self._shared.get(id(tensor))

    def parameter(self, tensor: Any) -> Source | None:
        """The source of a parameter that counts; None for any other tensor."""
        found = self.get(tensor)
        if found is not None and found.sources[0].name and found.value is found.sources[0].value:
            return found.sources[0]
        return None

    def computed(self, tensor: Any) -> bool:
        """Whether a tensor is computed from parameters alone, and is none itself."""
        return self.get(tensor) is not None and self.parameter(tensor) is None

    def share(self, value: Tensor, settle: Arrived) -> Tensor:
        """Make an operation's output, without a graph, a source of its own, and return the output for the model.

        ``settle`` is called with its gradient ``[rows, *value]`` in each pass.
        """
        source = Source(value.detach().requires_grad_(), settle)
        self.sources.append(source)
        seen = source.value.clone()  # a model may go on in place, which a leaf forbids
        self.add(seen, seen, (source,))
        return seen

    def copies(self, shared: Shared, dims: int) -> Tensor:
        """One copy of a shared value for each example, ``[rows, 1, ..., *value]``, that tells its gradient.

        Args:
            dims: Dimensions of what the copies are to be broadcast with; the examples are the first.

        Raises:
            NoRule: The value has no place for the examples, or the copies would not fit the memory.
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
        """Call ``arrived`` with a tensor's gradient in each pass; returned is the tensor for the model."""
        if not value.requires_grad:
            result: Tensor = _Listen.apply(self.anchor, value, arrived)  # type: ignore[no-untyped-call]
            return result

        def hook(gradient: Tensor) -> None:
            with torch.no_grad():
                arrived(gradient)

        value.register_hook(hook)  # type: ignore[no-untyped-call]
        return value

    def expect(self, shared: Shared) -> None:
        """Announce one more :meth:`arrive` for a value in each pass."""
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
