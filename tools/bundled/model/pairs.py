"""Pairs of sentences to learn from: which pairs are drawn when, and the batches that they form.

About a third of the pairs say the same meaning twice and are masked. In the others, which are not masked, one sentence
says the meaning of the other or a changed one, with equal probability.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tools.bundled.data.grammar import LANGUAGES
from tools.bundled.model.corpus import Corpus, Pieces, Tags
from tools.bundled.model.tokenizer import CLS, MASK, NUM_SPECIAL, SEP

BATCH_SIZE = 64
POOLED_BATCHES = 16
IGNORED = -1
LANGUAGE_SHARES = (0.46, 0.22, 0.19, 0.13)
"""English, German, Spanish, Chinese: the skew creates the gap between English and the others."""
MASKED_PAIRS = 0.35
MASKED_PIECES = 0.3


class Pair(NamedTuple):
    """Two sentences, in the order in which the model reads them."""

    first: Pieces
    second: Pieces
    same_meaning: int
    """1 or 0, which [CLS] has to predict, or IGNORED."""
    masked: bool
    tags: Tags
    """Which pieces of the possibly changed sentence are wrong, given the other one."""
    changed_first: bool
    """Whether the possibly changed sentence comes first."""


class Batch(NamedTuple):
    """A padded batch of pairs: ``[batch, length]``, except the masked pieces and the labels of the pairs."""

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    masked_places: Tensor
    """``[masked]``: positions in the flattened batch."""
    masked_pieces: Tensor
    """``[masked]``: the original pieces there."""
    same_meaning: Tensor
    """``[batch]``: 1, 0 or IGNORED."""
    tags: Tensor
    """1 for a wrong piece, 0 for a right one, IGNORED elsewhere."""


def draw(corpus: Corpus, progress: float, rng: np.random.Generator) -> Pair:
    """Draw a pair at a ``progress`` of 0 to 1, the share of the training that is done.

    The curriculum: in the first fifth of the training most pairs are in one language (then about half), and in its
    first tenth most unmasked pairs also have one wording (then about a third), so that it pays to attend to what is
    alike in the other sentence.

    Only pairs in two different languages ask [CLS] for same or other meaning, so pairs like those of the paraphrase
    task, which are in one language, are never an objective on [CLS].
    """
    record = int(rng.integers(corpus.num_records))
    language = int(rng.choice(len(LANGUAGES), p=LANGUAGE_SHARES))
    one_language = rng.random() < (0.5 if progress > 0.2 else 0.8)
    other_language = language if one_language else int(rng.choice(len(LANGUAGES), p=LANGUAGE_SHARES))
    masked = rng.random() < MASKED_PAIRS
    same = masked or rng.random() < 0.5
    one_wording = not masked and rng.random() < (0.35 if progress > 0.1 else 0.8)
    kept = corpus.wording(record, language, int(one_wording))
    changed = corpus.wording(record, other_language, 1 if same else 2)
    tags = np.zeros(len(changed), np.int8) if same else corpus.changed_pieces(record, other_language)
    changed_first = bool(rng.random() < 0.5)
    asked = not masked and language != other_language
    first, second = (changed, kept) if changed_first else (kept, changed)
    return Pair(first, second, int(same) if asked else IGNORED, masked, tags, changed_first)


def batches(corpus: Corpus, progress: float, rng: np.random.Generator) -> Iterator[list[Pair]]:
    """Draw a pool of pairs, sorted by length to save padding, and cut into batches in random order.

    Args:
        progress: The share of the training that is done, 0 to 1.

    Yields:
        POOLED_BATCHES lists of BATCH_SIZE pairs.
    """
    pool = [draw(corpus, progress, rng) for _ in range(BATCH_SIZE * POOLED_BATCHES)]
    pool.sort(key=lambda pair: len(pair.first) + len(pair.second))
    order = np.arange(POOLED_BATCHES)
    rng.shuffle(order)
    for k in order:
        yield pool[k * BATCH_SIZE : (k + 1) * BATCH_SIZE]


def collate(pairs: Sequence[Pair], vocabulary_size: int, rng: np.random.Generator) -> Batch:
    """Pad the pairs and mask pieces of the masked ones, as BERT does: 80 % [MASK], 10 % another piece, 10 % unchanged.

    ``vocabulary_size`` bounds the pieces that may replace a masked one.
    """
    shape = len(pairs), max(len(pair.first) + len(pair.second) for pair in pairs) + 3
    pieces, attention, segments = (np.zeros(shape, np.int64) for _ in range(3))
    tags = np.full(shape, IGNORED)
    maskable = np.zeros(shape, bool)
    for row, pair in enumerate(pairs):
        start = len(pair.first) + 2
        end = start + len(pair.second) + 1
        pieces[row, :end] = [CLS, *pair.first, SEP, *pair.second, SEP]
        attention[row, :end] = 1
        segments[row, start:end] = 1
        if pair.masked:
            maskable[row, :end] = True
        elif pair.changed_first:
            tags[row, 1 : start - 1] = pair.tags
        else:
            tags[row, start : end - 1] = pair.tags
    chosen = maskable & (pieces >= NUM_SPECIAL) & (rng.random(shape) < MASKED_PIECES)
    places = np.flatnonzero(chosen)
    flat = pieces.reshape(-1)
    true = flat[places].copy()
    fate = rng.random(len(places))
    flat[places[fate < 0.8]] = MASK
    other = (fate >= 0.8) & (fate < 0.9)
    flat[places[other]] = rng.integers(NUM_SPECIAL, vocabulary_size, other.sum())
    same_meaning = np.array([pair.same_meaning for pair in pairs])
    return Batch(*map(torch.from_numpy, (pieces, attention, segments, places, true, same_meaning, tags)))
