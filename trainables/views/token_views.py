"""The views that change tokens, behind one door: which kind draws, and when it draws anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trainables.data.contract import Rows
from trainables.seeding import row_seed
from trainables.tokenization.encoding import Encoded, Encoder
from trainables.tokenization.subword_sampling import subword_sampler
from trainables.views.code_switch import CodeSwitchViews, Dictionary
from trainables.views.subword import SubwordViews
from trainables.views.translation import TranslationViews
from trainables.views.view import ViewConfig


@dataclass(frozen=True)
class ViewFiles:
    """What the files of a view hold, by language.

    Attributes:
        translations: Of a translated view: the translations of the drawn training rows.
        fingerprint: Hash of what is used, in the given order of languages, whose names do not count.
    """

    dictionaries: Mapping[str, Dictionary]
    translations: Mapping[str, Rows]
    fingerprint: str


class Draws(Protocol):
    """What draws the views of one kind."""

    def draw(self, indices: Sequence[int], seeds: Sequence[int]) -> list[Encoded]:
        """Views of rows by number, with one seed a row; equal seeds give equal views."""


class TokenViews:
    """The views of a data set's rows under one configuration."""

    def __init__(self, view: ViewConfig, encoder: Encoder, rows: Rows, files: ViewFiles | None = None) -> None:
        view = view.resolved()
        assert view.strength is not None
        self._resample = view.resample
        self._kept: dict[int, Encoded] = {}
        self._draws: Draws
        if view.kind == "subword":
            sampler = subword_sampler(encoder.files.backend, bool(view.drop_single_characters))
            self._draws = SubwordViews(encoder, rows, sampler, view.strength)
            return
        assert files is not None
        if view.kind == "code_switch":
            self._draws = CodeSwitchViews(encoder, rows, files.dictionaries, view.strength)
        else:
            self._draws = TranslationViews(encoder, rows, files.translations, view.strength)

    def view(self, indices: Sequence[int], seed: int) -> list[Encoded]:
        """The views of some rows; each depends on its row and the seed, not on the rows beside it.

        Special tokens and truncation are as in the clean encoding.

        Args:
            seed: Equal seeds give equal views; without effect when the view is drawn once.
        """
        if self._resample:
            return self._draws.draw(indices, [row_seed(seed, index) for index in indices])
        new = [index for index in indices if index not in self._kept]
        self._kept |= zip(new, self._draws.draw(new, [row_seed(0, index) for index in new]), strict=True)
        return [self._kept[index] for index in indices]
