"""What the driver reads of a pretrained encoder, so that a trial needs neither network nor disk."""

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
from trainables.hub.repository_files import Repository, fetch
from trainables.tokenization.encoding import TokenizerFiles

if TYPE_CHECKING:
    from transformers import PretrainedConfig

MINI = "mini"
LISTED = 5  # folders in a message
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
ADAPTER = "adapter_config.json"
TOKENIZER = ("tokenizer*", "vocab*", "*.model", "spec*")
PATTERNS = ("config.json", ADAPTER, "*.safetensors", WEIGHTS[1], *TOKENIZER)


@dataclass(frozen=True)
class ModelFiles:
    """A pretrained encoder in memory.

    Attributes:
        name: Hub id, folder or "mini", as the configuration names it.
        config: Content of config.json.
        weights: Parameter name to array, as stored.
        tokenizer: What encoding needs.
        fingerprint: Hash of configuration, weights and tokenizer.
        revision: Full commit hash on the hub; None for a folder and for "mini".
    """

    name: str
    config: dict[str, Any]
    weights: dict[str, npt.NDArray[Any]]
    tokenizer: TokenizerFiles
    fingerprint: str
    revision: str | None = None

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states, 0 where the configuration has no such number."""
        from trainables.models.settings import configuration

        return getattr(configuration(self.config, self.name), "hidden_size", 0)


def load_model_files(config: ModelConfig) -> ModelFiles:
    """Read an encoder from a folder, the hub or the package.

    Args:
        config: Names the model.

    Returns:
        Its configuration, weights, tokenizer and fingerprint.

    Raises:
        InputError: There is no such model, it is no encoder, or its weights are more than tensors.
    """
    return _load(config)


def load_classifier_files(name: str, tokenizer: str | None = None) -> ModelFiles:
    """Read a saved classifier from a folder, the hub or the package.

    Args:
        name: Folder, hub id or "mini".
        tokenizer: Folder or hub id of its tokenizer; None is the same as ``name``.

    Returns:
        Its configuration, weights, tokenizer and fingerprint.

    Raises:
        InputError: As for an encoder; or the configuration names a single class.
    """
    return _load(ModelConfig(name=name), classifier=True, tokenizer=tokenizer)


def _load(config: ModelConfig, *, classifier: bool = False, tokenizer: str | None = None) -> ModelFiles:
    folder, revision = model_folder(config)
    config_file = folder / "config.json"
    if not (config_file.is_file() and has_weights(folder)):
        _refuse_adapter(folder, config.name)
    if not config_file.is_file():
        raise InputError(f"model {config.name}: no config.json there, so it is not a Hugging Face model folder")
    try:
        settings = json.loads(config_file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"model {config.name}: config.json is not valid JSON ({error})") from None
    if not isinstance(settings, dict) or "model_type" not in settings:
        raise InputError(f"model {config.name}: config.json has no model_type, so it is not known which encoder it is")
    # Said before what a folder with a single class may lack besides.
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


def model_folder(config: ModelConfig) -> tuple[Path, str | None]:
    """Where the files of a model are, or of an adapter; from the hub they are fetched first.

    Args:
        config: Names the model.

    Returns:
        The folder, and the commit hash when it is of the hub.

    Raises:
        InputError: There is no such model.
    """
    from trainables.models.mini import FOLDER

    folder = FOLDER if config.name == MINI else Path(config.name).expanduser()
    if folder.is_dir():
        if config.revision is not None:
            raise InputError(f"model.revision={config.revision} is for a hub id, but model {config.name} is a folder")
        return folder, None
    _refuse_path(config.name)
    repository = Repository(
        kind="model",
        name=config.name,
        revision=config.revision,
        patterns=PATTERNS,
        include=False,
        instead="model.name to a folder that holds config.json, model.safetensors and the tokenizer's files",
    )
    try:
        snapshot = fetch(repository, _lacking)
        if not any((snapshot / file).is_file() for file in (*WEIGHTS, ADAPTER)):
            # Only then: such weights are as large again, and most repositories hold both.
            snapshot = fetch(replace(repository, patterns=(*PATTERNS, *PICKLED, "pytorch_model-*.bin")), _lacking)
    except InputError as error:
        parent = folder.parent
        if config.revision is None and parent != Path() and parent.is_dir():
            held = ", ".join(sorted(path.name for path in parent.iterdir() if path.is_dir())[:LISTED])
            raise InputError(f"model {config.name}: no such folder; {parent} holds {held or 'no folder'}") from None
        raise InputError(f"there is no folder {config.name} here, and {error}") from None
    return snapshot, snapshot.name


def has_weights(folder: Path) -> bool:
    """Whether a folder holds the weights of a whole model.

    Args:
        folder: The folder.

    Returns:
        False for a folder with an adapter alone.
    """
    return any((folder / file).is_file() for file in (*WEIGHTS, *PICKLED))


def _refuse_path(name: str) -> None:
    """Refuse what is no folder and can be no hub id."""
    if Path(name).expanduser().is_file():
        raise InputError(f"model {name}: a file; name the folder that holds it")
    if name.count("/") > 1 or name.startswith((".", "/", "~")) or name.endswith("/"):
        raise InputError(f"model {name}: no such folder (nor a hub id, nor 'mini')")


def tokenizer_folder(name: str) -> Path:
    """Where a tokenizer that is named by itself lies.

    Args:
        name: Folder or hub id.

    Returns:
        The folder.

    Raises:
        InputError: There is no such folder, nor such a repository.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    _refuse_path(name)
    repository = Repository(
        kind="model",
        name=name,
        revision=None,
        patterns=("config.json", *TOKENIZER),
        include=True,
        instead="--tokenizer to a folder that holds the tokenizer's files",
    )
    return fetch(repository, lambda folder: [file for file in _lacking(folder) if file == "tokenizer.json"])


