"""Where the files of a model or a tokenizer are: a folder, the hub, or the package."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from trainables.config import ModelConfig
from trainables.errors import InputError
from trainables.hub.repository_files import Repository, fetch

MINI = "mini"
LISTED = 5  # folders in a message
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
ADAPTER = "adapter_config.json"
TOKENIZER = ("tokenizer*", "vocab*", "*.model", "spec*")
PATTERNS = ("config.json", ADAPTER, "*.safetensors", WEIGHTS[1], *TOKENIZER)


def model_folder(config: ModelConfig) -> tuple[Path, str | None]:
    """The folder of a model or adapter, fetched first if it is on the hub, and its commit hash there; or InputError."""
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
            # Only then, since such weights are as large again, and most repositories contain both.
            snapshot = fetch(replace(repository, patterns=(*PATTERNS, *PICKLED, "pytorch_model-*.bin")), _lacking)
    except InputError as error:
        parent = folder.parent
        if config.revision is None and parent != Path() and parent.is_dir():
            held = ", ".join(sorted(path.name for path in parent.iterdir() if path.is_dir())[:LISTED])
            raise InputError(f"model {config.name}: no such folder; {parent} holds {held or 'no folder'}") from None
        raise InputError(f"there is no folder {config.name} here, and {error}") from None
    return snapshot, snapshot.name


def has_weights(folder: Path) -> bool:
    """Whether a folder contains the weights of a whole model, and not only an adapter."""
    return any((folder / file).is_file() for file in (*WEIGHTS, *PICKLED))


def _refuse_path(name: str) -> None:
    """Refuse a name that is neither a folder nor a possible hub id."""
    if Path(name).expanduser().is_file():
        raise InputError(f"model {name}: a file; name the folder that holds it")
    if name.count("/") > 1 or name.startswith((".", "/", "~")) or name.endswith("/"):
        raise InputError(f"model {name}: no such folder (nor a hub id, nor 'mini')")


def tokenizer_folder(name: str) -> Path:
    """The folder of a separately named tokenizer, by folder or hub id; InputError where there is none."""
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
    """Files that every encoder has but a folder lacks."""
    lacking = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any(path.is_file() for ending in ("safetensors", "bin") for path in folder.glob(f"*.{ending}")):
        lacking.append(WEIGHTS[0])
    if not any(path.is_file() for start in ("tokenizer.json", "vocab*", "*.model") for path in folder.glob(start)):
        lacking.append("tokenizer.json")
    return lacking


def refuse_adapter(folder: Path, name: str) -> None:
    """Refuse a folder that contains only what was added to a model; the message names that model."""
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
