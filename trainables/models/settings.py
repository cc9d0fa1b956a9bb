"""From a config.json to the configuration that a classifier is built with, or one line that says what is wrong."""

from __future__ import annotations

import copy
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PretrainedConfig

from trainables.config import ModelConfig
from trainables.errors import InputError
from trainables.models.dropout import set_dropout

# An encoder-decoder declares ``num_hidden_layers`` too, but does not read it.
LAYER_FIELDS = ("encoder_layers", "num_hidden_layers", "n_layers", "num_layers", "n_layer")
HEAD_FIELDS = ("num_labels", "id2label", "label2id", "problem_type")
"""What a base says about its former head: the new head is described here."""
OURS = (
    "dtype", "torch_dtype", "attn_implementation", "_attn_implementation", "reference_compile",
    "gradient_checkpointing", "return_dict", "torchscript", "output_attentions", "output_hidden_states",
)  # fmt: skip
"""How a model computes and what it returns, which is decided here and not by a folder."""
LONGEST = 240  # characters of a cause in a message


def first_line(error: BaseException) -> str:
    """The first sentence or so of an error, in one line, for our own messages; its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # A line that ends in a colon says nothing yet.
    count = next((i + 1 for i, line in enumerate(lines) if not line.endswith(":")), len(lines))
    said = " ".join(lines[:count]) or type(error).__name__
    said = f"{type(error).__name__}: {said}" if isinstance(error, KeyError | AttributeError) and lines else said
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}..."


def encoder_settings(settings: dict[str, Any], config: ModelConfig, num_labels: int, name: str) -> dict[str, Any]:
    """A copy of an encoder's config.json for a new head; InputError where it lacks layers or a dropout asked for."""
    settings = copy.deepcopy(settings)
    for key in HEAD_FIELDS:
        settings.pop(key, None)
    _set_layers(settings, config, name)
    set_dropout(settings, config.dropout, name)
    settings["num_labels"] = num_labels
    return settings


def configuration(settings: dict[str, Any], name: str) -> PretrainedConfig:
    """The transformers configuration, without what a folder must not decide.

    Args:
        settings: Content of config.json, perhaps changed.

    Raises:
        InputError: transformers knows no such model or refuses a value, the weights are quantised, or the encoder
            needs more than the pieces of a sentence.
    """
    if (packing := settings.get("quantization_config")) is not None:
        kind = packing.get("quant_method") if isinstance(packing, dict) else None
        raise InputError(quantised(name, str(kind or "quantization_config in config.json")))
    model_type = settings["model_type"]
    if model_type not in CONFIG_MAPPING:
        raise InputError(f"model {name}: transformers has no sequence classifier for the model type {model_type!r}")
    rest = {key: value for key, value in settings.items() if key not in OURS and key != "model_type"}
    try:
        config = AutoConfig.for_model(model_type, **_label_maps(rest))
    except Exception as error:
        raise InputError(f"model {name}: transformers refuses its config.json ({first_line(error)})") from None
    _refuse_languages(config, name)
    return config


def quantised(name: str, how: str) -> str:
    """The message that refuses quantised weights; ``how`` says what shows that they are."""
    return (
        f"model {name}: its weights are quantised ({how}), which cannot be trained nor differentiated twice: name the "
        "checkpoint that they were made from"
    )


def _label_maps(settings: dict[str, Any]) -> dict[str, Any]:
    """Label maps as transformers expects them: numbers as numbers, names as text; also from a list of names."""
    named = dict(settings)
    try:
        if (names := settings.get("id2label")) is not None:
            pairs = names.items() if isinstance(names, dict) else enumerate(names)
            named["id2label"] = {int(number): str(label) for number, label in pairs}
        if isinstance(numbers := settings.get("label2id"), dict):
            named["label2id"] = {str(label): int(number) for label, number in numbers.items()}
    except (TypeError, ValueError):
        return settings  # which transformers refuses, by name
    return named


def _refuse_languages(config: PretrainedConfig, name: str) -> None:
    """Refuse an encoder that must be told which language a sentence is in: the pieces alone do not say."""
    if config.model_type == "xmod" and config.default_language is None:
        raise InputError(
            f"model {name} has an adapter for each language and no default among them: set "
            f'"default_language" in its config.json to one of {", ".join(config.languages)}'
        )
    if getattr(config, "use_lang_emb", False) and getattr(config, "n_langs", 1) > 1:
        raise InputError(
            f"model {name} needs a language id with every sentence (use_lang_emb), which a study does not give: choose "
            "an encoder without"
        )


def _set_layers(settings: dict[str, Any], config: ModelConfig, name: str) -> None:
    kept = config.num_hidden_layers
    if kept is None:
        return
    field = next((field for field in LAYER_FIELDS if field in settings), None)
    count = settings[field] if field else None
    if field is None or not isinstance(count, int) or kept > count:
        raise InputError(f"model.num_hidden_layers={kept}, but {name} has {count or 'an unknown number of'} layers")
    settings[field] = kept
    for key, value in settings.items():  # such as layer_types, which gives the type of each layer
        if "layer" in key and isinstance(value, list) and len(value) == count:
            settings[key] = value[:kept]
