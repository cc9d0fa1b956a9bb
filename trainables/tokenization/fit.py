"""Whether a tokenizer fits its vocabulary and the data: letters that it loses, and unknown pieces."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping

from tokenizers import Tokenizer

from trainables.data.contract import Rows
from trainables.tokenization.encoding import TokenizerFiles, plain_tokenizer

ROWS = 1_000
"""Rows of each split and language that are looked at."""
MANY_UNKNOWN = 0.05
"""Share of unknown pieces that is worth a note; mBERT has at most 0.009 on XNLI and PAWS-X in five languages."""
SOME_PIECES = 0.01
"""Share of a vocabulary that is no accident; an uncased one contains a few odd capitals."""


def tokenizer_notes(name: str, files: TokenizerFiles, parts: Mapping[str, Rows]) -> list[str]:
    """Sentences that a person should read before a run; none where the tokenizer fits."""
    return [*_lost_letters(name, files), *_unknown_pieces(name, files, parts), *_own_dropout(name, files)]


def _own_dropout(name: str, files: TokenizerFiles) -> list[str]:
    """A rate of BPE-dropout in the file, which ``plain_tokenizer`` switches off."""
    if not (rate := json.loads(files.backend)["model"].get("dropout")):
        return []
    return [
        f"the tokenizer of model {name} leaves out merges at random (dropout {rate:g} in its tokenizer.json); this is "
        "switched off, so that a text is encoded the same way every time: subword views draw segmentations"
    ]


def _lost_letters(name: str, files: TokenizerFiles) -> list[str]:
    """Pieces that the tokenizer never produces, since it removes capitals or accents beforehand."""
    tokenizer = Tokenizer.from_str(files.backend)
    if tokenizer.normalizer is None:
        return []
    special = set(files.special_ids)
    pieces = [piece.removeprefix("##") for piece, number in tokenizer.get_vocab().items() if number not in special]
    losses: dict[str, tuple[Callable[[str], bool], str]] = {
        "capital letters": (_has_capitals, "lowers its input (do_lower_case)"),
        "accents": (_has_accents, "strips accents (strip_accents)"),
    }
    notes = []
    for what, (has, does) in losses.items():
        having = [piece for piece in pieces if has(piece)]
        lost = sum(not has(tokenizer.normalizer.normalize_str(piece)) for piece in having)
        if lost > len(having) / 2 and lost > SOME_PIECES * len(pieces):
            notes.append(
                f"the tokenizer of model {name} {does}, but {lost:,} of the {len(pieces):,} pieces of its vocabulary "
                f"({lost / len(pieces):.0%}) have {what} and are never used: is its tokenizer_config.json missing?"
            )
    return notes


def _has_capitals(text: str) -> bool:
    return text != text.lower()


def _has_accents(text: str) -> bool:
    return any(unicodedata.category(character) == "Mn" for character in unicodedata.normalize("NFD", text))


def _unknown_pieces(name: str, files: TokenizerFiles, parts: Mapping[str, Rows]) -> list[str]:
    """The share of unknown pieces in the first rows, where it is sizeable."""
    if (unknown := _unknown_id(files)) is None:
        return []
    tokenizer = plain_tokenizer(files.backend)
    shares = {}
    for part, rows in parts.items():
        texts = [text for example in rows.take(range(min(ROWS, len(rows)))).examples() for text in example]
        ids = [i for found in tokenizer.encode_batch(texts, add_special_tokens=False) for i in found.ids]
        shares[part] = ids.count(unknown) / max(1, len(ids))
    many = ", ".join(f"{part} {share:.1%}" for part, share in shares.items() if share > MANY_UNKNOWN)
    if not many:
        return []
    return [f"pieces that the tokenizer of model {name} does not know, in the first {ROWS:,} rows: {many}"]


def _unknown_id(files: TokenizerFiles) -> int | None:
    """Id of the unknown piece; None where the vocabulary covers every text."""
    model = json.loads(files.backend)["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    token = model.get("unk_token")
    return None if token is None else model["vocab"].get(token)
