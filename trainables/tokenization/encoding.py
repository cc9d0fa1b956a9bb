"""Deterministic encoding, and the assembly of given pieces into the same form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from tokenizers import Encoding, Tokenizer

from trainables.data.contract import Rows


@dataclass(frozen=True)
class TokenizerFiles:
    """What encoding needs from a tokenizer; ``backend`` is its JSON (``tokenizer.json``)."""

    backend: str
    pad_id: int
    uses_token_types: bool
    special_ids: tuple[int, ...]


@dataclass(frozen=True)
class Encoded:
    """One encoded example: piece ids and token types, special tokens included."""

    ids: list[int]
    types: list[int]

    def __len__(self) -> int:
        return len(self.ids)


def longest_first(lengths: tuple[int, int], room: int) -> tuple[int, int]:
    """How many pieces of each sentence are kept if ``room`` fit, as with ``tokenizers``' strategy ``longest_first``.

    Example:
        >>> longest_first((10, 4), 9), longest_first((10, 9), 9), longest_first((3, 4), 9)
        ((5, 4), (5, 4), (3, 4))
    """
    if sum(lengths) <= room:
        return lengths
    short, long = sorted(lengths)
    long = max(short, room - short)
    if short + long > room:
        short, long = room // 2, room - room // 2
    return (long, short) if lengths[0] > lengths[1] else (short, long)


Template = list[tuple[int, int]]
"""Special ids and places of the sentences, as (id, type); ids -1 and -2 represent the sentences."""


# A large vocabulary takes a second to read, and trying out a model asks for it again for every few rows.
@lru_cache(maxsize=2)
def _read(backend: str, max_length: int) -> tuple[Tokenizer, dict[bool, Template]]:
    """The tokenizer that truncates, and the templates of one sentence and of a pair."""
    tokenizer = Tokenizer.from_str(backend)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    templates = {pair: _template(tokenizer.encode("a", "a" if pair else None)) for pair in (False, True)}
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer, templates


def _template(encoding: Encoding) -> Template:
    template: Template = []
    for piece, kind, special, sequence in zip(
        encoding.ids, encoding.type_ids, encoding.special_tokens_mask, encoding.sequence_ids, strict=True
    ):
        place = (piece if special else -1 - (sequence or 0), kind)
        if special or place not in template:
            template.append(place)
    return template


class Encoder:
    """Encodes sentences or pairs, and assembles pieces that were segmented elsewhere.

    Args:
        max_length: Largest number of pieces in an example, special tokens included.
    """

    def __init__(self, files: TokenizerFiles, max_length: int) -> None:
        self.files = files
        self.max_length = max_length
        self._tokenizer, self._templates = _read(files.backend, max_length)

    def encode(self, rows: Rows) -> list[Encoded]:
        """The tokenizer's own encoding of every row, truncated to ``max_length``."""
        inputs = rows.first if rows.second is None else list(zip(rows.first, rows.second, strict=True))
        return [Encoded(e.ids, e.type_ids) for e in self._tokenizer.encode_batch(inputs)]

    def words(self, text: str) -> list[str]:
        """The normalised words that the model segments; with SentencePiece each begins with the meta symbol."""
        tokenizer = self._tokenizer
        normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
        if tokenizer.pre_tokenizer is None:
            return [normal]
        return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]

    def assemble(self, first: Sequence[int], second: Sequence[int] | None) -> Encoded:
        """Pieces of one or two sentences with special tokens and truncation, as the tokenizer would put them."""
        template = self._templates[second is not None]
        special = sum(piece >= 0 for piece, _ in template)
        kept = longest_first((len(first), len(second or ())), self.max_length - special)
        ids: list[int] = []
        types: list[int] = []
        for piece, kind in template:
            part = [piece] if piece >= 0 else list(first[: kept[0]] if piece == -1 else (second or ())[: kept[1]])
            ids.extend(part)
            types.extend([kind] * len(part))
        return Encoded(ids, types)

    def batch(self, examples: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """Padded model inputs.

        Returns:
            ``input_ids``, ``attention_mask`` and, where the model takes them, ``token_type_ids``: each
            ``[batch, longest]`` int64.
        """
        longest = max(len(example) for example in examples)
        pads = [longest - len(example) for example in examples]
        inputs = {
            "input_ids": torch.tensor([e.ids + [self.files.pad_id] * p for e, p in zip(examples, pads, strict=True)]),
            "attention_mask": torch.tensor([[1] * len(e) + [0] * p for e, p in zip(examples, pads, strict=True)]),
        }
        if self.files.uses_token_types:
            inputs["token_type_ids"] = torch.tensor([e.types + [0] * p for e, p in zip(examples, pads, strict=True)])
        return inputs
