"""The adversarial view of SMART (Jiang et al. 2020): word embeddings moved to where the prediction changes most.

    delta_0 ~ N(0, start^2);  g = grad_delta [KL(p || q) + KL(q || p)],  p = sg f(e), q = f(e + delta)
    delta <- project(delta + step_size * g / ||g||, radius),  norms of each token's vector

Embeddings are perturbed once, at the table's output. mt-dnn, the authors' code, takes the output of the whole embedding
module and embeds it again, climbs log-odds instead of the divergence, and divides delta by its largest entry instead of
projecting it; its step size on the command line is 1e-5.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.divergences import symmetric_kl
from trainables.tokenization.encoding import Encoded
from trainables.views.hooks import Draws, Hook, Part, Perturbation
from trainables.views.modules import word_embedding
from trainables.views.passes import Passes, Reference
from trainables.views.view import ViewConfig


def adversarial_embedding(
    batch: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws, reference: Reference
) -> Perturbation:
    """Word embeddings moved by the delta of K ascent steps, held constant; ``strength`` is the radius.

    Each step costs one forward pass and the activations' half of a backward pass.
    """
    assert view.start is not None
    assert view.steps is not None
    assert view.step_size is not None
    assert view.strength is not None
    role, clean_mask, attack_mask = reference
    start, table = view.start, word_embedding(batch.model)
    width = table.embedding_dim
    part = batch.part(encoded, list(range(len(encoded))))
    delta = draws.padded(part, width, "", lambda length, g: start * torch.randn(length, width, generator=g))
    delta, mask = delta.to(table.weight), part.mask().unsqueeze(-1)
    # Only this view asks for the clean pass under noise; the main pass is remembered with its graph.
    with torch.set_grad_enabled(torch.is_grad_enabled() and role != "clean"):
        clean = batch.logits(role, clean_mask).detach()

    def moved(delta: Tensor) -> Perturbation:
        def change(output: Tensor, part: Part) -> Tensor:
            return output + delta[list(part.positions), : output.shape[1]].to(output)

        return Perturbation(encoded, (Hook(table, change),))

    with torch.enable_grad():
        for _ in range(view.steps):
            delta = delta.detach().requires_grad_()
            divergence = symmetric_kl(clean, batch.run(moved(delta), attack_mask).logits)
            (gradient,) = torch.autograd.grad(divergence, delta)
            gradient = gradient * mask
            length = _norm(gradient, view.norm).clamp_min(torch.finfo(gradient.dtype).tiny)
            delta = project(delta.detach() + view.step_size * gradient / length, view.strength, view.norm)
    return moved(delta)


def project(delta: Tensor, radius: float, norm: str | None) -> Tensor:
    """Each token's nearest vector within the radius (embedding units), ``[..., width]``, in the norm ``inf`` or ``l2``.

    Example:
        >>> project(torch.tensor([3.0, 4.0]), 1.0, "l2"), project(torch.tensor([3.0, -0.5]), 1.0, "inf")
        (tensor([0.6000, 0.8000]), tensor([ 1.0000, -0.5000]))
    """
    if norm == "inf":
        return delta.clamp(-radius, radius)
    return delta * (radius / _norm(delta, norm).clamp_min(torch.finfo(delta.dtype).tiny)).clamp_max(1.0)


def _norm(vectors: Tensor, norm: str | None) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(vectors, float("inf") if norm == "inf" else 2, dim=-1, keepdim=True)
    return lengths