def _lacking(folder: Path) -> list[str]:
    """Files that every encoder has and a folder does not."""
    lacking = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any(path.is_file() for ending in ("safetensors", "bin") for path in folder.glob(f"*.{ending}")):
        lacking.append(WEIGHTS[0])
    if not any(path.is_file() for start in ("tokenizer.json", "vocab*", "*.model") for path in folder.glob(start)):
        lacking.append("tokenizer.json")
    return lacking


def _refuse_adapter(folder: Path, name: str) -> None:
    """Refuse a folder that holds only what was added to a model, naming that model."""
    if not (folder / ADAPTER).is_file():
        return
    try:
        base = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        base = "another model"
    raise InputError(
        f"model {name}: an adapter for {base}, not a model: set model.name to {base}, or to a folder into which the "
        "two were merged (peft's merge_and_unload, then save_pretrained)"
    )


def _weight_files(folder: Path, name: str) -> list[Path]:
    """The files that hold the weights: safetensors where there are any, else torch's own format."""
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


def _read_weights(folder: Path, name: str) -> tuple[dict[str, npt.NDArray[Any]], str]:
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
            # NumPy has no bfloat16; float32 holds its every value.
            weights[key] = np.asarray(tensor.float() if tensor.dtype == torch.bfloat16 else tensor)
    return weights, digest.hexdigest()


def read_tokenizer(folder: Path, name: str, config: PretrainedConfig | None = None) -> TokenizerFiles:
    """Read a tokenizer.

    Args:
        folder: Where its files are.
        name: The model's name, for messages.
        config: The model's configuration, where the tokenizer's class is to be found by it.

    Returns:
        What encoding needs.

    Raises:
        InputError: There is none, or it is not fast, or cannot pad.
    """
    from transformers import AutoTokenizer

    from trainables.models.settings import first_line

    try:
        # Its own configuration may say what transformers refuses and ours does not.
        known = {} if config is None else {"config": config}
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **known)
    except Exception as error:  # `tokenizers` raises plain ones
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
        # transformers 5 builds an all-[UNK] tokenizer, without a word, where the vocabulary is missing.
        raise InputError(f"model {name}: no tokenizer there (tokenizer.json, or a vocabulary)")
    return TokenizerFiles(
        backend=tokenizer.backend_tokenizer.to_str(),
        pad_id=int(tokenizer.pad_token_id),
        uses_token_types="token_type_ids" in tokenizer.model_input_names,
        special_ids=tuple(sorted(int(i) for i in tokenizer.all_special_ids)),
    )
