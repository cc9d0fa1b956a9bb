"""Rules that change how an optimiser step gets its gradient: sharpness-aware minimisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

SMALLEST_NORM = 1e-12


@contextmanager
def sam_ascent(parameters: Sequence[torch.nn.Parameter], rho: float, norm: torch.Tensor) -> Iterator[None]:
    """SAM's ascent (Foret et al. 2021, equation 2): the weights stand at ``w + rho g / ||g||`` meanwhile.

    ``g`` is the gradient of the whole objective over the full batch, its regularisers included, so all of them are
    climbed; the second gradient, taken inside, is that of the same objective under the same dropout masks, views and
    streams of labels, at the perturbed weights. The step is then taken from ``w``, clipped by the second gradient's
    norm. A step costs two forward and two backward passes.

    Args:
        parameters: The trainable parameters, which carry the first gradient; it is cleared.
        rho: Length of the perturbation, L2 norm over all parameters (parameter units).
        norm: L2 norm of the first gradient.

    Yields:
        Nothing; on leaving, the weights are what they were, bit for bit.
    """
    scale = rho / (norm.item() + SMALLEST_NORM)
    before: list[tuple[torch.nn.Parameter, torch.Tensor]] = []
    with torch.no_grad():
        for parameter in parameters:
            if parameter.grad is not None:
                before.append((parameter, parameter.detach().clone()))
                parameter.add_(parameter.grad, alpha=scale)
                parameter.grad = None
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in before:
                parameter.copy_(value)  # adding and subtracting would round
