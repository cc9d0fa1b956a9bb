"""The views that change tokens: subword segmentations, code-switching and translations, drawn row by row."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainables.data.contract import Rows
from trainables.seeding import row_seed
from trainables.tokenization.encoding import Encoded, Encoder
from trainables.tokenization.subword_sampling import subword_sampler
from trainables.views.code_switch import Dictionary, code_switch
from trainables.views.translation import translate
from trainables.views.view import ViewConfig


@dataclass(frozen=True)
class ViewFiles:
    """The contents of a view's files, by language.

    Attributes:
        translations: For a translated view, the translations of the drawn training rows.
        fingerprint: Hash of what is used, in the given order of languages, whose names do not count.
    """

    dictionaries: Mapping[str, Dictionary]
    translations: Mapping[str, Rows]
    fingerprint: str


class TokenViews:
    """The views of a data set's rows under one configuration, with special tokens and truncation as without a view."""

    def __init__(self, view: ViewConfig, encoder: Encoder, rows: Rows, files: ViewFiles | None = None) -> None:
        self._view = view.resolved()
        self._encoder = encoder
        self._rows = rows
        self._files = files
        self._kept: dict[int, Encoded] = {}
        if self._view.kind == "subword":
            self._sampler = subword_sampler(encoder.files.backend, bool(self._view.drop_single_characters))
            # Every epoch draws again from the words.
            self._words = [[encoder.words(text) for text in example] for example in rows.examples()]

    def view(self, indices: Sequence[int], seed: int) -> list[Encoded]:
        """The views of some rows; each depends on its row and the seed, not on the rows beside it.

        Args:
            seed: Equal seeds give equal views; without effect when the view is drawn once.
        """
        if self._view.resample:
            return self._draw(indices, seed)
        new = [index for index in indices if index not in self._kept]
        self._kept |= zip(new, self._draw(new, 0), strict=True)
        return [self._kept[index] for index in indices]

    def _draw(self, indices: Sequence[int], seed: int) -> list[Encoded]:
        seeds = [row_seed(seed, index) for index in indices]
        if self._view.kind == "subword":
            return [self._segmented(index, seed) for index, seed in zip(indices, seeds, strict=True)]
        drawn = [self._reworded(index, random.Random(seed)) for index, seed in zip(indices, seeds, strict=True)]
        return self._encoder.encode(Rows.joined(drawn))

    def _segmented(self, index: int, seed: int) -> Encoded:
        """A row in sampled pieces; ``strength`` is a rejection probability (WordPiece, BPE) or alpha (Unigram)."""
        assert self._view.strength is not None
        first, *second = self._words[index]
        words = self._sampler.sample([*first, *(second[0] if second else [])], self._view.strength, seed)
        pieces = [[piece for word in part for piece in word] for part in (words[: len(first)], words[len(first) :])]
        return self._encoder.assemble(pieces[0], pieces[1] if second else None)

    def _reworded(self, index: int, generator: random.Random) -> Rows:
        """A row in other words; ``strength`` is the probability of looking up a word, or of translating the row."""
        assert self._files is not None
        assert self._view.strength is not None
        if self._view.kind == "translation":
            translations = list(self._files.translations.values())
            return translate(self._rows, index, translations, self._view.strength, generator)
        dictionaries = list(self._files.dictionaries.values())
        return code_switch(self._rows.take([index]), dictionaries, self._view.strength, generator)
