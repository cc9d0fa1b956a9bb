"""Per-example squared gradient norms of any model whose operations on parameters have a rule.

The model is frozen, so that a backward pass carries activations' gradients only. A matrix, a table or the gain of a
norm is met by hooks on the operation's output. Whatever else is computed from parameters is met where it joins the
examples: there it is given one copy an example, whose gradient torch computes, and which is carried back to the
parameters example by example.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from trainables.curvature import norms
from trainables.curvature.loop import logits_of
from trainables.curvature.operations import Call, Kind, NoRule, tensors_in

Arrived = Callable[[Tensor], None]
Rules = Mapping[Kind, Mapping[str, Callable[..., Any]]]


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


class Source:
    """Where a shared value starts: a parameter, or the output of a lookup or product that has a rule of its own.

    Attributes:
        value: A leaf that requires a gradient.
        settle: What becomes of its per-example gradient ``[rows, *value]``; None for a parameter.
        name: Of the parameter, or of none.
        pending: The gradient so far.
        expected: Operations whose gradients it gets.
        missing: Those still to come in this pass.
    """

    def __init__(self, value: Tensor, settle: Arrived | None, name: str = "") -> None:
        self.value = value
        self.settle = settle
        self.name = name
        self.pending: Tensor | None = None
        self.expected = self.missing = 0

    def add(self, gradient: Tensor | None) -> None:
        """Take the gradient from one operation; hand on the sum after the last.

        Args:
            gradient: ``[rows, *value]``, or None where there is none.
        """
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
        sources: Where it comes from.
    """

    seen: Tensor
    value: Tensor
    sources: tuple[Source, ...]


