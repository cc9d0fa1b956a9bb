"""Folders in which peft keeps only a LoRA adapter: written after training, read by ``fisher-study trace``."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.config import ModelConfig
from trainables.errors import InputError
from trainables.models.build import architecture, instantiate
from trainables.models.files import ModelFiles, load_model_files, read_config, read_tokenizer
from trainables.models.folders import ADAPTER, has_weights, model_folder, tokenizer_folder
from trainables.models.lora import ADAPTER_NAME, load_peft
from trainables.models.settings import configuration, encoder_settings, first_line
from trainables.seeding import Streams

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

WEIGHTS = "adapter_model.safetensors"
ROOT = "base_model.model."
"""What peft writes before a parameter's name."""
WRAPPER = re.compile(r"\.(base_layer|modules_to_save|original_module)(?=\.)")
"""What peft inserts into the name of a parameter that was there before; with ``bias="all"``, into its file as well."""
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
    if not isinstance(base, str) or not base:
        raise InputError(
            f"model {name}: {ADAPTER} does not name its base: set base_model_name_or_path there to the folder or hub "
            "id of the model that the adapter was trained on"
        )
    if kind != "LORA" or other:
        raise InputError(
            f"model {name}: an adapter of the kind {other or kind} for {base}, and only plain LoRA is read: merge it "
            "with peft (merge_and_unload, then save_pretrained) and name the merged folder"
        )
    return Adapter(name, folder, settings)


def build_adapted(adapter: Adapter, tokenizer: str | None = None) -> tuple[PreTrainedModel, ModelFiles, bool]:
    """The base model with the adapter as peft loads it; what the adapter trained requires a gradient.

    Parameters have the names that they have in ``add_lora``, without peft's wrapper around what is trained whole.

    Args:
        tokenizer: Folder or hub id of the tokenizer; None takes the adapter's, or the base's where it has none.

    Returns:
        The classifier in evaluation mode; the base's files, with the adapter's name, configuration and tokenizer; and
        whether a part of its head had to be newly initialised, always in the same way, because neither the base nor
        the adapter contains it.

    Raises:
        InputError: peft is missing, or the base cannot be read, or the adapter does not fit it or updates tied weights,
            or there is a single class.
    """
    peft = load_peft()
    base = ModelConfig(name=adapter.settings["base_model_name_or_path"], revision=adapter.settings.get("revision"))
    files = replace(load_model_files(base), name=adapter.name)
    tensors = _tensors(adapter)
    if tokenizer is not None:
        files = replace(files, tokenizer=read_tokenizer(tokenizer_folder(tokenizer), tokenizer))
    elif (adapter.folder / "tokenizer.json").is_file():
        files = replace(files, tokenizer=read_tokenizer(adapter.folder, adapter.name))
    whole = {WRAPPER.sub("", name): tensor.float() for name, tensor in tensors.items() if ".lora_" not in name}
    encoder = f"{architecture(configuration(files.config, files.name), files.name).base_model_prefix}."
    head = {name: tensor for name, tensor in whole.items() if not name.startswith(encoder)}
    files = replace(files, config=_config(adapter, base, files, head))
    # The adapter's head replaces the base's already here, since it may have another number of classes.
    both = replace(files, weights=files.weights | {name: tensor.numpy() for name, tensor in head.items()})
    with Streams(0).forked("initialization"):
        model, new = instantiate(both, files.config, with_head=True)
        if model.config.num_labels < 2:
            raise InputError(f"model {adapter.name} has one class: Tr(F) needs a softmax over two or more")
        try:
            settings = peft.LoraConfig.from_pretrained(str(adapter.folder))
            settings.inference_mode, settings.init_lora_weights = False, True
            peft.inject_adapter_in_model(settings, model, adapter_name=ADAPTER_NAME)
            loaded = peft.set_peft_model_state_dict(model, tensors, adapter_name=ADAPTER_NAME)
        except Exception as error:  # peft checks few of its settings, so that a wrong one may raise anything
            raise InputError(f"model {adapter.name}: the adapter does not fit its base ({first_line(error)})") from None
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    if lost := sorted(trained.intersection(loaded.missing_keys)):
        raise InputError(f"model {adapter.name}: {WEIGHTS} lacks {len(lost)} of the adapter's tensors, {lost[0]} first")
    if alien := [name for name in loaded.unexpected_keys if WRAPPER.sub("", name) == name]:
        raise InputError(f"model {adapter.name}: {WEIGHTS} holds {alien[0]}, which does not fit the adapted base")
    uses = Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))
    for name, module in list(model.named_modules()):
        if isinstance(module, peft.tuners.tuners_utils.BaseTunerLayer) and uses[id(module.weight)] > 1:
            raise InputError(
                f"model {adapter.name}: the adapter updates {name}, whose weights another layer has too, and such "
                "updates are not read, since they cannot be merged"
            )
        if isinstance(module, peft.utils.ModulesToSaveWrapper):
            model.set_submodule(name, module.modules_to_save[ADAPTER_NAME])
    return model.eval(), files, any(name not in whole for name in new)


def _config(adapter: Adapter, base: ModelConfig, files: ModelFiles, head: dict[str, Tensor]) -> dict[str, Any]:
    """The classifier's configuration: the adapter's if it has one, else the base's with the adapter's classes."""
    path = adapter.folder / "config.json"
    if path.is_file():
        return read_config(path, adapter.name)
    # The last of the head's matrices has one row per class, and no other has fewer.
    rows = [len(tensor) for tensor in head.values() if tensor.dim() == 2]
    return encoder_settings(files.config, base, min(rows), adapter.name) if rows else files.config


def _tensors(adapter: Adapter) -> dict[str, Tensor]:
    """The tensors of an adapter, by peft's names for them without what every name begins with."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(adapter.folder / WEIGHTS)
    except FileNotFoundError:
        raise InputError(f"model {adapter.name}: no {WEIGHTS} there, beside its {ADAPTER}") from None
    except SafetensorError as error:
        raise InputError(f"model {adapter.name}: {WEIGHTS} is damaged ({error})") from None
    return {name.removeprefix(ROOT): tensor for name, tensor in found.items()}
