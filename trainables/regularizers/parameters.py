"""Which parameters a penalty or decay acts on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def penalised(model: torch.nn.Module, exempt_biases_and_norms: bool) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """The trainable parameters, with or without biases and LayerNorm's weights.

    Biases and LayerNorm's weights are told by their shape: in every encoder they alone have one dimension.

    Args:
        model: The model.
        exempt_biases_and_norms: Leave them out.

    Yields:
        Name and parameter.
    """
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and (parameter.dim() > 1 or not exempt_biases_and_norms):
            yield name, parameter
