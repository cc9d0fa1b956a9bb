"""Every family's names for its dropout rates, by what a rate acts on, and whether a rate acts at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transformers import CONFIG_MAPPING, AutoConfig

from trainables.errors import InputError

if TYPE_CHECKING:
    from trainables.config import DropoutConfig

# ``hidden`` covers embeddings, feed-forward and residual; a family with a rate for each gets one value for all.
FIELDS = {
    "hidden": (
        "hidden_dropout_prob", "hidden_dropout", "dropout", "dropout_rate",
        "embedding_dropout", "mlp_dropout", "residual_dropout", "embed_dropout", "resid_dropout", "embd_pdrop",
        "resid_pdrop",
    ),
    "attention": (
        "attention_probs_dropout_prob", "attention_dropout", "attn_pdrop", "local_attention_probs_dropout_prob",
        "lsh_attention_probs_dropout_prob",
    ),
    "classifier": (
        "classifier_dropout", "classifier_dropout_prob", "cls_dropout", "pooler_dropout", "seq_classif_dropout",
        "summary_first_dropout", "summary_last_dropout", "classifier_dropout_rate",
    ),
}  # fmt: skip
# Read where it is set, but not among the declared defaults.
UNDECLARED = {"cls_dropout": ("deberta", "deberta-v2")}
# Declared, but not read by the sequence classifier.
UNREAD = {
    "attention_probs_dropout_prob": ("mra", "yoso"),
    "classifier_dropout": ("gpt_neo", "gpt_neox"),
    "embd_pdrop": ("phi3",),
    "resid_pdrop": ("mpt",),
    "summary_first_dropout": ("gpt2", "openai-gpt"),
    "summary_last_dropout": ("electra",),
}


def acting(settings: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The dropout rates that act in an encoder with a classification head.

    Args:
        settings: Content of config.json, of a model type that transformers knows.

    Returns:
        ``hidden``, ``attention`` and ``classifier``, each mapped to the configuration fields that set it; one that
        nothing sets is left out.
    """
    known = AutoConfig.for_model(settings["model_type"])
    found = {
        kind: tuple(field for field in fields if _reads(known, field, settings)) for kind, fields in FIELDS.items()
    }
    return {kind: fields for kind, fields in found.items() if fields}


def _reads(known: Any, field: str, settings: Mapping[str, Any]) -> bool:
    if known.model_type in UNDECLARED.get(field, ()):
        return True
    if known.model_type == "falcon" and field == "attention_dropout":
        return bool(settings.get("alibi"))  # with rotary positions, its attention drops nothing
    return hasattr(known, field) and known.model_type not in UNREAD.get(field, ())


def without_effect(settings: Mapping[str, Any], dropout: DropoutConfig) -> list[str]:
    """The requested kinds of dropout that an encoder does not have; a rate of 0 suits every encoder."""
    asked = [kind for kind in FIELDS if getattr(dropout, kind)]
    if not asked or settings["model_type"] not in CONFIG_MAPPING:  # an unknown type is refused when it is built
        return []
    found = acting(settings)
    return [kind for kind in asked if kind not in found]


def can_act(settings: Mapping[str, Any], dropout: DropoutConfig) -> bool:
    """Whether an encoder has any of the requested kinds of dropout, or no rate above 0 is requested."""
    asked = [kind for kind in FIELDS if getattr(dropout, kind)]
    return not asked or without_effect(settings, dropout) != asked


def set_dropout(settings: dict[str, Any], dropout: DropoutConfig, name: str) -> None:
    """Set an encoder's rates in its settings; a null rate stays the encoder's own.

    A kind that the encoder does not have is ignored if another requested kind acts.

    Raises:
        InputError: None of the requested kinds of dropout acts in it.
    """
    rates = {kind: rate for kind in FIELDS if (rate := getattr(dropout, kind)) is not None}
    if not rates:
        return
    if not can_act(settings, dropout):
        kind = without_effect(settings, dropout)[0]
        raise InputError(
            f"model.dropout.{kind}: {name} has no such dropout (looked for {', '.join(FIELDS[kind])}); leave it null"
        )
    fields = acting(settings) if settings["model_type"] in CONFIG_MAPPING else {}
    for kind, rate in rates.items():
        settings.update(dict.fromkeys(fields.get(kind, ()), rate))


def dropout_notes(settings: Mapping[str, Any], dropout: DropoutConfig, name: str) -> list[str]:
    """A line for each requested kind of dropout that does nothing, where others act."""
    return [
        f"model {name} has no rate of {kind} dropout of its own, so model.dropout.{kind} changes nothing in it"
        for kind in without_effect(settings, dropout)
    ]
