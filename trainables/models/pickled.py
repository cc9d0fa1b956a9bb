"""Weights that exist only in torch's own format, a pickle: read as tensors or not at all, once, by the driver.

What was read is kept as safetensors in our cache, by the hash of the file, so that a pickle is opened only once.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from trainables import cache as files
from trainables.errors import InputError, one_line


def cache() -> Path:
    """The folder where converted weights are kept; it need not exist."""
    return files.cache() / "weights"


def load_pickled(file: Path, digest: str, name: str) -> dict[str, torch.Tensor]:
    """The tensors of a ``pytorch_model.bin`` by parameter name.

    Tensors that share memory in the file get their own memory.

    Args:
        digest: Hash of the file's content, under which the conversion is kept.

    Raises:
        InputError: The file contains more than tensors, which only its own code could create; or it is damaged.
    """
    kept = cache() / f"{digest}.safetensors"
    try:
        converted: dict[str, torch.Tensor] = load_file(kept)
        return converted
    except (OSError, SafetensorError):
        pass  # not there yet, or damaged
    tensors = _open(file, name)
    with suppress(OSError, SafetensorError):  # without a writable cache this is only slower
        files.keep(kept, lambda aside: save_file(tensors, aside))
    return tensors


def _open(file: Path, name: str) -> dict[str, torch.Tensor]:
    found: Any
    try:
        try:
            # weights_only runs no code from the file.
            found = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the pre-2020 format, which cannot be memory-mapped
            found = torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:
        if "weights only" in str(error).lower():  # torch would advise running the code
            raise InputError(
                f"model {name}: {file.name} is damaged or holds more than tensors, which could run code, so it is not "
                "opened: name a model with model.safetensors"
            ) from None
        raise InputError(f"model {name}: {file.name} is damaged ({one_line(error)})") from None
    values = found if isinstance(found, dict) else {"": found}
    wrong = next((key for key, value in values.items() if not isinstance(value, torch.Tensor)), None)
    if wrong is not None:
        kind = type(values[wrong]).__name__
        raise InputError(
            f"model {name}: {file.name} is no plain file of weights ({wrong!r} is of type {kind}): save the model with "
            "save_pretrained"
        )
    return {str(key): value.detach().clone(memory_format=torch.contiguous_format) for key, value in values.items()}
