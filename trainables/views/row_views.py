"""Views that say a row in other words: drawn row by row, each from its own seed, and encoded together."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence

from trainables.data.contract import Rows
from trainables.tokenization.encoding import Encoded, Encoder


class RowViews(ABC):
    """Draws the views of rows; ``strength`` is a probability, each kind says of what."""

    def __init__(self, encoder: Encoder, rows: Rows, strength: float) -> None:
        self._encoder = encoder
        self._rows = rows
        self._strength = strength

    def draw(self, indices: Sequence[int], seeds: Sequence[int]) -> list[Encoded]:
        """Encodings of the views of rows by number, with one seed a row."""
        drawn = [self._row(index, random.Random(seed)) for index, seed in zip(indices, seeds, strict=True)]
        return self._encoder.encode(Rows.joined(drawn))

    @abstractmethod
    def _row(self, index: int, generator: random.Random) -> Rows:
        """The view of one row."""
