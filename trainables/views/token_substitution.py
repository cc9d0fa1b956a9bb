"""Virtual adversarial token substitution, VAT-D (Park et al. 2021).

    p_s = p^(1/T) renormalised, a constant;  g_i = grad_{e_i} KL(p_s || p)
    each position with probability ``strength``:  token <- argmax_v g_i . (e_v - e_i) / ||e_v - e_i||

over the nearest word embeddings v by Euclidean distance. The authors take the ten likeliest tokens of a masked language
model instead, and use the sign of g.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.divergences import kl_divergence
from trainables.tokenization.encoding import Encoded
from trainables.views.hooks import Draws, Perturbation
from trainables.views.modules import word_embedding
from trainables.views.passes import Passes, Reference
from trainables.views.view import ViewConfig

# Without sharpening, p_s is p and its gradient is 0.
TEMPERATURE = 0.5
ROWS_AT_A_TIME = 64


def token_substitution(
    batch: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws, reference: Reference
) -> Perturbation:
    """The examples, equally long, with some tokens replaced; special tokens are neither replaced nor inserted."""
    assert view.strength is not None
    assert view.candidates is not None
    clean = batch.run_once(*reference[:2])
    with torch.enable_grad():
        divergence = len(clean.logits) * kl_divergence(clean.logits, clean.logits, TEMPERATURE, stop_target=True)
        found = torch.autograd.grad(divergence, clean.embeddings, retain_graph=True)
    gradients: dict[int, Tensor] = {}  # position to its tokens' gradients, ``[longest, width]``
    for part, rows in zip(clean.parts, found, strict=True):
        gradients |= zip(part.positions, rows, strict=True)
    table = word_embedding(batch.model).weight.detach()
    chosen: list[tuple[int, int]] = []
    for position, example in enumerate(encoded):
        draw = torch.rand(len(example), generator=draws.example(position)) < view.strength
        chosen += [(position, i) for i, piece in enumerate(example.ids) if draw[i] and piece not in batch.special_ids]
    if not chosen:
        return Perturbation(encoded)
    pieces = torch.tensor([encoded[position].ids[i] for position, i in chosen], device=table.device)
    unique, inverse = torch.unique(pieces, return_inverse=True)
    near = nearest(table, unique, view.candidates, batch.special_ids)[inverse]
    gradient = torch.stack([gradients[position][i] for position, i in chosen]).to(table)
    moves = table[near] - table[pieces].unsqueeze(1)
    lengths = moves.norm(dim=-1).clamp_min(torch.finfo(table.dtype).tiny)
    gain = (moves * gradient.unsqueeze(1)).sum(-1) / lengths
    best = near.gather(1, gain.argmax(1, keepdim=True)).squeeze(1).tolist()
    ids = [list(example.ids) for example in encoded]
    for (position, i), piece in zip(chosen, best, strict=True):
        ids[position][i] = piece
    return Perturbation([Encoded(row, example.types) for row, example in zip(ids, encoded, strict=True)])


def nearest(table: Tensor, pieces: Tensor, count: int, special_ids: Sequence[int]) -> Tensor:
    """The nearest other word embeddings, nearest first.

    Args:
        table: Word embeddings ``[vocabulary, width]``.
        pieces: Token ids ``[n]``.
        count: Neighbours of each; fewer where the vocabulary has no more.

    Returns:
        Token ids ``[n, count]``.
    """
    count = min(count, len(table) - len(special_ids) - 1)
    squares = table.square().sum(1)
    found = []
    for rows in torch.split(pieces, ROWS_AT_A_TIME):
        # ||e_v||^2 - 2 e_v.e_i: the squared distance up to ||e_i||^2, which all v share.
        distance = squares - 2 * table[rows] @ table.T
        distance[:, list(special_ids)] = torch.inf
        distance[torch.arange(len(rows)), rows] = torch.inf
        found.append(distance.topk(count, largest=False).indices)
    return torch.cat(found)
