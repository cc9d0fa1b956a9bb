"""The pretraining text: meanings of the bundled data's grammar, each said in four languages and three wordings.

A record has two wordings of one meaning and a third, in the second's style, of a meaning in which a slot is swapped or
replaced. The order and the number of the draws determine the text, and so the weights.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from tools.bundled.data import lexicon
from tools.bundled.data.changes import replaced, swapped
from tools.bundled.data.grammar import LANGUAGES, in_all_languages
from tools.bundled.data.meanings import Conjunction, Meaning, Negatable, Quantity, with_slots
from tools.bundled.data.sampling import Sampler

NUM_WORDINGS = 3
Pieces = npt.NDArray[np.int16]
Tags = npt.NDArray[np.int8]


def sentences(num_records: int, seed: int) -> Iterator[str]:
    """Say ``num_records`` meanings, one after another: in each language the first, second and changed wording.

    Yields:
        ``num_records * 12`` sentences.
    """
    rng = random.Random(f"{seed}-corpus")
    sampler = Sampler(rng)
    for _ in range(num_records):
        meaning = _shortened(sampler.meaning(), rng)
        one_clause = isinstance(meaning, Conjunction) and meaning.second_subject is None
        swaps = rng.random() < 0.5 and not one_clause
        changed = swapped(meaning, rng) if swaps else replaced(meaning, sampler)
        first_style, second_style = sampler.style(), sampler.style()
        wordings = [
            in_all_languages(meaning, first_style),
            in_all_languages(meaning, second_style),
            in_all_languages(changed, second_style),
        ]
        for language in LANGUAGES:
            for wording in wordings:
                yield wording[language]


def _shortened(meaning: Meaning, rng: random.Random) -> Meaning:
    """Leave out, blur or deny something in some meanings, so that the model sees all that the tasks can say."""
    for slot in ("time", "city", "means"):
        if getattr(meaning, slot) is not None and rng.random() < 0.15:
            meaning = with_slots(meaning, {slot: None})
    if isinstance(meaning, Conjunction) and rng.random() < 0.15:
        meaning = replace(meaning, second_subject=None)
    for slot in ("quantity", "second_quantity"):
        quantity = getattr(meaning, slot, None)
        if quantity is not None:
            meaning = with_slots(meaning, {slot: _blurred(quantity, rng)})
    if isinstance(meaning, Negatable) and rng.random() < 0.12:
        meaning = replace(meaning, negated=True)
    return meaning


def _blurred(quantity: Quantity, rng: random.Random) -> Quantity:
    draw = rng.random()
    if draw < 0.08 and quantity.index in lexicon.HYPERNYMS:
        return replace(quantity, index=lexicon.HYPERNYMS[quantity.index])
    if draw < 0.14:
        return replace(quantity, number=None)
    if draw < 0.20 and quantity.number is not None and quantity.number < lexicon.NUM_WRITTEN:
        return replace(quantity, at_least=True)
    return quantity


@dataclass(frozen=True)
class Corpus:
    """The encoded text.

    Attributes:
        pieces: Piece ids of each sentence, without special tokens, in the order of ``sentences``.
        tags: For each changed wording, 1 where a piece differs from the second wording in the same language, else 0.
    """

    pieces: Sequence[Pieces]
    tags: Sequence[Tags]

    @property
    def num_records(self) -> int:
        """Number of meanings in the text."""
        return len(self.pieces) // (len(LANGUAGES) * NUM_WORDINGS)

    def wording(self, record: int, language: int, wording: int) -> Pieces:
        """The pieces of a sentence; wordings 0 and 1 say the record's meaning, wording 2 the changed one."""
        return self.pieces[(record * len(LANGUAGES) + language) * NUM_WORDINGS + wording]

    def changed_pieces(self, record: int, language: int) -> Tags:
        """The tags of a changed wording."""
        return self.tags[record * len(LANGUAGES) + language]


def encode(text: Sequence[str], tokenizer: Tokenizer) -> Corpus:
    """Encode the text and tag the changed wordings."""
    encodings = tokenizer.encode_batch(text, add_special_tokens=False)
    pieces = [np.array(encoding.ids, dtype=np.int16) for encoding in encodings]
    return Corpus(pieces, [tagged(true, changed) for true, changed in zip(pieces[1::3], pieces[2::3], strict=True)])


def tagged(true: Pieces, changed: Pieces) -> Tags:
    """Tag the pieces of ``changed`` that ``true`` does not have in the same place.

    Returns:
        ``[len(changed)]``: 0 for a piece that is the same, 1 for a different one. Sentences of equal length are
        compared place by place, others by their longest common blocks.

    >>> tagged(np.array([5, 6, 7], np.int16), np.array([5, 9, 7], np.int16)).tolist()
    [0, 1, 0]
    >>> tagged(np.array([5, 6, 7], np.int16), np.array([5, 7], np.int16)).tolist()
    [0, 0]
    """
    if len(true) == len(changed):
        differs: Tags = (true != changed).astype(np.int8)
        return differs
    tags = np.ones(len(changed), dtype=np.int8)
    matcher = difflib.SequenceMatcher(None, true.tolist(), changed.tolist(), autojunk=False)
    for block in matcher.get_matching_blocks():
        tags[block.b : block.b + block.size] = 0
    return tags
