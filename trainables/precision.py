"""The number format of the training passes: bfloat16 autocast where the GPU has it, else float32.

Owns that one decision and the context that acts on it. Weights, gradients, optimiser, losses and their softmax,
penalties, evaluation and every curvature number are float32 or better whatever is decided here: only the passes of
``objective.Step`` enter the context, and they return float32 logits.

A step in which the Fisher penalty acts makes all its passes in float32. Its main pass is what the penalty
differentiates, so it is part of a curvature number, and a view beside it must not differ from it by rounding, which a
consistency loss would count. The rule is by step, not by trial or study, so a penalty of weight 0 still equals the
baseline bit for bit, and the second stage is alike in all arms. What follows for comparisons: on a GPU with bfloat16
the trials of ``fpen`` lack a rounding noise (relative size 2^-9 an activation) that the other arms have. It is the same
for all weights of the arm, so correlations within families do not see it; a comparison between families does. Where
that matters, ``model.precision=float32`` gives every arm the same passes, at about half the speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainables.config import ModelConfig


def training_dtype(device: torch.device, config: ModelConfig) -> torch.dtype:
    """The format of a trial's training passes.

    Args:
        device: Where it trains.
        config: The model's configuration.

    Returns:
        ``torch.bfloat16`` on a GPU that computes in it, unless the configuration asks for float32; else
        ``torch.float32``.
    """
    # Older GPUs emulate bfloat16, which is slower than float32 and no more exact.
    if config.precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


@contextmanager
def training_pass(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Within the context a forward pass computes in a format; parameters keep theirs.

    Args:
        device: Where the model is.
        dtype: What :func:`training_dtype` decided; float32 changes nothing, so float64 models stay as they are.

    Yields:
        Nothing.
    """
    if dtype == torch.float32:
        yield
        return
    with torch.autocast(device.type, dtype=dtype):
        yield


def at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    """Logits as losses take them.

    Args:
        logits: Of any floating format.

    Returns:
        The same in float32, or in float64 where they were.

    Example:
        >>> at_least_float32(torch.zeros(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
