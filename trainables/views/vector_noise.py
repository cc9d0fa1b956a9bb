"""The views with noise on vectors: word embeddings (as in R3F), or hidden states (Hua et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainables.precision import at_least_float32
from trainables.tokenization.encoding import Encoded
from trainables.views.hooks import Draws, Hook, Part, Perturbation
from trainables.views.modules import encoder_layers, word_embedding
from trainables.views.passes import Passes
from trainables.views.view import ViewConfig


def standard_noise(kind: str, length: int, width: int, generator: torch.Generator) -> Tensor:
    """N(0, 1) or, of kind ``uniform``, U(-1, 1) for each number of each token, float32 ``[length, width]``."""
    if kind == "uniform":
        return torch.rand(length, width, generator=generator) * 2 - 1
    return torch.randn(length, width, generator=generator)


def add_noise(vectors: Tensor, noise: Tensor, strength: float, scale: str | None) -> Tensor:
    """Vectors plus scaled noise.

    Args:
        vectors: ``[..., width]``.
        strength: The noise's standard deviation, or half its range where it is uniform.
        scale: ``absolute``, in the vectors' units; ``relative``, times each vector's own root mean square, so that
            Gaussian noise has on average ``strength`` times the vector's norm.

    Returns:
        Vectors of the same shape; the scale is a constant under differentiation.
    """
    factor: float | Tensor = strength
    if scale == "relative":
        factor = strength * at_least_float32(vectors.detach()).square().mean(-1, keepdim=True).sqrt().to(vectors)
    return vectors + factor * noise.to(vectors)


def _noised(module: nn.Module, view: ViewConfig, draws: Draws, name: str = "", before: bool = False) -> Hook:
    """N(0, s^2) or U(-s, s) on the vectors of every token but padding."""
    assert view.strength is not None
    strength, kind = view.strength, str(view.kind).removeprefix("embedding_")

    def change(vectors: Tensor, part: Part) -> Tensor:
        width = vectors.shape[-1]
        noise = draws.padded(part, width, name, lambda length, g: standard_noise(kind, length, width, g))
        return add_noise(vectors, noise, strength, view.scale)

    return Hook(module, change, before)


def embedding_noise(batch: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws) -> Perturbation:
    """Noise on the word embeddings, before positions and LayerNorm are applied."""
    return Perturbation(encoded, (_noised(word_embedding(batch.model), view, draws),))


def hidden_noise(batch: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws) -> Perturbation:
    """Gaussian noise on the states at one layer, or at it and all above.

    Layer k is the output of the k-th encoder layer, and layer 0 what the first one takes: the embedding's output, after
    positions, LayerNorm and dropout.
    """
    assert view.layer is not None
    layers = encoder_layers(batch.model)
    noised = range(view.layer, (len(layers) if view.spread == "up" else view.layer) + 1)
    hooks = [_noised(layers[max(k - 1, 0)], view, draws, f"layer {k}", before=k == 0) for k in noised]
    return Perturbation(encoded, tuple(hooks))
