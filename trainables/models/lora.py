"""LoRA (Hu et al. 2022, section 4.1): trained low-rank updates of frozen weights, from the library peft.

Tr(F) over the factors and Tr(F) over the merged weights are different numbers, and a minimum that is flat in one need
not be flat in the other (Li et al. 2025, "Flat-LoRA"). Update and merging are here; ``adapters`` has the files.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from pydantic import Field

from trainables.errors import InputError
from trainables.schema import Count, Fraction, Frozen, Label

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from trainables.seeding import Streams

ADAPTER_NAME = "default"
"""What peft calls an adapter in the names of its parameters."""


class LoraConfig(Frozen):
    """``W + (alpha / rank) B A`` instead of chosen matrices (Hu et al. 2022, equation 3).

    A ``[rank, in]`` and B ``[out, rank]`` are trained, and so is all that the checkpoint does not contain: the head,
    and the pooler where it is new. Everything else is frozen. A is drawn from the trial's seed and B starts at zero.
    """

    rank: Count = Field(8, description="rank of an update")
    alpha: float = Field(16.0, gt=0.0, description="an update is scaled by alpha / rank")
    dropout: Fraction = Field(0.0, description="dropout on the input of A (fraction)")
    targets: tuple[Label, ...] = Field(
        ("query", "value"), min_length=1, description="how the names of the encoder's updated linear layers end"
    )


def load_peft() -> Any:
    """The library peft, loaded only where needed, since loading takes seconds; InputError where it is not installed."""
    try:
        import peft
    except ImportError as error:
        raise InputError(f"LoRA needs the library peft, which cannot be imported ({error}): pip install peft") from None
    return peft


def add_lora(
    model: PreTrainedModel, config: LoraConfig, new: Collection[str], streams: Streams, base: tuple[str, str | None]
) -> None:
    """Freeze a classifier in place, except for what is new in it, and add low-rank updates.

    The outputs stay as they were, since B is zero.

    Args:
        new: Names of the parameters that were newly initialised.
        base: Name and revision of the encoder, for messages and for the saved adapter.

    Raises:
        InputError: peft is missing, or a target matches no linear layer of the encoder, or one that is too small.
    """
    from transformers.pytorch_utils import Conv1D

    peft = load_peft()
    layers = _layers(model, config, new, base[0])
    settings = peft.LoraConfig(
        r=config.rank,
        # peft's own files contain whole numbers where possible.
        lora_alpha=int(config.alpha) if config.alpha.is_integer() else config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(layers),
        fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in layers.values()),  # weights are [in, out] there
        base_model_name_or_path=base[0],
        revision=base[1],
        task_type="SEQ_CLS",
    )
    with streams.forked("initialization", "lora"):
        peft.inject_adapter_in_model(settings, model, adapter_name=ADAPTER_NAME)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in new or ".lora_" in name)
    model.eval()


def _layers(model: PreTrainedModel, config: LoraConfig, new: Collection[str], base: str) -> dict[str, Any]:
    """The encoder's pretrained linear layers that the targets match, by full name: peft would also take the head's."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    encoder = f"{model.base_model_prefix}."
    linear = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and name.startswith(encoder) and f"{name}.weight" not in new
    }
    found: dict[str, Any] = {}
    for target in config.targets:
        matched = {name: layer for name, layer in linear.items() if f".{name}".endswith(f".{target}")}
        if not matched:
            known = ", ".join(sorted({name.rpartition(".")[2] for name in linear})) or "none"
            raise InputError(
                f"model {base}: model.lora.targets={target!r} matches no linear layer of the encoder; "
                f"the names that exist: {known}"
            )
        found |= matched
    side, smallest = min((min(layer.weight.shape), name) for name, layer in found.items())
    if config.rank > side:
        raise InputError(
            f"model {base}: model.lora.rank={config.rank} is above {side}, the smaller side of {smallest}, which its "
            f"update's rank cannot exceed: set it to at most {side}"
        )
    return found


def has_lora(model: PreTrainedModel) -> bool:
    """Whether a model has low-rank updates."""
    return bool(getattr(model, "peft_config", None))


def merged(model: PreTrainedModel) -> PreTrainedModel:
    """A copy with ordinary weights, ``W + (alpha / rank) B A``, that computes the same function, in evaluation mode.

    All of its weights require a gradient. The model itself stays as it is.
    """
    load_peft()
    from peft.tuners.tuners_utils import BaseTunerLayer

    twin: Any = copy.deepcopy(model)
    for name, module in list(twin.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            twin.set_submodule(name, module.get_base_layer())
    del twin.peft_config
    whole: PreTrainedModel = twin.requires_grad_(True).eval()
    return whole
