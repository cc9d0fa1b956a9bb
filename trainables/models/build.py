"""Building the classifier that a trial trains, from files in memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoConfig, PreTrainedModel
from transformers.utils import logging

from trainables.config import ModelConfig
from trainables.errors import InputError
from trainables.models.files import ModelFiles
from trainables.seeding import Streams

# Each kind of dropout under the names that the encoders' configurations give it.
DROPOUT_FIELDS = {
    "hidden": ("hidden_dropout_prob", "dropout"),
    "attention": ("attention_probs_dropout_prob", "attention_dropout"),
    "classifier": ("classifier_dropout", "seq_classif_dropout"),
}
LISTED = 4  # tensors in a message
LAYER_FIELDS = ("num_hidden_layers", "n_layers")


def build_model(files: ModelFiles, config: ModelConfig, num_labels: int, streams: Streams) -> PreTrainedModel:
    """The pretrained encoder in float32 with a newly initialised classification head, in evaluation mode.

    Attention is the eager implementation, whose second derivative exists everywhere: a trial with a Fisher penalty
    and one without differ in nothing else.

    Args:
        files: The encoder.
        config: Layers to keep and dropout rates.
        num_labels: Number of classes.
        streams: The head is initialised from these.

    Returns:
        The model.

    Raises:
        InputError: The encoder has no sequence classifier, or fewer layers than asked for, or no such dropout.
    """
    settings = copy.deepcopy(files.config)
    _set_layers(settings, config, files.name)
    _set_dropout(settings, config, files.name)
    settings["num_labels"] = num_labels
    for key in ("id2label", "label2id"):
        settings.pop(key, None)
    with streams.forked("initialization"):
        model, _ = _instantiate(files, settings, with_head=False)
    return model


def build_classifier(files: ModelFiles) -> tuple[PreTrainedModel, bool]:
    """A sequence classifier as it was saved, in float32 with eager attention, in evaluation mode.

    Args:
        files: The classifier.

    Returns:
        The model, and whether its head had to be newly initialised because the weights hold none.

    Raises:
        InputError: It is no sequence classifier, or weights and configuration do not fit.
    """
    model, missing = _instantiate(files, copy.deepcopy(files.config), with_head=True)
    return model, any(not name.startswith(f"{model.base_model_prefix}.") for name in missing)


def _instantiate(files: ModelFiles, settings: dict[str, Any], with_head: bool) -> tuple[PreTrainedModel, list[str]]:
    """The model and the names of the head's tensors that the weights do not hold."""
    for key in ("dtype", "torch_dtype"):
        settings.pop(key, None)
    model_type = settings.pop("model_type")
    try:
        model_config = AutoConfig.for_model(model_type, **settings)
        architecture = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(model_config)]
    except (KeyError, ValueError):
        raise InputError(
            f"model {files.name}: transformers has no sequence classifier for the model type {model_type!r}"
        ) from None
    encoder = f"{architecture.base_model_prefix}."
    weights = {name: torch.from_numpy(array.copy()) for name, array in files.weights.items()}
    if not with_head and any(name.startswith(encoder) for name in weights):
        weights = {name: tensor for name, tensor in weights.items() if name.startswith(encoder)}
    try:
        with _quiet():
            model, info = architecture.from_pretrained(
                None,
                config=model_config,
                state_dict=weights,
                attn_implementation="eager",
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # said below, by name
            )
    except RuntimeError as error:
        raise InputError(f"model {files.name}: weights do not fit config.json ({str(error).splitlines()[0]})") from None
    if misfits := sorted(info["mismatched_keys"]):
        parts = [f"{name} is {list(found)}, not {list(wanted)}" for name, found, wanted in misfits[:LISTED]]
        more = f" and {len(misfits) - LISTED} more" if len(misfits) > LISTED else ""
        in_head = not any(name.startswith(encoder) for name, *_ in misfits)
        classes = f", which names {model_config.num_labels} classes" if in_head else ""
        raise InputError(f"model {files.name}: weights do not fit config.json{classes}: {'; '.join(parts)}{more}")
    missing = sorted(info["missing_keys"])
    head = [name for name in missing if not name.startswith(encoder) or ".pooler." in name]
    if len(head) < len(missing):
        lost = [name for name in missing if name not in head]
        raise InputError(f"model {files.name}: the weights lack {len(lost)} of the encoder's tensors, {lost[0]} first")
    return model.eval(), head


def positions(model: Any) -> int:
    """Pieces that a model has positions for, special tokens included.

    Args:
        model: A transformers model.

    Returns:
        Its limit; RoBERTa's positions begin behind the padding index. 2**31 where there is none.
    """
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is None:
        return 2**31
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return int(limit) - (0 if padding is None else padding + 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' progress bar and its warning that the head is new, which is meant."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _set_layers(settings: dict[str, Any], config: ModelConfig, name: str) -> None:
    if config.num_hidden_layers is None:
        return
    field = next((field for field in LAYER_FIELDS if field in settings), None)
    if field is None or config.num_hidden_layers > settings[field]:
        raise InputError(
            f"model.num_hidden_layers={config.num_hidden_layers}, but {name} has "
            f"{settings[field] if field else 'an unknown number of'} layers"
        )
    settings[field] = config.num_hidden_layers


def _set_dropout(settings: dict[str, Any], config: ModelConfig, name: str) -> None:
    for kind, fields in DROPOUT_FIELDS.items():
        rate = getattr(config.dropout, kind)
        if rate is None:
            continue
        known = AutoConfig.for_model(settings["model_type"])
        field = next((field for field in fields if hasattr(known, field)), None)
        if field is None:
            raise InputError(f"model.dropout.{kind}: {name} has no such dropout (looked for {', '.join(fields)})")
        settings[field] = rate