class GhostNorms(TorchFunctionMode):
    """Turns each backward pass of a frozen model into per-example squared norms.

    Call :meth:`forward` once, then :meth:`backward` for each cotangent. The forward pass keeps Gram matrices instead of
    inputs where it can, and each output gradient is consumed as it comes, so the memory stays below that of an ordinary
    training step.

    Args:
        model: Frozen, in evaluation mode.
        counted: Name of each parameter that counts, to the group that it is summed in.
        calls: What a forward pass does with those parameters, from a rehearsal.
        rules: By kind of the result and name of the function: called with this object and the function's arguments in
            the place of the function; None from it means that it does not apply.
        passes: Cotangents that each forward pass is followed by, for the choice between Gram and direct product.
    """

    def __init__(
        self, model: nn.Module, counted: Mapping[str, str], calls: Sequence[Call], rules: Rules, passes: int
    ) -> None:
        super().__init__()
        self.model = model
        self.passes = passes
        self._counted = counted
        self._calls = calls
        self._rules = rules
        self._uses = Counter(name for call in calls if call.kind is not Kind.OTHER for name in call.parameters)
        self._reset()

    def _reset(self, rows: int = 0, device: torch.device | None = None) -> None:
        self.rows, self._at = rows, 0
        self._anchor = torch.zeros((), device=device, requires_grad=True)
        self._shared: dict[int, Shared] = {}
        self._sources: list[Source] = []
        self._gram: tuple[Tensor, bool, Tensor] | None = None
        self._norms: dict[str, Tensor] = {}
        self._matrices: dict[str, norms.MatrixUses] = {}
        self._lookups: dict[str, list[tuple[Tensor, int | None, Tensor]]] = {}

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Run the model.

        Args:
            inputs: Model inputs ``[rows, length]``.

        Returns:
            Logits ``[rows, num_classes]``, with a graph if they depend on a parameter that counts.

        Raises:
            NoRule: The forward pass does something that the rules do not cover.
        """
        first = next(iter(inputs.values()))
        self._reset(first.shape[0], first.device)
        for name, parameter in self.model.named_parameters():
            if name in self._counted:
                source = Source(parameter.detach().requires_grad_(), None, name)
                self._sources.append(source)
                self._shared[id(parameter)] = Shared(parameter, source.value, (source,))
        with self:
            logits = logits_of(self.model(**inputs))
        if self._at != len(self._calls):
            raise NoRule("its operations differ from one forward pass to the next")
        self._gram = None
        return logits

    def backward(self, logits: Tensor, cotangent: Tensor, *, last: bool) -> dict[str, Tensor]:
        """Squared norms of the gradient of ``(logits * cotangent).sum(1)`` for each example.

        Args:
            logits: From :meth:`forward`.
            cotangent: ``[rows, num_classes]``.
            last: Whether the graph may be freed.

        Returns:
            Group to float64 ``[rows]``.
        """
        self._norms, self._matrices, self._lookups = {}, {}, {}
        for source in self._sources:
            source.pending, source.missing = None, source.expected
        if logits.requires_grad:
            torch.autograd.grad(logits, self._anchor, cotangent, retain_graph=not last, allow_unused=True)
        with torch.no_grad():
            for source in reversed(self._sources):
                source.close()
            for source in self._sources:
                if source.name:
                    self._finish(source)
        found = self._norms
        if last:
            self._reset()  # hooks and sources know this object, and would keep the model alive
        return found

    def _finish(self, source: Source) -> None:
        """Norms of a parameter that is used more than once, or on its own."""
        name = source.name
        kinds = (source.pending is not None) + (name in self._matrices) + (name in self._lookups)
        if kinds > 1:
            if source.pending is None or name in self._lookups or self.rows * source.value.numel() > _MOST:
                raise NoRule(f"{name} is used in ways whose gradients cannot be added up")
            self.add(source, (source.pending + self._matrices[name].dense()).square().sum((1, 2)))
        elif source.pending is not None:
            self.add(source, source.pending.flatten(1).square().sum(1))
        elif name in self._matrices:
            self.add(source, self._matrices[name].norms())
        elif name in self._lookups:
            self.add(source, norms.norms_of_lookups(self._lookups[name]))

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not torch.is_grad_enabled() or not any(id(tensor) in self._shared for tensor in tensors_in(args, kwargs)):
            return func(*args, **kwargs)
        if self._at == len(self._calls) or self._calls[self._at].name != func.__name__:
            raise NoRule("its operations differ from one forward pass to the next")
        call = self._calls[self._at]
        self._at += 1
        if call.kind is Kind.OTHER:
            return func(*args, **kwargs)
        shared = call.kind is Kind.SHARED
        rule = self._rules[call.kind].get(func.__name__)
        result = None if rule is None else rule(self, *args, **kwargs)
        if result is None:
            result = self._compute(func, args, kwargs) if shared else self._join(func, call, args, kwargs)
        if not shared and any(tensor.ndim == 0 or tensor.shape[0] % self.rows for tensor in tensors_in((result,), {})):
            raise NoRule(f"the function {func.__name__} does not see the examples one by one")
        return result

    def _compute(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """An operation whose result is shared: torch keeps the way back to the sources."""
        sources: dict[int, Source] = {}

        def own(shared: Shared) -> Tensor:
            sources.update({id(source): source for source in shared.sources})
            return shared.value

        result = self._call(func, own, args, kwargs)
        for tensor in tensors_in((result,), {}):
            if tensor.requires_grad:
                self._shared[id(tensor)] = Shared(tensor, tensor, tuple(sources.values()))
        return result

    def _join(self, func: Callable[..., Any], call: Call, args: Any, kwargs: Any) -> Any:
        """An operation in which shared values meet the examples: each example has a copy of its own."""
        return self._call(func, lambda shared: self.copies(shared, call.dims), args, kwargs)

    def _call(self, func: Callable[..., Any], instead: Callable[[Shared], Tensor], args: Any, kwargs: Any) -> Any:
        """Call a function with something else in the place of each shared value."""
        try:
            changed = {key: self._changed(value, instead) for key, value in kwargs.items()}
            return func(*(self._changed(value, instead) for value in args), **changed)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, TypeError) as error:
            raise NoRule(f"the function {func.__name__} of a parameter has no rule") from error

    def _changed(self, value: Any, instead: Callable[[Shared], Tensor]) -> Any:
        if isinstance(value, (list, tuple)) and any(id(item) in self._shared for item in value):
            return [self._changed(item, instead) for item in value]
        found = self._shared.get(id(value))
        return value if found is None else instead(found)

    def shared(self, tensor: Any) -> Shared | None:
        """What is known of a tensor that is computed from parameters alone.

        Args:
            tensor: Any argument of an operation.

        Returns:
            None for anything else.
        """
        return self._shared.get(id(tensor))

    def parameter(self, tensor: Any) -> Source | None:
        """The source of a tensor that is a parameter.

        Args:
            tensor: Any argument of an operation.

        Returns:
            None for anything else, also for a parameter that does not count.
        """
        found = self._shared.get(id(tensor))
        whole = found is not None and found.sources[0].name and found.value is found.sources[0].value
        return found.sources[0] if found is not None and whole else None

    def share(self, value: Tensor, settle: Arrived) -> Tensor:
        """Make the output of an operation a source of its own.

        Args:
            value: The output, without a graph.
            settle: Called with its gradient ``[rows, *value]`` in each pass.

        Returns:
            The output for the model.
        """
        source = Source(value.detach().requires_grad_(), settle)
        self._sources.append(source)
        seen = source.value.clone()  # a model may go on in place, which a leaf forbids
        self._shared[id(seen)] = Shared(seen, seen, (source,))
        return seen

    def copies(self, shared: Shared, dims: int) -> Tensor:
        """One copy of a shared value for each example, that tells its gradient.

        Args:
            shared: The value.
            dims: Dimensions of what the copies are to be broadcast with; the examples are the first.

        Returns:
            ``[rows, 1, ..., *value]``.

        Raises:
            NoRule: The value has no place for the examples, or the copies would not fit the memory.
        """
        value = shared.value.detach()
        value = value.reshape((1,) * (dims - value.ndim) + value.shape)
        if value.shape[0] != 1 or value.ndim != dims or self.rows * value.numel() > _MOST:
            raise NoRule(f"a value of shape {list(value.shape)} is computed from parameters and has no rule")
        shape = shared.value.shape
        self.expect(shared)
        copies = value.expand(self.rows, *value.shape[1:])
        return self.listen(copies, lambda gradient: self.arrive(shared, gradient.reshape(self.rows, *shape)))

    def listen(self, value: Tensor, arrived: Arrived) -> Tensor:
        """Hear of the gradient of a tensor.

        Args:
            value: The tensor.
            arrived: Called with its gradient in each pass.

        Returns:
            The tensor for the model.
        """
        if not value.requires_grad:
            result: Tensor = _Listen.apply(self._anchor, value, arrived)  # type: ignore[no-untyped-call]
            return result

        def hook(gradient: Tensor) -> None:
            with torch.no_grad():
                arrived(gradient)

        value.register_hook(hook)  # type: ignore[no-untyped-call]
        return value

    def expect(self, shared: Shared) -> None:
        """Announce one more :meth:`arrive` in each pass.

        Args:
            shared: The value that it is for.
        """
        for source in shared.sources:
            source.expected += 1

    def arrive(self, shared: Shared, gradient: Tensor) -> None:
        """Carry the gradient of a shared value back to its sources.

        Args:
            shared: The value.
            gradient: ``[rows, *value]``.
        """
        if shared.value is shared.sources[0].value:
            shared.sources[0].add(gradient)
            return
        leaves = [source.value for source in shared.sources]
        found = torch.autograd.grad(
            shared.value, leaves, gradient, retain_graph=True, allow_unused=True, is_grads_batched=True
        )
        for source, part in zip(shared.sources, found, strict=True):
            source.add(part)

    def uses(self, source: Source) -> int:
        """How many operations of a forward pass a parameter has.

        Args:
            source: Of the parameter.

        Returns:
            At least 1.
        """
        return self._uses[source.name]

    def together(self, *sources: Source | None) -> bool:
        """Whether the norms of parameters may be taken as one.

        Args:
            *sources: Of the parameters; None counts as one that does not count.

        Returns:
            Whether they are summed in the same group.
        """
        return len({None if source is None else self._counted[source.name] for source in sources}) == 1

    def gram(self, inputs: Tensor, key: Tensor, with_ones: bool) -> Tensor:
        """Inner products of the positions of each example; query, key and value read the same tensor.

        Args:
            inputs: ``[rows, positions, features]``.
            key: What is the same where they are.
            with_ones: With 1 added, as for a bias.

        Returns:
            ``[rows, positions, positions]``.
        """
        if self._gram is None or self._gram[0] is not key or self._gram[1] != with_ones:
            found = norms.gram(inputs)
            self._gram = (key, with_ones, found.add_(1.0) if with_ones else found)
        return self._gram[2]

    def add(self, source: Source, found: Tensor) -> None:
        """Count squared norms of the gradient of a parameter that has one use.

        Args:
            source: Of the parameter.
            found: ``[rows]``.
        """
        # A Gram sum of an example without curvature may come out at -1e-12.
        group, found = self._counted[source.name], found.double().clamp_(min=0.0)
        self._norms[group] = self._norms[group] + found if group in self._norms else found

    def add_product(self, source: Source, inputs: Tensor, gradient: Tensor, transposed: bool) -> None:
        """Count a use of a matrix that has several.

        Args:
            source: Of the matrix.
            inputs: ``[rows or 1, positions, in_features]``.
            gradient: ``[rows, positions, out_features]``.
            transposed: Whether the matrix is stored as ``[in, out]``.
        """
        self._matrices.setdefault(source.name, norms.MatrixUses()).add(inputs, gradient, transposed)

    def add_lookup(self, source: Source, ids: Tensor, padding: int | None, gradient: Tensor) -> None:
        """Count a use of a table that has several.

        Args:
            source: Of the table.
            ids: ``[rows or 1, positions]``.
            padding: Row without a gradient, or None.
            gradient: ``[rows, positions, features]``.
        """
        self._lookups.setdefault(source.name, []).append((ids, padding, gradient))


_MOST = 1 << 27  # entries of per-example gradients that are formed as such: half a gigabyte
