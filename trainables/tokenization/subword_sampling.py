"""Sampled segmentations of a word: MaxMatch-Dropout for WordPiece, the unigram language model, BPE-dropout.

All are built from the tokenizer's own JSON, so their ids are the model's, whatever the offsets in the original file.
"""

from __future__ import annotations

import json
import math
import random
from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from tokenizers import models

from trainables.errors import InputError
from trainables.tokenization.bpe_dropout import BPESampler
from trainables.tokenization.sampler import SubwordSampler

Lattice = list[tuple[list[tuple[int, int]], list[float]]]
"""For each place in a word: starts and ids of the pieces that end there, and their cumulative probabilities."""


class WordPieceSampler(SubwordSampler):
    """MaxMatch-Dropout (Hiraoka 2022): longest match first, each match rejected with probability ``strength``.

    A single character is never rejected. Where it is not in the vocabulary and all longer matches were rejected, the
    longest match is used, and where nothing matches at all, the word takes its plain segmentation: sampling creates no
    unknown word that plain encoding does not create.

    With ``drop_single_characters``, the rule is that of MVR's code: single characters are rejected too, and a word in
    which no match survives at some place becomes unknown as a whole; with mBERT's vocabulary at 0.2, these are 7.4 % of
    English words, and exactly 20 % of one-letter words.

    Args:
        model: The ``model`` part of the tokenizer's JSON.
    """

    def __init__(self, model: dict[str, Any], drop_single_characters: bool = False) -> None:
        self._drop_single_characters = drop_single_characters
        self._vocabulary: dict[str, int] = model["vocab"]
        # A file may name a piece that is missing; then the tokenizer encodes only what needs none.
        self._unknown = [self._vocabulary[model["unk_token"]]] if model["unk_token"] in self._vocabulary else []
        if drop_single_characters and not self._unknown:
            raise InputError("view.drop_single_characters needs a vocabulary with an unknown piece")
        self._prefix: str = model["continuing_subword_prefix"]
        self._longest_word: int = model["max_input_chars_per_word"]
        self._longest_piece = max(map(len, self._vocabulary))
        self._matches: dict[str, list[list[tuple[int, int]]] | None] = {}

    def _candidates(self, word: str) -> list[list[tuple[int, int]]] | None:
        """For each start, the vocabulary's matches as (end, id), longest first; None where plain encoding fails."""
        if word not in self._matches:
            if (size := len(word)) > self._longest_word:
                return None
            table: list[list[tuple[int, int]]] = []
            for start in range(size):
                prefix = self._prefix if start else ""
                ends = range(min(size, start + self._longest_piece), start, -1)
                ids = ((end, self._vocabulary.get(prefix + word[start:end])) for end in ends)
                table.append([(end, piece) for end, piece in ids if piece is not None])
            self._matches[word] = table if self._greedy_succeeds(table) else None
        return self._matches[word]

    @staticmethod
    def _greedy_succeeds(table: list[list[tuple[int, int]]]) -> bool:
        at = 0
        while at < len(table):
            if not table[at]:
                return False
            at = table[at][0][0]
        return True

    def _sample(self, words: list[str], strength: float, seed: int) -> list[list[int]]:
        """One segmentation for each word.

        Args:
            strength: Probability that a match is rejected, 0 to 1; 0 is the plain segmentation.

        Returns:
            Ids of each word; the unknown id alone where plain encoding gives it.
        """
        draw = random.Random(seed).random
        tables = [self._candidates(word) for word in words]
        return [list(self._unknown) if table is None else self._segment(table, strength, draw) for table in tables]

    def _segment(self, table: list[list[tuple[int, int]]], strength: float, draw: Callable[[], float]) -> list[int]:
        pieces: list[int] = []
        at, drops = 0, self._drop_single_characters
        while at < len(table):
            kept = (match for match in table[at] if (match[0] == at + 1 and not drops) or draw() >= strength)
            if (match := next(kept, None)) is None and drops:
                return list(self._unknown)
            if not table[at]:
                return self._segment(table, 0.0, draw)
            at, piece = match or table[at][0]
            pieces.append(piece)
        return pieces


