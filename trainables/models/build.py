"""Building the classifier that a trial trains, from files in memory."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, PretrainedConfig, PreTrainedModel
from transformers.utils import logging

from trainables.config import ModelConfig
from trainables.errors import InputError
from trainables.models.files import ModelFiles
from trainables.models.lora import add_lora
from trainables.models.settings import configuration, encoder_settings, first_line
from trainables.seeding import Streams

LISTED = 4  # tensors in a message


def build_model(files: ModelFiles, config: ModelConfig, num_labels: int, streams: Streams) -> PreTrainedModel:
    """The pretrained encoder in float32 with a newly initialised classification head, in evaluation mode.

    Attention uses the eager implementation, whose second derivative exists everywhere, so that trials with and without
    a Fisher penalty differ in nothing else.

    Raises:
        InputError: The encoder has no sequence classifier, or fewer layers than asked for, or lacks the dropout or the
            layers to update.
    """
    settings = encoder_settings(files.config, config, num_labels, files.name)
    with streams.forked("initialization"):
        model, new = instantiate(files, settings, with_head=False)
    if config.lora is not None:
        add_lora(model, config.lora, new, streams, (files.name, files.revision))
    return model


def build_classifier(files: ModelFiles) -> tuple[PreTrainedModel, bool]:
    """A sequence classifier as it was saved, in float32 with eager attention, in evaluation mode.

    Returns:
        The model, and whether its head had to be newly initialised because the weights contain none.

    Raises:
        InputError: It is not a sequence classifier, or weights and configuration do not fit.
    """
    with Streams(0).forked("initialization"):  # a new head is the same in every run
        model, missing = instantiate(files, files.config, with_head=True)
    return model, any(not name.startswith(f"{model.base_model_prefix}.") for name in missing)


def instantiate(files: ModelFiles, settings: dict[str, Any], with_head: bool) -> tuple[PreTrainedModel, list[str]]:
    """A float32 classifier built from a configuration, in evaluation mode.

    Args:
        with_head: Whether the head, and not only the encoder, is read from the weights.

    Returns:
        The model, and the names of its newly initialised tensors.

    Raises:
        InputError: It is not a sequence classifier, or weights and configuration do not fit.
    """
    model_config = configuration(settings, files.name)
    classifier = architecture(model_config, files.name)
    padding = files.tokenizer.pad_id
    # A decoder looks for the last piece before the padding.
    looks = "pad_token_id" in inspect.unwrap(classifier.forward).__code__.co_names
    unknown = getattr(model_config, "pad_token_id", 0) is None
    if (looks or unknown) and padding < getattr(model_config, "vocab_size", 0):
        model_config.pad_token_id = padding
    encoder = f"{classifier.base_model_prefix}."
    weights = {name: torch.from_numpy(array.copy()) for name, array in files.weights.items()}
    if not with_head and any(name.startswith(encoder) for name in weights):
        weights = {name: tensor for name, tensor in weights.items() if name.startswith(encoder)}
    try:
        with quiet():
            model, info = classifier.from_pretrained(
                None,
                config=model_config,
                state_dict=weights,
                attn_implementation="eager",
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, by name
            )
    except RuntimeError as error:
        raise InputError(f"model {files.name}: weights do not fit config.json ({first_line(error)})") from None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, ImportError, TypeError, ValueError) as error:
        raise InputError(f"model {files.name} cannot be built from its config.json ({first_line(error)})") from None
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


def architecture(config: PretrainedConfig, name: str) -> type[PreTrainedModel]:
    """The class of the sequence classifier for a configuration; InputError where transformers has none."""
    try:
        found: type[PreTrainedModel] = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
    except KeyError:
        kind = config.model_type
        raise InputError(f"model {name}: transformers has no sequence classifier for the model type {kind!r}") from None
    return found


def positions(model: Any) -> int:
    """The number of pieces that a model has positions for, special tokens included.

    RoBERTa's positions begin after the padding index. The number is 2**31 where there is no limit, which configurations
    express as null or -1.
    """
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is None or limit < 1:
        return 2**31
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return int(limit) - (0 if padding is None else padding + 1)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' progress bar and warnings, for instance that the head is new, which is intended."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
