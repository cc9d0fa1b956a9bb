"""From a tokenizer's batches to single examples, and from examples to chunks of nearly equal length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainables.errors import InputError

Example = dict[str, Tensor]


@dataclass(frozen=True)
class Examples:
    """Single examples in the order of the input.

    Attributes:
        inputs: The model inputs of each example as given, every tensor ``[1, ...]``.
        labels: Observed label of each example, or None where its batch had no labels.
        max_rows: The largest number of examples in a batch.
        max_positions: The largest product of examples and length in a batch.
    """

    inputs: list[Example]
    labels: list[Tensor | None]
    max_rows: int
    max_positions: int


def read_examples(batches: Iterable[Mapping[str, Any]]) -> Examples:
    """Split batches into examples and check their form.

    Args:
        batches: Mappings from the model's argument names to tensors ``[batch, ...]``; ``labels`` are kept separately.

    Raises:
        InputError: There are no examples, a value is not a tensor, the tensors of a batch differ in their number of
            rows, or an example attends to nothing.
    """
    inputs: list[Example] = []
    labels: list[Tensor | None] = []
    max_rows = max_positions = 0
    for number, batch in enumerate(batches):
        size = _checked_size(number, batch, first=len(inputs))
        for row in range(size):
            inputs.append({key: value[row : row + 1] for key, value in batch.items() if key != "labels"})
            labels.append(batch["labels"][row] if "labels" in batch else None)
        width = max(value.shape[1] if value.ndim > 1 else 1 for value in batch.values())
        max_rows, max_positions = max(max_rows, size), max(max_positions, size * width)
    if not inputs:
        raise InputError("no examples: the batches are empty")
    return Examples(inputs, labels, max_rows, max_positions)


def placed(inputs: Example, model: nn.Module) -> Example:
    """The inputs on the model's device."""
    device = next(model.parameters()).device
    # Cloned because tensors made in inference mode cannot be saved for a backward pass.
    return {key: value.clone().to(device) for key, value in inputs.items()}


def _checked_size(number: int, batch: Mapping[str, Any], first: int) -> int:
    """The number of examples in a batch; ``first`` is the number of its first example."""
    if not batch.keys() - {"labels"}:
        raise InputError(f"batch {number} has no inputs")
    for key, value in batch.items():
        if not isinstance(value, Tensor) or value.ndim == 0:
            raise InputError(f"batch {number}: {key!r} must be a tensor with one row an example, got {value!r:.60}")
    rows = {key: value.shape[0] for key, value in batch.items()}
    if len(set(rows.values())) != 1:
        raise InputError(f"batch {number}: every tensor needs the same number of rows, got {rows}")
    mask = batch.get("attention_mask")
    if mask is not None and mask.ndim == 2 and not bool(mask.bool().any(1).all()):
        empty = first + int((~mask.bool().any(1)).nonzero()[0])
        raise InputError(f"example {empty} (counting from 0) attends to no token: its attention_mask is all 0")
    return int(batch[next(iter(batch))].shape[0])


def attended_length(example: Example, pad_token: int | None = None) -> int:
    """Number of positions without the padding at the end, which does not affect a masked model; at least 1.

    Args:
        pad_token: Padding token. Unattended positions with any other token are kept, since they may mean something to a
            model that looks for its last token. None keeps no unattended positions at the end.
    """
    mask, ids = example.get("attention_mask"), example["input_ids"]
    if mask is None:
        return ids.shape[1]
    kept = mask[0].bool() if pad_token is None else mask[0].bool() | (ids[0] != pad_token)
    return int(kept.nonzero()[-1]) + 1


def chunks(
    examples: Examples, pad_token: int, *, wary: bool = False, as_given: bool = False
) -> Iterator[tuple[list[int], Example]]:
    """Batches of examples of nearly equal length, longest first, without padding that all of them share.

    With the longest first, too little memory shows at once. No chunk has more examples or positions than the largest
    batch of the input. A chunk ends early when the next example would be padded by more than an eighth of the chunk's
    width, unless the chunk is too small to keep a matrix product busy.

    Args:
        pad_token: Token that fills up ``input_ids``; it is not attended to.
        wary: For an unknown model: keep unattended tokens unless they are ``pad_token``, and put the shortest example
            next to the longest, so that the first chunk shows what padding does.
        as_given: Leave padding as it is in the input: only examples of equal width go together.

    Yields:
        Example numbers, and the inputs ``[chunk, width]``.
    """
    if as_given:
        lengths = [example["input_ids"].shape[1] for example in examples.inputs]
    else:
        lengths = [attended_length(example, pad_token if wary else None) for example in examples.inputs]
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    if wary and not as_given:
        order.insert(1, order.pop())
    chunk: list[int] = []
    for i in order:
        if chunk:
            width, size = lengths[chunk[0]], len(chunk) + 1
            full = size > examples.max_rows or size * width > examples.max_positions
            # Without a mask, padding would be attended to, so only equal lengths go together.
            unequal = (as_given or "attention_mask" not in examples.inputs[i]) and lengths[i] != width
            short = lengths[i] < width - width // 8 and len(chunk) * width >= _BUSY
            beside_longest = wary and i == order[1] and len(chunk) == 1
            if full or unequal or (short and not beside_longest):
                yield chunk, _stack(examples, chunk, lengths, pad_token)
                chunk = []
        chunk.append(i)
    yield chunk, _stack(examples, chunk, lengths, pad_token)


_BUSY = 512  # positions; below this, a chunk's matrix products run far below full speed


def _stack(examples: Examples, chunk: list[int], lengths: list[int], pad_token: int) -> Example:
    """Pad the rows of a chunk to the length of its longest."""
    width = max(lengths[i] for i in chunk)
    keys = examples.inputs[chunk[0]].keys()
    fill = {"input_ids": pad_token}
    out = {}
    for key in keys:
        first = examples.inputs[chunk[0]][key]
        out[key] = torch.full((len(chunk), width), fill.get(key, 0), dtype=first.dtype, device=first.device)
        for row, i in enumerate(chunk):
            out[key][row, : lengths[i]] = examples.inputs[i][key][0, : lengths[i]]
    return out
