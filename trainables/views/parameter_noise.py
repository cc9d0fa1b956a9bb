"""The view of a model with noise on its parameters: the perturbation of equation 1.

The parameters themselves are never touched: a pass computes with ``theta + eps``, a differentiable function of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainables.tokenization.encoding import Encoded
from trainables.views.hooks import Draws, Hook, Part, Perturbation
from trainables.views.modules import word_embedding
from trainables.views.passes import Passes
from trainables.views.view import ViewConfig


def parameter_noise(batch: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws) -> Perturbation:
    """``theta + eps``, eps ~ N(0, s^2) for every trainable parameter, one draw per step.

    With ``scale=relative``, eps is multiplied by the root mean square of each tensor. The word embeddings get theirs at
    the table's output, from one stream per word: rows of words that are not in the batch have no influence. The padding
    row gets no noise, as it has no gradient.
    """
    assert view.strength is not None
    strength, table = view.strength, word_embedding(batch.model)
    noised: dict[str, Tensor] = {}
    for name, parameter in batch.model.named_parameters():
        if not parameter.requires_grad or parameter is table.weight:
            continue
        noise = torch.randn(parameter.shape, generator=draws.shared(name))
        noised[name] = parameter + strength * _unit(parameter, view.scale) * noise.to(parameter)
    unit = _unit(table.weight, view.scale)

    def change(output: Tensor, part: Part) -> Tensor:
        unique, inverse = torch.unique(part.ids, return_inverse=True)
        rows = torch.stack([_word(word, table, draws) for word in unique.tolist()])
        return output + strength * unit * rows.to(output)[inverse]

    return Perturbation(encoded, (Hook(table, change),) if table.weight.requires_grad else (), noised)


def _word(word: int, table: nn.Embedding, draws: Draws) -> Tensor:
    if word == table.padding_idx:
        return torch.zeros(table.embedding_dim)
    return torch.randn(table.embedding_dim, generator=draws.shared(f"word {word}"))


def _unit(parameter: Tensor, scale: str | None) -> float:
    return float(parameter.detach().square().mean().sqrt()) if scale == "relative" else 1.0
