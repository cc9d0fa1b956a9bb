"""Encoded rows, their views and their batches."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import torch

from trainables.augmentations.subword import SubwordViews
from trainables.data.contract import Rows
from trainables.tokenization.encoding import Encoded, Encoder


class Examples:
    """The rows of one split in one language, encoded.

    Args:
        rows: The rows.
        encoder: Encodes them.
    """

    def __init__(self, rows: Rows, encoder: Encoder) -> None:
        self.rows = rows
        self.encoder = encoder
        self.encoded: list[Encoded] = encoder.encode(rows)
        self.labels = torch.tensor(rows.labels)

    def __len__(self) -> int:
        return len(self.encoded)

    @cached_property
    def subword_views(self) -> SubwordViews:
        """Sampler of subword views of these rows."""
        return SubwordViews(self.encoder, self.rows)

    def inputs(self, indices: list[int], device: torch.device) -> dict[str, torch.Tensor]:
        """Clean model inputs of some rows.

        Args:
            indices: Row numbers.
            device: Where the tensors go.

        Returns:
            Padded inputs, ``[len(indices), longest]`` each.
        """
        return to_device(self.encoder.batch([self.encoded[i] for i in indices]), device)

    def by_length(self, batch_size: int, limit: int | None = None) -> Iterator[list[int]]:
        """Batches of row numbers with rows of like length together, for evaluation.

        Args:
            batch_size: Rows a batch.
            limit: Only the first so many rows; None takes all.

        Yields:
            Row numbers.
        """
        count = len(self) if limit is None else min(limit, len(self))
        order = sorted(range(count), key=lambda i: len(self.encoded[i]))
        for start in range(0, count, batch_size):
            yield order[start : start + batch_size]


def to_device(inputs: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """Move model inputs.

    Args:
        inputs: Tensors by name.
        device: Where they go.

    Returns:
        The moved tensors.
    """
    return {name: tensor.to(device) for name, tensor in inputs.items()}
