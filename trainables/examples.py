"""Encoded rows, their views and their batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from trainables.data.contract import Rows
from trainables.tokenization.encoding import Encoded, Encoder
from trainables.views.token_views import TokenViews, ViewFiles
from trainables.views.view import ViewConfig


class Examples:
    """The rows of one split in one language, encoded.

    Args:
        files: Contents of the files of the views that these rows may be asked for, by kind and ``view.files``.
    """

    def __init__(
        self, rows: Rows, encoder: Encoder, files: Mapping[tuple[str | None, str | None], ViewFiles] | None = None
    ) -> None:
        self.rows = rows
        self.encoder = encoder
        self.encoded: list[Encoded] = encoder.encode(rows)
        self.labels = torch.tensor(rows.labels)
        self._files = files or {}
        self._token_views: dict[ViewConfig, TokenViews] = {}

    def __len__(self) -> int:
        return len(self.encoded)

    def token_views(self, view: ViewConfig) -> TokenViews:
        """The object that draws a token-changing view of these rows; the same one for equal views."""
        if view not in self._token_views:
            files = self._files.get((view.kind, view.files))
            self._token_views[view] = TokenViews(view, self.encoder, self.rows, files)
        return self._token_views[view]

    def inputs(self, indices: list[int], device: torch.device) -> dict[str, torch.Tensor]:
        """Clean model inputs of some rows, padded, ``[len(indices), longest]`` each."""
        return to_device(self.encoder.batch([self.encoded[i] for i in indices]), device)

    def by_length(self, batch_size: int, limit: int | None = None) -> Iterator[list[int]]:
        """Batches of row numbers for evaluation, rows of similar length together; ``limit`` takes the first rows."""
        count = len(self) if limit is None else min(limit, len(self))
        order = sorted(range(count), key=lambda i: len(self.encoded[i]))
        for start in range(0, count, batch_size):
            yield order[start : start + batch_size]


def to_device(inputs: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """Move model inputs."""
    return {name: tensor.to(device) for name, tensor in inputs.items()}
