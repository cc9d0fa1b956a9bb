"""Whether a tokenizer's output fits into a model's tables: pieces, token types and positions."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer
from torch import nn

from trainables.errors import InputError
from trainables.models.build import positions
from trainables.tokenization.encoding import Encoded, TokenizerFiles


def check_inputs(model: Any, tokenizer: TokenizerFiles, encoded: Sequence[Encoded], name: str) -> None:
    """Report what a model cannot look up in some examples, where torch would say ``index out of range in self``.

    Args:
        tokenizer: What encoded the examples.
        encoded: At least one example.

    Raises:
        InputError: An id is outside the model's tables, or the model takes no token types and the tokenizer gives some.
    """
    pieces = _pieces(model)
    worst = max(tokenizer.pad_id, *(max(example.ids, default=0) for example in encoded))
    if pieces is not None and worst >= pieces:
        backend = Tokenizer.from_str(tokenizer.backend)
        raise InputError(
            f"model {name}: the id {worst:,} (piece {backend.id_to_token(worst)!r}) is outside the model's tables, "
            f"which have {pieces:,} pieces (the tokenizer {backend.get_vocab_size():,}): is this the model's tokenizer?"
        )
    if tokenizer.uses_token_types:
        if "token_type_ids" not in inspect.signature(model.forward).parameters:
            raise InputError(
                f"model {name} takes no token types, but its tokenizer gives them: is this the model's tokenizer? If "
                'so, set "model_input_names" to ["input_ids", "attention_mask"] in its tokenizer_config.json'
            )
        types = _token_types(model)
        worst = max(max(example.types, default=0) for example in encoded)
        if types is not None and worst >= types:
            raise InputError(
                f"model {name}: the token type {worst} of a second sentence is outside the model's tables ({types} "
                "types): is this the model's tokenizer?"
            )
    if (longest := max(map(len, encoded))) > (limit := positions(model)):
        raise InputError(
            f"model {name}: an example of {longest:,} pieces is outside the model's tables ({limit:,} positions): "
            "cut the examples there"
        )


def fits(model: Any, tokenizer: TokenizerFiles) -> bool:
    """Whether the model's table has a row for every piece of a vocabulary, so that no example need be looked at.

    It is also true for a model that looks up no pieces.
    """
    pieces = _pieces(model)
    largest = max(Tokenizer.from_str(tokenizer.backend).get_vocab().values(), default=0)
    return pieces is None or max(largest, tokenizer.pad_id) < pieces


def _pieces(model: Any) -> int | None:
    """Rows of the table of pieces; None where the model has no such table, such as one that hashes characters."""
    try:
        table = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return table.num_embeddings if isinstance(table, nn.Embedding) else None


def _token_types(model: nn.Module) -> int | None:
    """Rows of the table of token types, where the model has one."""
    for name, module in model.named_modules():
        if name.endswith("token_type_embeddings") and isinstance(module, nn.Embedding):
            return module.num_embeddings
    return None
