"""The views with noise on the word embeddings, before positions and LayerNorm are applied (R3F's place)."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from trainables.precision import at_least_float32
from trainables.views.hooks import Draws, Hook, Part
from trainables.views.modules import word_embedding
from trainables.views.view import ViewConfig


def standard_noise(kind: str, length: int, width: int, generator: torch.Generator) -> Tensor:
    """N(0, 1) or U(-1, 1) for each number of each token, float32 ``[length, width]``."""
    if kind == "uniform":
        return torch.rand(length, width, generator=generator) * 2 - 1
    return torch.randn(length, width, generator=generator)


def add_noise(vectors: Tensor, noise: Tensor, strength: float, scale: str | None) -> Tensor:
    """Vectors plus scaled noise.

    Args:
        vectors: ``[..., width]``.
        strength: Its standard deviation, or half its width where it is uniform.
        scale: ``absolute``, in the vectors' units; ``relative``, times each vector's own root mean square, so that
            Gaussian noise has on average ``strength`` times the vector's norm.

    Returns:
        The same shape; the scale is a constant under differentiation.
    """
    factor: float | Tensor = strength
    if scale == "relative":
        factor = strength * at_least_float32(vectors.detach()).square().mean(-1, keepdim=True).sqrt().to(vectors)
    return vectors + factor * noise.to(vectors)


def embedding_noise(model: PreTrainedModel, view: ViewConfig, draws: Draws) -> list[Hook]:
    """Add N(0, s^2) or U(-s, s) to every word embedding but those of padding."""
    assert view.strength is not None
    strength, kind = view.strength, str(view.kind).removeprefix("embedding_")

    def change(output: Tensor, part: Part) -> Tensor:
        width = output.shape[-1]
        noise = draws.padded(part, width, "", lambda length, g: standard_noise(kind, length, width, g))
        return add_noise(output, noise, strength, view.scale)

    return [Hook(word_embedding(model), change)]
