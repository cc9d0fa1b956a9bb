"""Per-example squared gradient norms of any model whose operations on parameters have a rule.

The model is frozen, so a backward pass carries only activations' gradients. For a matrix, a table or the gain of a
norm, hooks on the operation's output suffice. Any other value computed from parameters is copied once per example where
it meets the examples; torch computes the gradients of the copies, which are carried back to the parameters example by
example.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from trainables.curvature.fast_path.norms import NormSums, gram
from trainables.curvature.fast_path.operations import Call, Kind, NoRule, tensors_in
from trainables.curvature.fast_path.sharing import Shared, SharedValues, Source
from trainables.curvature.loop import logits_of

Rules = Mapping[Kind, Mapping[str, Callable[..., Any]]]


class GhostNorms(TorchFunctionMode):
    """Turn each backward pass of a frozen model into per-example squared norms.

    Call :meth:`forward` once, then :meth:`backward` for each cotangent. The forward pass keeps Gram matrices instead of
    inputs where it can, and each output gradient is consumed as it arrives, so memory stays below that of an ordinary
    training step.

    Args:
        model: Frozen, in evaluation mode.
        counted: Maps the name of each parameter that counts to the group in which it is summed.
        rules: By kind of the result and name of the function. A rule is called instead of the function, with this
            object and the function's arguments; it returns None if it does not apply.
        passes: Number of cotangents per forward pass, for the choice between Gram matrices and direct products.
        width_seen: Positions of the pass in which ``calls`` were recorded.
    """

    def __init__(
        self,
        model: nn.Module,
        counted: Mapping[str, str],
        calls: Sequence[Call],
        rules: Rules,
        passes: int,
        width_seen: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.passes = passes
        self.values = SharedValues()
        self._counted = counted
        self._uses = Counter(name for call in calls if call.kind is not Kind.OTHER for name in call.parameters)
        self._calls = calls
        self._rules = rules
        self._width_seen = width_seen
        self._reset()

    def _reset(self, rows: int = 0, device: torch.device | None = None) -> None:
        self.values.start(rows, device)
        self.sums = NormSums(self._counted, self._uses)
        self.rows, self._at = rows, 0
        self._gram: tuple[Tensor, bool, Tensor] | None = None

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Logits ``[rows, num_classes]``, with a graph if they depend on a parameter that counts.

        Raises:
            NoRule: The forward pass does something that the rules do not cover.
        """
        first = next(iter(inputs.values()))
        self._reset(first.shape[0], first.device)
        self._width = first.shape[1]
        for name, parameter in self.model.named_parameters():
            if name in self._counted:
                source = Source(parameter.detach().requires_grad_(), None, name)
                self.values.sources.append(source)
                self.values.add(parameter, source.value, (source,))
        with self:
            logits = logits_of(self.model(**inputs))
        if self._at != len(self._calls):
            raise NoRule("its operations differ from one forward pass to the next")
        self._gram = None
        return logits

    def backward(self, logits: Tensor, cotangent: Tensor, *, last: bool) -> dict[str, Tensor]:
        """By group, each example's squared gradient norm of ``(logits * cotangent).sum(1)``, float64 ``[rows]``.

        Args:
            cotangent: ``[rows, num_classes]``.
            last: Whether the graph may be freed.
        """
        self.sums = NormSums(self._counted, self._uses)
        sources = self.values.sources
        for source in sources:
            source.pending, source.missing = None, source.expected
        if logits.requires_grad:
            torch.autograd.grad(logits, self.values.anchor, cotangent, retain_graph=not last, allow_unused=True)
        with torch.no_grad():
            for source in reversed(sources):
                source.close()
            for source in sources:
                if source.name:
                    self.sums.finish(source, self.rows)
        found = self.sums.found
        if last:
            self._reset()  # hooks and sources refer to this object and would keep the model alive
        return found

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not torch.is_grad_enabled() or not any(map(self.values.get, tensors_in(args, kwargs))):
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
            if shared:
                result = self._compute(func, args, kwargs)
            else:  # shared values meet the examples: each example gets its own copy
                result = self._call(func, lambda value: self.values.copies(value, call.dims), args, kwargs)
        if not shared and not all(self._sees_examples(tensor, call) for tensor in tensors_in((result,), {})):
            raise NoRule(f"the function {func.__name__} does not see the examples one by one")
        return result

    def _sees_examples(self, tensor: Tensor, call: Call) -> bool:
        """Whether the first dimension consists of the examples, or of their positions where these were flattened.

        A matrix of as many rows may also be the positions that an expert was given, whichever examples they belong to.
        """
        if tensor.ndim == 0 or tensor.shape[0] % self.rows:
            return False
        return call.dims > 2 or (call.each, tensor.shape[0] // self.rows) in ((1, 1), (self._width_seen, self._width))

    def _compute(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run an operation whose result is shared; torch keeps the way back to the sources."""
        sources: dict[int, Source] = {}

        def own(shared: Shared) -> Tensor:
            sources.update({id(source): source for source in shared.sources})
            return shared.value

        result = self._call(func, own, args, kwargs)
        for tensor in tensors_in((result,), {}):
            if tensor.requires_grad:
                self.values.add(tensor, tensor, tuple(sources.values()))
        return result

    def _call(self, func: Callable[..., Any], instead: Callable[[Shared], Tensor], args: Any, kwargs: Any) -> Any:
        """Call a function with each shared value replaced."""
        try:
            changed = {key: self._changed(value, instead) for key, value in kwargs.items()}
            return func(*(self._changed(value, instead) for value in args), **changed)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, TypeError) as error:
            raise NoRule(f"the function {func.__name__} of a parameter has no rule") from error

    def _changed(self, value: Any, instead: Callable[[Shared], Tensor]) -> Any:
        if isinstance(value, (list, tuple)) and any(map(self.values.get, value)):
            return [self._changed(item, instead) for item in value]
        found = self.values.get(value)
        return value if found is None else instead(found)

    def gram(self, inputs: Tensor, key: Tensor, with_ones: bool) -> Tensor:
        """Inner products ``[rows, positions, positions]`` between the positions of each example.

        The last result is reused, since query, key and value projections read the same tensor.

        Args:
            inputs: ``[rows, positions, features]``.
            key: The same object for the same inputs.
            with_ones: Whether to add 1, as for a bias.
        """
        if self._gram is None or self._gram[0] is not key or self._gram[1] != with_ones:
            found = gram(inputs)
            self._gram = (key, with_ones, found.add_(1.0) if with_ones else found)
        return self._gram[2]
