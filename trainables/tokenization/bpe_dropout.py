"""BPE-dropout (Provilkov et al. 2020): a word's merges in order of rank, each left out now and then."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from trainables.tokenization.sampler import SubwordSampler

META = "▁"  # represents a blank
_BOUNDARY = re.compile(f"(?<=[^{META}])(?={META})")

_Merge = tuple[int, int, int, int, int]  # rank, place of the left symbol, left id, right id, merged id


class BPESampler(SubwordSampler):
    """Draws segmentations of words of a BPE vocabulary, byte-level or with a meta symbol for blanks.

    Algorithm 1 of the paper: each occurrence of a currently possible merge is left out with probability ``strength``;
    of those that remain, the one with the best rank is applied (the leftmost among equals); this repeats until none
    remains. A merge that was left out may be drawn again after the next one has been applied. A word starts as its
    characters; one that the vocabulary lacks becomes its UTF-8 bytes where the vocabulary has all of them
    (``byte_fallback``), else the unknown piece. Sampling creates no unknown piece that plain encoding does not create.

    A tokenizer that passes on whole sentences, and in which no merge crosses a meta symbol, is sampled word by word:
    among the many merges of a sentence, one that was left out would be redrawn until it was applied.
    """

    def __init__(self, model: dict[str, Any]) -> None:
        self._vocabulary: dict[str, int] = model["vocab"]
        unknown = model.get("unk_token")
        # A file may name a piece that is missing; then the tokenizer encodes only what needs none.
        self._unknown: int | None = self._vocabulary.get(unknown)
        self._prefix: str = model.get("continuing_subword_prefix") or ""
        self._suffix: str = model.get("end_of_word_suffix") or ""
        self._byte_fallback = bool(model.get("byte_fallback"))
        self._fuses_unknown = bool(model.get("fuse_unk"))
        self._takes_whole_words = bool(model.get("ignore_merges"))
        self._merges: dict[tuple[int, int], tuple[int, int]] = {}  # ids of a pair to rank and merged id
        # Older files write a pair as one string with a blank.
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        for rank, (left, right) in enumerate(pairs):
            merged = self._vocabulary[left + right[len(self._prefix) :]]
            self._merges[self._vocabulary[left], self._vocabulary[right]] = rank, merged
        crosses = any(_BOUNDARY.search(left + right) for left, right in pairs)
        self._divides = META in self._vocabulary and not crosses
        self._characters: dict[str, list[int]] = {}

    def _sample(self, words: list[str], strength: float, seed: int) -> list[list[int]]:
        """One segmentation for each word.

        Args:
            words: Normalised words as the tokenizer's pre-tokenizer gives them; byte-level ones in its alphabet.
            strength: Probability that a merge is left out, 0 to 1; 0 is the plain segmentation, 1 spells the word.
        """
        draw = random.Random(seed).random
        segmented = []
        for word in words:
            if strength == 0:
                segmented.append(self._plain(word))
                continue
            parts = _BOUNDARY.split(word) if self._divides else [word]
            pieces = [piece for part in parts for piece in self._merge(self._spell(part), strength, draw)]
            if self._unknown in pieces and self._unknown not in (plain := self._plain(word)):
                pieces = plain
            segmented.append(pieces)
        return segmented

    def _plain(self, word: str) -> list[int]:
        if self._takes_whole_words and word in self._vocabulary:
            return [self._vocabulary[word]]
        return self._merge(self._spell(word), 0.0, random.random)

    def _spell(self, word: str) -> list[int]:
        """The word's characters as ids."""
        if (known := self._characters.get(word)) is not None:
            return known
        ids: list[int] = []
        for place, character in enumerate(word):
            prefix = self._prefix if place else ""
            suffix = self._suffix if place == len(word) - 1 else ""
            if (piece := self._vocabulary.get(f"{prefix}{character}{suffix}")) is not None:
                ids.append(piece)
            elif self._byte_fallback and None not in (bytes_ := self._bytes(character)):
                ids.extend(piece for piece in bytes_ if piece is not None)
            elif self._unknown is not None and not (self._fuses_unknown and ids[-1:] == [self._unknown]):
                ids.append(self._unknown)
        self._characters[word] = ids
        return ids

    def _bytes(self, character: str) -> list[int | None]:
        return [self._vocabulary.get(f"<0x{byte:02X}>") for byte in character.encode()]

    def _merge(self, spelled: list[int], strength: float, draw: Callable[[], float]) -> list[int]:
        size = len(spelled)
        ids = [*spelled, -1]  # -1 marks the end, and a symbol that a merge has absorbed
        left, right = list(range(-1, size)), list(range(1, size + 2))
        queue: list[_Merge] = []

        def offer(place: int) -> None:
            pair = ids[place], ids[right[place]]
            if (found := self._merges.get(pair)) is not None:
                heappush(queue, (found[0], place, *pair, found[1]))

        for place in range(size - 1):
            offer(place)
        left_out: list[_Merge] = []
        while queue:
            candidate = heappop(queue)
            _, place, one, other, merged = candidate
            if ids[place] != one or ids[right[place]] != other:
                continue  # an earlier merge took one of the two
            if strength and draw() < strength:
                left_out.append(candidate)
                continue
            taken = right[place]
            ids[place], ids[taken] = merged, -1
            right[place] = right[taken]
            left[right[taken]] = place
            for again in left_out:
                heappush(queue, again)
            left_out.clear()
            if left[place] >= 0:
                offer(left[place])
            offer(place)
        return [piece for piece in ids if piece >= 0]
