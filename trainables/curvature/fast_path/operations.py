"""What a model's forward pass does with its parameters: which operations, in which order, and what examples share.

A value is *shared* if it is computed from parameters alone: a norm's ``1 + weight``, a table of positions, a bias for
relative distances. It becomes *batched* where it meets the examples. Nothing here depends on the classes of modules:
operations are seen one by one, as torch dispatches them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class NoRule(Exception):
    """The forward pass did something that the rules do not cover."""


class Kind(enum.Enum):
    """What comes out of an operation on parameters."""

    OTHER = "no gradient"
    SHARED = "shared by the examples"
    BATCHED = "one row or more an example"


@dataclass(frozen=True)
class Call:
    """One operation on a parameter, or on a value that was computed from parameters alone.

    Attributes:
        name: torch's name of the function.
        kind: Kind of the result.
        dims: Dimensions of the result.
        each: Size of the first dimension of a batched result, divided by the number of rows.
        parameters: Names of the parameters among the arguments.
    """

    name: str
    kind: Kind
    dims: int
    each: int
    parameters: tuple[str, ...]


def tensors_in(args: Iterable[Any], kwargs: Mapping[str, Any]) -> Iterator[Tensor]:
    """The tensors among a function's arguments, including those in lists."""
    for arguments in (args, kwargs.values()):
        for value in arguments:
            if isinstance(value, Tensor):
                yield value
            elif isinstance(value, (list, tuple)):
                yield from (item for item in value if isinstance(item, Tensor))


class Rehearsal(TorchFunctionMode):
    """Watch a forward pass whose number of rows divides no other size, which tells batched values from shared ones.

    Args:
        parameters: The parameters that count, by name.
        rows: Number of rows of the forward pass, from :func:`telling_rows`.
    """

    def __init__(self, parameters: Mapping[str, Tensor], rows: int) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._rows = rows
        self._names = {id(parameter): name for name, parameter in parameters.items()}
        self._shared: dict[int, Tensor] = {id(parameter): parameter for parameter in parameters.values()}

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not torch.is_grad_enabled():
            return result
        touched = [id(tensor) for tensor in tensors_in(args, kwargs) if id(tensor) in self._shared]
        if touched:
            names = tuple(self._names[key] for key in touched if key in self._names)
            self.calls.append(Call(func.__name__, *self._kind(result), names))
        return result

    def _kind(self, result: Any) -> tuple[Kind, int, int]:
        found = [tensor for tensor in tensors_in((result,), {}) if tensor.requires_grad]
        if not found:
            return Kind.OTHER, 0, 0
        if all(tensor.ndim > 0 and tensor.shape[0] % self._rows == 0 for tensor in found):
            return Kind.BATCHED, found[0].ndim, found[0].shape[0] // self._rows
        self._shared |= {id(tensor): tensor for tensor in found}
        return Kind.SHARED, found[0].ndim, 0


def telling_rows(model: nn.Module, width: int) -> int:
    """A number of rows such that a batched tensor can be recognised by the size of its first dimension.

    Returns:
        A prime that divides no size of a parameter or buffer, nor any size that arises from the ``width`` positions.

    Raises:
        NoRule: No small prime has this property.
    """
    sizes = {size for tensor in (*model.parameters(), *model.buffers()) for size in tensor.shape}
    sizes |= {width + k for k in range(-2, 3)} | {2 * width + k for k in range(-2, 3)} | {width * width}
    for prime in (7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97):
        if all(size % prime for size in sizes if size > 0):
            return prime
    raise NoRule("its sizes are such that no number of rows tells a batched value from a shared one")
