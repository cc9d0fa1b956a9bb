"""Where in a model the views find what they change: its word-embedding table and its encoder's layers."""

from __future__ import annotations

from typing import Any

from torch import nn

from trainables.errors import InputError

# Names that transformers' encoders give to the list of their layers.
LAYER_LISTS = ("layer", "layers", "h", "block")


def word_embedding(model: Any) -> nn.Embedding:
    """The word-embedding table of a model, or of an encoder-decoder's encoder; InputError where none is found."""
    # A decoder may share the weights through its own table, and the model's table may then never be called.
    reader = model.base_model.encoder if getattr(model.config, "is_encoder_decoder", False) else model
    try:
        table = reader.get_input_embeddings()
    except NotImplementedError:
        table = None
    if not isinstance(table, nn.Embedding):
        raise InputError(
            f"{type(model).__name__} has no table of word embeddings, which the view perturbs; "
            "choose another view or another model"
        )
    return table


def encoder_layers(model: Any) -> nn.ModuleList:
    """The encoder's layers, first to last; InputError where the model has no such list."""
    for name, module in model.named_modules():
        named = name.rpartition(".")[2] in LAYER_LISTS
        if named and isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers:
            return module
    raise InputError(
        f"{type(model).__name__} has no list of encoder layers, whose states the view needs; "
        "choose another view or another model"
    )
