"""What the driver reads from a pretrained encoder, so that a trial needs neither network nor disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables.config import ModelConfig
from trainables.errors import InputError
from trainables.models.folders import PICKLED, WEIGHTS, has_weights, model_folder, refuse_adapter, tokenizer_folder
from trainables.tokenization.encoding import TokenizerFiles

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@dataclass(frozen=True)
class ModelFiles:
    """A pretrained encoder in memory.

    Attributes:
        name: Hub id, folder or "mini", as the configuration names it.
        config: Content of config.json.
        weights: Parameter name to array, as stored.
        fingerprint: Hash of configuration, weights and tokenizer.
        revision: Full commit hash on the hub; None for a folder and for "mini".
    """

    name: str
    config: dict[str, Any]
    weights: dict[str, npt.NDArray[Any]]
    tokenizer: TokenizerFiles
    fingerprint: str
    revision: str | None = None

    def __post_init__(self) -> None:
        # XLNet reads the last position, whatever is there, and its positions are relative.
        last = self.config.get("model_type") == "xlnet" and self.config.get("summary_type", "last") == "last"
        object.__setattr__(self, "tokenizer", replace(self.tokenizer, pads_left=last))

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states, 0 where the configuration has no such number."""
        from trainables.models.settings import configuration

        return getattr(configuration(self.config, self.name), "hidden_size", 0)


def load_model_files(config: ModelConfig, *, classifier: bool = False, tokenizer: str | None = None) -> ModelFiles:
    """Read an encoder, or a saved classifier, from a folder, the hub or the package.

    Args:
        tokenizer: Folder or hub id of its tokenizer; None takes the model's.

    Raises:
        InputError: There is no such model, it is not of that kind, or its weights contain more than tensors; or a
            classifier's configuration names a single class.
    """
    folder, revision = model_folder(config)
    config_file = folder / "config.json"
    if not (config_file.is_file() and has_weights(folder)):
        refuse_adapter(folder, config.name)
    if not config_file.is_file():
        raise InputError(f"model {config.name}: no config.json there, so it is not a Hugging Face model folder")
    settings = read_config(config_file, config.name)
    # Refused before anything else that a folder with a single class may lack.
    if classifier and (settings.get("num_labels") == 1 or len(settings.get("id2label") or "two") == 1):
        raise InputError(f"model {config.name} has one class: Tr(F) needs a softmax over two or more")
    from trainables.models.settings import configuration

    known = configuration(settings, config.name)
    weights, weight_hash = _read_weights(folder, config.name)
    try:
        if tokenizer is None:
            pieces = read_tokenizer(folder, config.name, known)
        else:
            pieces = read_tokenizer(tokenizer_folder(tokenizer), tokenizer)
    except InputError as error:
        raise InputError(f"{error}; --tokenizer names another folder's" if classifier else str(error)) from None
    digest = hashlib.sha256()
    for part in (json.dumps(settings, sort_keys=True), weight_hash, pieces.backend):
        digest.update(part.encode())
    return ModelFiles(config.name, settings, weights, pieces, digest.hexdigest()[:16], revision)


def read_config(file: Path, name: str) -> dict[str, Any]:
    """The content of a config.json; InputError where it is not JSON or names no encoder."""
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"model {name}: config.json is not valid JSON ({error})") from None
    if not isinstance(settings, dict) or "model_type" not in settings:
        raise InputError(f"model {name}: config.json has no model_type, so it is not known which encoder it is")
    return settings


def read_tokenizer(folder: Path, name: str, config: PretrainedConfig | None = None) -> TokenizerFiles:
    """Read a tokenizer.

    Args:
        config: The model's configuration, where it determines the tokenizer's class.

    Raises:
        InputError: There is no tokenizer, or it is not fast, or cannot pad.
    """
    from transformers import AutoTokenizer

    from trainables.models.settings import first_line

    try:
        # The tokenizer's own configuration may contain what transformers refuses; the given one does not.
        known = {} if config is None else {"config": config}
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **known)
    except Exception as error:  # `tokenizers` raises plain exceptions
        raise InputError(f"model {name}: its tokenizer cannot be read ({first_line(error)})") from None
    if not tokenizer.is_fast:
        raise InputError(
            f"model {name}: needs a fast tokenizer, and {type(tokenizer).__name__} is none: choose a model with a "
            "tokenizer.json"
        )
    if tokenizer.pad_token_id is None:
        end = tokenizer.eos_token or "a piece of its vocabulary"
        raise InputError(
            f'model {name}: its tokenizer has no padding token, which batches need: set "pad_token" in its '
            f"tokenizer_config.json, for instance to {end}"
        )
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        # transformers 5 silently builds an all-[UNK] tokenizer where the vocabulary is missing.
        raise InputError(f"model {name}: no tokenizer there (tokenizer.json, or a vocabulary)")
    return TokenizerFiles(
        backend=tokenizer.backend_tokenizer.to_str(),
        pad_id=int(tokenizer.pad_token_id),
        uses_token_types="token_type_ids" in tokenizer.model_input_names,
        special_ids=tuple(sorted(int(i) for i in tokenizer.all_special_ids)),
    )


def _read_weights(folder: Path, name: str) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """A model's weights by name, as stored except for bfloat16, which becomes float32; and a hash of the files."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from trainables.models.pickled import load_pickled
    from trainables.models.settings import quantised

    weights: dict[str, npt.NDArray[Any]] = {}
    digest = hashlib.sha256()
    for file in _weight_files(folder, name):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256")
        digest.update(content.digest())
        try:
            safe = file.suffix == ".safetensors"
            tensors = load_file(file) if safe else load_pickled(file, content.hexdigest(), name)
        except SafetensorError as error:
            raise InputError(f"model {name}: {file.name} is damaged ({error})") from None
        for key, tensor in tensors.items():
            small = tensor.itemsize == 1 and tensor.dtype != torch.bool
            if small and key.endswith("weight"):
                raise InputError(quantised(name, f"{key} is {str(tensor.dtype).removeprefix('torch.')}"))
            # NumPy has no bfloat16; float32 represents its every value.
            weights[key] = np.asarray(tensor.float() if tensor.dtype == torch.bfloat16 else tensor)
    return weights, digest.hexdigest()


def _weight_files(folder: Path, name: str) -> list[Path]:
    """The files that contain the weights: safetensors where there are any, else torch's own format."""
    for single, index in (WEIGHTS, PICKLED):
        if (folder / single).is_file():
            return [folder / single]
        if not (folder / index).is_file():
            continue
        try:
            shards = sorted(set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise InputError(f"model {name}: {index} is damaged") from None
        for shard in shards:
            if not (folder / shard).is_file():
                raise InputError(f"model {name}: {shard} is missing")
        return [folder / shard for shard in shards]
    raise InputError(f"model {name}: no {WEIGHTS[0]} there (nor {PICKLED[0]})")
