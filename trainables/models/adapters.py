"""Folders in which peft keeps only a LoRA adapter: written after training, read by ``fisher-study trace``."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.config import ModelConfig
from trainables.errors import InputError
from trainables.models.build import instantiate
from trainables.models.files import ModelFiles, load_model_files, read_config, read_tokenizer
from trainables.models.folders import ADAPTER, has_weights, model_folder, tokenizer_folder
from trainables.models.lora import ADAPTER_NAME, load_peft
from trainables.models.settings import encoder_settings, first_line

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

WEIGHTS = "adapter_model.safetensors"
ROOT = "base_model.model."
"""What peft writes before a parameter's name."""
CHANGES_THE_BASE = ("corda", "eva", "loftq", "lora_ga", "olora", "pissa")
"""Prefixes of the initialisations under which peft may have changed the base's weights."""
VARIANTS = (
    "use_dora", "use_qalora", "use_bdlora", "alora_invocation_tokens", "arrow_config", "kasa_config",
    "layer_replication", "megatron_config", "monteclora_config", "target_parameters",
    "trainable_token_indices", "velora_config",
)  # fmt: skip
"""Settings of peft's LoRA under which an update is more than ``B A``, or not an update of a linear layer."""


@dataclass(frozen=True)
class Adapter:
    """A folder with an adapter and without the weights of its base.

    Attributes:
        name: Folder or hub id.
        settings: Content of adapter_config.json.
    """

    name: str
    folder: Path
    settings: dict[str, Any]


def save_adapter(model: PreTrainedModel, folder: Path) -> None:
    """Write the trained parameters of a model with low-rank updates as peft does.

    The model's configuration, which says how many layers the base keeps, is written as well.
    """
    from safetensors.torch import save_file

    settings: Any = model.peft_config[ADAPTER_NAME]
    trained = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters() if p.requires_grad}
    whole = [name for name in trained if ".lora_" not in name]
    encoder = f"{model.base_model_prefix}."
    # Name the head by its first part, as peft users do, and what is new in the encoder by its module.
    modules = [n.rpartition(".")[0] if n.startswith(encoder) else n.partition(".")[0] for n in whole]
    tensors = {f"{ROOT}{name.replace(f'.{ADAPTER_NAME}.', '.')}": tensor for name, tensor in trained.items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    model.config.save_pretrained(folder)
    replace(settings, modules_to_save=list(dict.fromkeys(modules)), inference_mode=True).save_pretrained(folder)


def find_adapter(name: str) -> Adapter | None:
    """The adapter in a folder or under a hub id.

    Returns:
        None where there is none, or where merged weights lie beside it.

    Raises:
        InputError: There is no such folder, or its adapter is not plain LoRA.
    """
    folder, _ = model_folder(ModelConfig(name=name))
    if not (folder / ADAPTER).is_file() or has_weights(folder):
        return None
    try:
        settings = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
        kind, base = str(settings["peft_type"]), settings["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"model {name}: {ADAPTER} is damaged, or names neither its kind nor its base") from None
    start = str(settings.get("init_lora_weights", True)).lower()
    other = next((part for part in CHANGES_THE_BASE if start.startswith(part)), None)
    other = next((f"LORA with {name}" for name in VARIANTS if settings.get(name)), other)
    if kind != "LORA" or other or not isinstance(base, str):
        raise InputError(
            f"model {name}: an adapter of the kind {other or kind} for {base}, and only plain LoRA is read: merge it "
            "with peft (merge_and_unload, then save_pretrained) and name the merged folder"
        )
    return Adapter(name, folder, settings)


def build_adapted(adapter: Adapter, tokenizer: str | None = None) -> tuple[PreTrainedModel, ModelFiles, bool]:
    """The base model with the adapter; the parameters in the adapter's file require a gradient.

    Args:
        tokenizer: Folder or hub id of the tokenizer; None takes the adapter's, or the base's where it has none.

    Returns:
        The classifier in evaluation mode; the base's files, with the adapter's name, configuration and tokenizer; and
        whether its head had to be newly initialised because the adapter contains none.

    Raises:
        InputError: peft is missing, or the base cannot be read, or the adapter does not fit it.
    """
    import torch

    peft = load_peft()
    base = ModelConfig(name=adapter.settings["base_model_name_or_path"], revision=adapter.settings.get("revision"))
    files = replace(load_model_files(base), name=adapter.name)
    tensors = _tensors(adapter)
    if tokenizer is not None:
        files = replace(files, tokenizer=read_tokenizer(tokenizer_folder(tokenizer), tokenizer))
    elif (adapter.folder / "tokenizer.json").is_file():
        files = replace(files, tokenizer=read_tokenizer(adapter.folder, adapter.name))
    files = replace(files, config=_config(adapter, base, files, tensors))
    model, new = instantiate(files, files.config, with_head=False)
    try:
        settings = peft.LoraConfig.from_pretrained(str(adapter.folder))
        settings.modules_to_save, settings.init_lora_weights = None, True
        peft.inject_adapter_in_model(settings, model, adapter_name=ADAPTER_NAME)
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        raise InputError(f"model {adapter.name}: the adapter does not fit its base ({first_line(error)})") from None
    own = dict(model.named_parameters())
    expected = {name for name in own if ".lora_" in name}
    if lost := sorted(expected - tensors.keys()):
        raise InputError(f"model {adapter.name}: {WEIGHTS} lacks {len(lost)} of the adapter's tensors, {lost[0]} first")
    with torch.no_grad():
        for name, tensor in tensors.items():
            if name not in own or own[name].shape != tensor.shape:
                raise InputError(f"model {adapter.name}: {WEIGHTS} holds {name}, which does not fit the adapted base")
            own[name].copy_(tensor)
    for name, parameter in own.items():
        parameter.requires_grad_(name in tensors)
    return model.eval(), files, any(name not in tensors for name in new)


def _config(adapter: Adapter, base: ModelConfig, files: ModelFiles, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The classifier's configuration: the adapter's if it has one, else the base's with the adapter's classes."""
    path = adapter.folder / "config.json"
    if path.is_file():
        found: dict[str, Any] = read_config(path, adapter.name)
        return found
    # The last of the head's matrices has one row per class, and no other has fewer.
    rows = [len(t) for name, t in tensors.items() if ".lora_" not in name and t.dim() == 2]
    return encoder_settings(files.config, base, min(rows), adapter.name) if rows else files.config


def _tensors(adapter: Adapter) -> dict[str, Tensor]:
    """The tensors of an adapter, by their names in the adapted model."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(adapter.folder / WEIGHTS)
    except FileNotFoundError:
        raise InputError(f"model {adapter.name}: no {WEIGHTS} there, beside its {ADAPTER}") from None
    except SafetensorError as error:
        raise InputError(f"model {adapter.name}: {WEIGHTS} is damaged ({error})") from None
    named: dict[str, Tensor] = {}
    for key, tensor in found.items():
        stem, dot, end = key.removeprefix(ROOT).rpartition(".")
        in_factor = stem.endswith((".lora_A", ".lora_B"))
        named[f"{stem}.{ADAPTER_NAME}.{end}" if in_factor else f"{stem}{dot}{end}"] = tensor
    return named
