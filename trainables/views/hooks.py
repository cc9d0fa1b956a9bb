"""How a view changes what passes between the modules of a model without changing the model.

Word embeddings are changed at the output of the word-embedding table, thus once, before positions and LayerNorm; hidden
states are changed at the boundaries of the encoder's layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from trainables.errors import InputError
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoded
from trainables.views.modules import encoder_layers, word_embedding


@dataclass(frozen=True)
class Part:
    """The examples that one pass takes together.

    Attributes:
        positions: Their places in the micro-batch.
        lengths: Their numbers of tokens, without padding.
        ids: Token ids ``[examples, longest]``.
    """

    positions: Sequence[int]
    lengths: Sequence[int]
    ids: Tensor

    def mask(self) -> Tensor:
        """1 at tokens and 0 at padding: float32 ``[examples, longest]``."""
        lengths = torch.tensor(self.lengths, device=self.ids.device)
        return (torch.arange(self.ids.shape[1], device=self.ids.device) < lengths.unsqueeze(1)).float()


@dataclass(frozen=True)
class Draws:
    """The random numbers of one view in one step. Each example has its own stream, named by its row number.

    A view thus depends neither on the order of the batch, nor on its padding, nor on how it is divided.

    Attributes:
        role: 0 for noise, including that of a trust region; 1 for the view of a consistency loss.
        rows: Row number of each example of the micro-batch.
    """

    streams: Streams
    stage: str
    step: int
    role: int
    rows: Sequence[int]

    def example(self, position: int, name: str = "") -> torch.Generator:
        """A freshly seeded CPU generator for one example; ``name`` distinguishes several uses in one view."""
        return self.streams.generator("view", f"{self.stage}/{name}", self.step, 2 * self.rows[position] + self.role)

    def shared(self, name: str) -> torch.Generator:
        """A freshly seeded CPU generator for what all micro-batches of the step share, such as the parameters."""
        return self.streams.generator("view", f"{self.stage}/{name}", self.step, self.role)

    def padded(self, part: Part, width: int, name: str, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor:
        """Numbers for each token of a part, 0 at padding.

        Args:
            width: Numbers per token.
            name: Distinguishes several uses in one view.
            draw: From an example's number of tokens and its generator to ``[tokens, width]``.

        Returns:
            CPU tensor ``[examples, longest, width]``.
        """
        out = torch.zeros(*part.ids.shape, width)
        for row, (position, length) in enumerate(zip(part.positions, part.lengths, strict=True)):
            out[row, :length] = draw(length, self.example(position, name))
        return out


@dataclass(frozen=True)
class Hook:
    """One change to what a module returns or takes.

    Attributes:
        change: From the tensor ``[examples, longest, width]`` and the part to what replaces it.
        before: Whether the module's first input is changed instead of its output.
    """

    module: nn.Module
    change: Callable[[Tensor, Part], Tensor]
    before: bool = False


@dataclass(frozen=True)
class Perturbation:
    """Everything that a view changes in a pass.

    Attributes:
        encoded: The examples.
        hooks: Changes between modules.
        parameters: What replaces some parameters, by name.
    """

    encoded: list[Encoded]
    hooks: tuple[Hook, ...] = ()
    parameters: dict[str, Tensor] | None = None


@contextmanager
def hooked(hooks: Sequence[Hook], part: Part) -> Iterator[None]:
    """Within the context, the changes act on a pass of the part, those of one module in the given order.

    Raises:
        InputError: The pass bypassed a change, or its states are not one vector for each piece.
    """
    acted: set[int] = set()
    with ExitStack() as stack:
        for number, hook in enumerate(hooks):
            stack.callback(_register(hook, part, number, acted).remove)
        yield
    if len(acted) < len(hooks):  # some models call a layer's forward, bypassing its hooks
        module = next(hook.module for number, hook in enumerate(hooks) if number not in acted)
        raise InputError(
            f"the model passes over the hook of its {type(module).__name__}, so the view would change nothing; "
            "choose another view or another model"
        )


def _register(hook: Hook, part: Part, number: int, acted: set[int]) -> Any:
    def change(states: Tensor) -> Tensor:
        acted.add(number)
        if states.shape[:2] != part.ids.shape:  # for instance with pieces before examples
            raise InputError(
                f"states of {type(hook.module).__name__} are {list(states.shape)}, not one of each of the "
                f"{list(part.ids.shape)} pieces, which the view needs; choose another view or another model"
            )
        return hook.change(states, part)

    def after(module: nn.Module, args: Any, output: Any) -> Any:
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    def before(module: nn.Module, args: Any) -> Any:
        return (change(args[0]), *args[1:])

    return hook.module.register_forward_pre_hook(before) if hook.before else hook.module.register_forward_hook(after)


class PassRecorder:
    """Keeps what passes between modules. Its hooks run after those that change it.

    Args:
        model: A transformers model.
        embeddings: Whether to keep the word embeddings, with a gradient.
        above: Keep the output of every encoder layer above this one; None keeps none.

    Attributes:
        hooks: Hooks for :func:`hooked`.
        embeddings: One tensor for each part.
        hidden: For each part, one tensor per layer.
    """

    def __init__(self, model: Any, embeddings: bool, above: int | None) -> None:
        self.embeddings: list[Tensor] = []
        self.hidden: list[list[Tensor]] = []
        self.hooks: list[Hook] = []
        if embeddings:
            self.hooks.append(Hook(word_embedding(model), self._keep_embedding))
        if above is not None:
            layers = list(encoder_layers(model))[above:]
            self.hooks += [Hook(layer, partial(self._keep, first=i == 0)) for i, layer in enumerate(layers)]

    def _keep_embedding(self, output: Tensor, part: Part) -> Tensor:
        self.embeddings.append(output if output.requires_grad else output.requires_grad_())  # a frozen table
        return output

    def _keep(self, output: Tensor, part: Part, first: bool) -> Tensor:
        if first:
            self.hidden.append([])
        self.hidden[-1].append(output)
        return output
