"""The view with Gaussian noise on the word embeddings, before positions and LayerNorm are applied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

DEFAULT_STRENGTH = 0.1


@contextmanager
def gaussian_embedding_noise(
    model: torch.nn.Module, strength: float | None, generator: torch.Generator
) -> Iterator[None]:
    """Add N(0, strength^2) to every word embedding that the model looks up meanwhile, padding included.

    Args:
        model: A transformers model.
        strength: Standard deviation in embedding units; None takes 0.1.
        generator: CPU generator of the noise.

    Yields:
        Nothing; on leaving, the model is as before.
    """
    scale = DEFAULT_STRENGTH if strength is None else strength

    def add_noise(module: torch.nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(output.shape, generator=generator, dtype=torch.float32)
        return output + scale * noise.to(output)

    handle = model.get_input_embeddings().register_forward_hook(add_noise)  # type: ignore[operator]
    try:
        yield
    finally:
        handle.remove()
