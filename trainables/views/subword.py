"""The view with sampled subword segmentations of both sentences."""

from __future__ import annotations

from collections.abc import Sequence

from trainables.data.contract import Rows
from trainables.tokenization.encoding import Encoded, Encoder
from trainables.tokenization.subword_sampling import SubwordSampler


class SubwordViews:
    """Draws subword views of the rows of a data set.

    Args:
        rows: The rows; their words are kept, since every epoch draws from them again.
        strength: Rejection probability (WordPiece, BPE) or alpha (Unigram).
    """

    def __init__(self, encoder: Encoder, rows: Rows, sampler: SubwordSampler, strength: float) -> None:
        self._encoder = encoder
        self._sampler = sampler
        self._strength = strength
        self._first = [encoder.words(text) for text in rows.first]
        self._second = None if rows.second is None else [encoder.words(text) for text in rows.second]

    def draw(self, indices: Sequence[int], seeds: Sequence[int]) -> list[Encoded]:
        """Freshly sampled encodings of rows by number, with one seed a row.

        Special tokens and truncation are as in the clean encoding.
        """
        return [self._draw(index, seed) for index, seed in zip(indices, seeds, strict=True)]

    def _draw(self, index: int, seed: int) -> Encoded:
        first = self._first[index]
        second = [] if self._second is None else self._second[index]
        words = self._sampler.sample(first + second, self._strength, seed)
        pieces = [[piece for word in part for piece in word] for part in (words[: len(first)], words[len(first) :])]
        return self._encoder.assemble(pieces[0], None if self._second is None else pieces[1])