class UnigramSampler(SubwordSampler):
    """Subword regularisation (Kudo 2018) over all segmentations, weighted by probability to the power ``strength``.

    The tokenizer's own library gives the plain segmentations, and forward filtering and backward sampling the others:
    SentencePiece's draws differ from one process to the next, whatever the seed (version 0.2.3).

    Args:
        model: The ``model`` part of the tokenizer's JSON.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        vocabulary, unknown = [(piece, score) for piece, score in model["vocab"]], model["unk_id"]
        bytes_ = {f"<0x{byte:02X}>" for byte in range(256)} if model.get("byte_fallback") else set()
        if not bytes_ <= {piece for piece, _ in vocabulary}:
            raise InputError("this tokenizer has byte_fallback, but lacks some of the pieces <0x00> to <0xFF>")
        # No other exceptions: an added token is no part of a word, and the tokenizer knows no control pieces.
        self._scores = {
            piece: (index, score)
            for index, (piece, score) in enumerate(vocabulary)
            if index != unknown and piece not in bytes_
        }
        self._plain = models.Unigram(vocabulary, unknown, bool(bytes_))
        self._longest_piece = max(map(len, self._scores), default=1)
        self._lattices: dict[tuple[str, float], Lattice | None] = {}

    def _sample(self, words: list[str], strength: float, seed: int) -> list[list[int]]:
        """One segmentation for each word.

        Args:
            words: Each begins with the meta symbol.
            strength: The exponent alpha above 0; the smaller, the more uniform. 0 means the plain segmentation.
        """
        draw = random.Random(seed).random
        return [self._segment(word, strength, draw) for word in words]

    def _segment(self, word: str, strength: float, draw: Callable[[], float]) -> list[int]:
        if strength > 0 and (word, strength) not in self._lattices:
            self._lattices[word, strength] = self._lattice(word, strength)
        lattice = self._lattices.get((word, strength))
        if lattice is None:
            return [token.id for token in self._plain.tokenize(word)]
        pieces: list[int] = []
        at = len(word)
        while at:
            ways, cumulative = lattice[at]
            at, piece = ways[bisect(cumulative, draw())]
            pieces.append(piece)
        return pieces[::-1]

    def _lattice(self, word: str, strength: float) -> Lattice | None:
        """For each end, the last pieces of the segmentations up to there; None for a word that no pieces spell.

        Such a word keeps its plain segmentation: sampling creates no unknown piece or bytes of its own.
        """
        forward = [0.0, *[-math.inf] * len(word)]  # log of the sum of weights of the segmentations up to each place
        lattice: Lattice = [([], [])]
        for end in range(1, len(word) + 1):
            ways, weights = [], []
            for start in range(max(0, end - self._longest_piece), end):
                found = self._scores.get(word[start:end])
                if found is not None and forward[start] > -math.inf:
                    ways.append((start, found[0]))
                    weights.append(forward[start] + strength * found[1])
            if weights:
                largest = max(weights)
                cumulative = list(accumulate(math.exp(weight - largest) for weight in weights))
                forward[end] = largest + math.log(cumulative[-1])
                lattice.append((ways, [part / cumulative[-1] for part in cumulative]))
            else:
                lattice.append(([], []))
        return lattice if forward[-1] > -math.inf else None


def subword_sampler(backend: str, drop_single_characters: bool = False) -> SubwordSampler:
    """The sampler for a tokenizer's vocabulary.

    Raises:
        InputError: The vocabulary is of another kind, or lacks bytes that it says it has, or is not WordPiece with an
            unknown piece where ``drop_single_characters`` is asked for.
    """
    model = json.loads(backend)["model"]
    kind = model["type"]
    if kind == "WordPiece":
        return WordPieceSampler(model, drop_single_characters)
    samplers: dict[str, type[UnigramSampler | BPESampler]] = {"Unigram": UnigramSampler, "BPE": BPESampler}
    if kind not in samplers:
        raise InputError(f"subword sampling knows the vocabularies WordPiece, Unigram, BPE; this tokenizer's is {kind}")
    if drop_single_characters:
        raise InputError(f"view.drop_single_characters is a rule of WordPiece; this tokenizer's vocabulary is {kind}")
    return samplers[kind](model)
