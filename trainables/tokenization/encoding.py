"""Deterministic encoding, and the assembly of given pieces into the same form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from tokenizers import Encoding, Tokenizer

from trainables.data.contract import Rows
from trainables.errors import InputError


@dataclass(frozen=True)
class TokenizerFiles:
    """What encoding needs from a tokenizer; ``backend`` is its JSON (``tokenizer.json``).

    ``pads_left`` is a matter of the model that is to read the padding.
    """

    backend: str
    pad_id: int
    uses_token_types: bool
    special_ids: tuple[int, ...]
    pads_left: bool = False


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


def plain_tokenizer(backend: str) -> Tokenizer:
    """A tokenizer that neither pads nor truncates nor draws, whatever its file says."""
    tokenizer = Tokenizer.from_str(backend)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if getattr(tokenizer.model, "dropout", None):  # with a rate of its own, BPE encodes differently at every call
        tokenizer.model.dropout = None
    return tokenizer


def _word_tokenizer(backend: str) -> Tokenizer:
    """The tokenizer with a vocabulary that knows nothing, so that every word is an unknown piece, of id 0, as a whole.

    Added tokens get ids from 1.
    """
    no_piece = "\U0010ffff"  # a noncharacter, so it is in no text
    unknown = {"type": "Unigram", "unk_id": 0, "vocab": [[no_piece, 0.0]], "byte_fallback": False}
    return plain_tokenizer(json.dumps(json.loads(backend) | {"model": unknown}))


# A large vocabulary takes a second to read, and trying out a model asks for it again for every few rows.
@lru_cache(maxsize=2)
def _read(backend: str, max_length: int) -> tuple[Tokenizer, Tokenizer, dict[int, int], dict[bool, Template]]:
    """The tokenizer that truncates, the one that gives words, and the templates of one sentence and of a pair.

    With the second one come its ids of added tokens, mapped to those of the first.
    """
    tokenizer, words = plain_tokenizer(backend), _word_tokenizer(backend)
    names = {i: token.content for i, token in words.get_added_tokens_decoder().items()}
    added = {i: piece for i, name in names.items() if (piece := tokenizer.token_to_id(name)) is not None}
    templates = {pair: _template(words.encode("a", "a" if pair else None)) for pair in (False, True)}
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    return tokenizer, words, added, templates


def _template(encoding: Encoding) -> Template:
    template: Template = []
    for piece, kind, special, sequence in zip(
        encoding.ids, encoding.type_ids, encoding.special_tokens_mask, encoding.sequence_ids, strict=True
    ):
        place = (piece if special else -1 - (sequence or 0), kind)
        if special or place not in template:
            template.append(place)
    return template


def missing_unknown(backend: str) -> str | None:
    """What to do about a vocabulary without the piece for what it does not know; None where its texts need none."""
    model = json.loads(backend)["model"]
    if model["type"] == "Unigram":
        return 'set "unk_id" in its tokenizer.json to the number of a piece' if model.get("unk_id") is None else None
    token = model.get("unk_token")
    if token is None or token in model["vocab"]:
        return None
    return f'in its tokenizer.json, add {token!r} to the vocabulary or name one of its pieces in "unk_token"'


class Encoder:
    """Encodes sentences or pairs, and assembles pieces that were segmented elsewhere.

    Args:
        max_length: Largest number of pieces in an example, special tokens included.
    """

    def __init__(self, files: TokenizerFiles, max_length: int) -> None:
        self.files = files
        self.max_length = max_length
        self._tokenizer, self._words, self._added, self._templates = _read(files.backend, max_length)

    def encode(self, rows: Rows) -> list[Encoded]:
        """The tokenizer's own encoding of every row, truncated to ``max_length``.

        Raises:
            InputError: The tokenizer has a piece neither for some text nor for what it does not know.
        """
        inputs = rows.first if rows.second is None else list(zip(rows.first, rows.second, strict=True))
        try:
            return [Encoded(e.ids, e.type_ids) for e in self._tokenizer.encode_batch(inputs)]
        except Exception as error:  # `tokenizers` raises plain exceptions
            text = next((text for row in rows.examples() for text in row if not self._encodes(text)), "a row")
            what = "; ".join(filter(None, [" ".join(str(error).split()), missing_unknown(self.files.backend)]))
            raise InputError(f"the tokenizer cannot encode {text!r:.80} ({what})") from None

    def _encodes(self, text: str) -> bool:
        try:
            self._tokenizer.encode(text)
        except Exception:  # `tokenizers` raises plain exceptions
            return False
        return True

    def words(self, text: str) -> list[str | int]:
        """The normalised words that the model segments, and the ids of added tokens that the text contains.

        With SentencePiece, a word begins with the meta symbol.
        """
        found = self._words.encode(text, add_special_tokens=False)
        return [self._added[i] if i else word for word, i in zip(found.tokens, found.ids, strict=True)]

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

        def padded(rows: Iterable[list[int]], fill: int) -> torch.Tensor:
            pads = ((row, [fill] * (longest - len(row))) for row in rows)
            return torch.tensor([pad + row if self.files.pads_left else row + pad for row, pad in pads])

        inputs = {
            "input_ids": padded((e.ids for e in examples), self.files.pad_id),
            "attention_mask": padded(([1] * len(e) for e in examples), 0),
        }
        if self.files.uses_token_types:
            inputs["token_type_ids"] = padded((e.types for e in examples), 0)
        return inputs
