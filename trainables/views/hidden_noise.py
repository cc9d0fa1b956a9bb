"""The view with Gaussian noise on hidden states: the output of one layer, or of it and all above (Hua et al. 2021)."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import PreTrainedModel

from trainables.views.embedding_noise import add_noise, standard_noise
from trainables.views.hooks import Draws, Hook, Part
from trainables.views.modules import encoder_layers
from trainables.views.view import ViewConfig


def hidden_noise(model: PreTrainedModel, view: ViewConfig, draws: Draws) -> list[Hook]:
    """Add N(0, s^2) to the states of every token but padding.

    Layer k is the output of the k-th encoder layer, layer 0 what the first one takes: the embedding's output, after
    positions, LayerNorm and dropout.
    """
    assert view.layer is not None
    layers = encoder_layers(model)
    last = len(layers) if view.spread == "up" else view.layer
    return [_at(layers, layer, view, draws) for layer in range(view.layer, last + 1)]


def _at(layers: nn.ModuleList, layer: int, view: ViewConfig, draws: Draws) -> Hook:
    assert view.strength is not None
    strength = view.strength

    def change(states: Tensor, part: Part) -> Tensor:
        width = states.shape[-1]
        noise = draws.padded(
            part, width, f"layer {layer}", lambda length, g: standard_noise("gaussian", length, width, g)
        )
        return add_noise(states, noise, strength, view.scale)

    return Hook(layers[0], change, before=True) if layer == 0 else Hook(layers[layer - 1], change)
