"""The view with sampled subword segmentations of both sentences."""

from __future__ import annotations

from trainables.data.contract import Rows
from trainables.tokenization.encoding import Encoded, Encoder
from trainables.tokenization.subword_sampling import DEFAULT_STRENGTH, subword_sampler


class SubwordViews:
    """Draws subword views of the rows of a data set.

    Args:
        encoder: The encoder of the clean inputs.
        rows: The rows; their words are kept, since every epoch draws from them again.
    """

    def __init__(self, encoder: Encoder, rows: Rows) -> None:
        self._encoder = encoder
        self._sampler = subword_sampler(encoder.files.backend)
        self._first = [encoder.words(text) for text in rows.first]
        self._second = None if rows.second is None else [encoder.words(text) for text in rows.second]

    def view(self, indices: list[int], strength: float | None, seed: int) -> list[Encoded]:
        """Freshly sampled encodings of some rows.

        Args:
            indices: Row numbers.
            strength: Rejection probability (WordPiece) or alpha (SentencePiece); None takes 0.2.
            seed: Equal seeds give equal views.

        Returns:
            One Encoded a row, special tokens and truncation as in the clean encoding.
        """
        sentences = [self._first[i] for i in indices]
        if self._second is not None:
            sentences += [self._second[i] for i in indices]
        words = [word for sentence in sentences for word in sentence]
        segmented = iter(self._sampler.sample(words, DEFAULT_STRENGTH if strength is None else strength, seed))
        pieces = [[piece for _ in sentence for piece in next(segmented)] for sentence in sentences]
        if self._second is None:
            return [self._encoder.assemble(first, None) for first in pieces]
        half = len(indices)
        return [self._encoder.assemble(a, b) for a, b in zip(pieces[:half], pieces[half:], strict=True)]
