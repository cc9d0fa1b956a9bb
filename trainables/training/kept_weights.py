"""Which weights a stage keeps: those of its best epoch, or a mean of several.

A mean is uniform, over the ends of epochs (Izmailov et al. 2018, equation 2) or of runs from one initialisation
(Schmidt et al. 2023). It is taken tensor by tensor: with LoRA, over the factors and not their products.
"""

from __future__ import annotations

import torch

State = dict[str, torch.Tensor]
Kept = tuple[float, State]
"""Where a stage selects by accuracy: the best so far, and its weights. Where it averages: how many weights were added,
and their sum in float64, in which sums of float32 numbers hardly round."""


def weights_of(model: torch.nn.Module) -> State:
    """A copy of a model's weights."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def added(kept: Kept | None, model: torch.nn.Module) -> Kept:
    """A sum of weights with one more term, the model's; ``kept`` is changed, and None starts a sum."""
    state = model.state_dict()
    if kept is None:
        return 1, {name: tensor.to(torch.float64, copy=True) for name, tensor in state.items()}
    for name, total in kept[1].items():
        total += state[name]
    return kept[0] + 1, kept[1]


def mean(kept: Kept) -> State:
    """The uniform mean of what was added, in float64; loading it into a model rounds it once."""
    return {name: total / kept[0] for name, total in kept[1].items()}
