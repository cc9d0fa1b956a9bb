"""Rules that change how an optimiser step gets its gradient: sharpness-aware minimisation and its kin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from trainables.divergences import kl_divergence
from trainables.training.micro_batch import MicroBatch
from trainables.views.hooks import Draws
from trainables.views.perturbation import perturb
from trainables.views.view import ViewConfig

SMALLEST_NORM = 1e-12


@contextmanager
def sam_ascent(parameters: Sequence[torch.nn.Parameter], rho: float, norm: torch.Tensor) -> Iterator[None]:
    """SAM's ascent (Foret et al. 2021, equation 2): within the context, the weights are ``w + rho g / ||g||``.

    ``g`` is the gradient of the whole objective over the full batch, its regularisers included, so all of them are
    climbed. The second gradient, taken inside, is that of the same objective under the same dropout masks, views and
    streams of labels, at the perturbed weights. The step is then taken from ``w``, clipped by the second gradient's
    norm. A step costs two forward and two backward passes. On leaving, the weights are what they were, bit for bit.

    Args:
        parameters: The trainable parameters, which carry the first gradient; it is cleared.
        rho: Length of the perturbation, L2 norm over all parameters (parameter units).
        norm: L2 norm of the first gradient.
    """
    with _climbed(parameters, rho / (norm.item() + SMALLEST_NORM)):
        yield


@contextmanager
def tram_ascent(parameters: Sequence[torch.nn.Parameter], distance: float) -> Iterator[None]:
    """TRAM's ascent (Sherborne et al. 2024, equation 7): within the context the weights are ``w + d w^2 g / ||w g||``.

    That is the ascent of adaptive SAM (Kwon et al. 2021) with the distance ``d`` of :func:`trust_region` instead of its
    radius; products are element by element. Otherwise it is as :func:`sam_ascent`. A step costs three forward and two
    backward passes.

    Args:
        parameters: As for :func:`sam_ascent`.
        distance: d, in nats; it replaces a length relative to the weights.
    """
    with torch.no_grad():
        scaled = [p * p.grad for p in parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(scaled).item()
    del scaled
    with _climbed(parameters, distance / (norm + SMALLEST_NORM), adaptive=True):
        yield


def trust_region(batch: MicroBatch, sigma: float) -> torch.Tensor:
    """The distance of TRAM-x (Sherborne et al. 2024, equation 5): KL(p(. | x + z) || p(. | x)), z ~ N(0, sigma^2).

    The noise is on the word embeddings, one draw per example; both passes share a dropout mask, so the distance is due
    to the noise alone.

    Args:
        batch: The micro-batch, whose main pass is p(. | x).
        sigma: Standard deviation of z (embedding units).

    Returns:
        Scalar, nats, mean over examples, without gradient.
    """
    view = ViewConfig(kind="embedding_gaussian", strength=sigma).resolved()
    draws = Draws(batch.streams, batch.stage, batch.index, 0, batch.indices)
    with torch.no_grad():
        noised = batch.run(perturb(batch, view, batch.clean(), draws, ("clean", None, None)), mask=0)
        return kl_divergence(noised.logits, batch.logits("main", mask=0))


@contextmanager
def _climbed(parameters: Sequence[torch.nn.Parameter], scale: float, adaptive: bool = False) -> Iterator[None]:
    """The weights moved by a multiple of their gradient, or of w^2 times it; the gradient is cleared."""
    before: list[tuple[torch.nn.Parameter, torch.Tensor]] = []
    with torch.no_grad():
        for parameter in parameters:
            if parameter.grad is not None:
                before.append((parameter, parameter.detach().clone()))
                parameter.add_(parameter.square() * parameter.grad if adaptive else parameter.grad, alpha=scale)
                parameter.grad = None
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in before:
                parameter.copy_(value)  # adding and subtracting would round
