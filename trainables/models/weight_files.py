"""The weights of a model from its files, whole or in shards."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.errors import InputError
from trainables.models.folders import PICKLED, WEIGHTS


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


def read_weights(folder: Path, name: str) -> tuple[dict[str, npt.NDArray[Any]], str]:
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
            # NumPy has no bfloat16; float32 holds its every value.
            weights[key] = np.asarray(tensor.float() if tensor.dtype == torch.bfloat16 else tensor)
    return weights, digest.hexdigest()
