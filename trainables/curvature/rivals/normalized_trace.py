"""Normalised trace: Tr(F) of each weight matrix times the matrix's squared norm.

    sum over weight matrices W of  ||W||_F^2 Tr(F_W)

F_W is the block of the Fisher matrix that belongs to W, so that Tr(F_W) is in squared nats per squared unit of W and
the product is free of that unit: multiplying W by a divides Tr(F_W) by a^2 where another matrix makes up for it. This
is the correction for scale of Tsuzuku et al. (2020, "Normalized flat minima"), matrix by matrix and with the Fisher
information. Tables of embeddings are matrices; biases and the gains of norms are none and do not count.
"""

from __future__ import annotations

from trainables.curvature.rivals.subject import FineTuned
from trainables.curvature.trace import trace_by_matrix


def normalized_trace(trained: FineTuned) -> float:
    """Mean over the traced rows; as dear as Tr(F) itself: a forward pass and ``num_classes - 1`` backward passes.

    Returns:
        Squared nats.
    """
    parts = trace_by_matrix(trained.model, trained.unlabelled())
    weights = dict(trained.model.named_parameters())
    return sum(float(weights[name].detach().double().square().sum()) * part for name, part in parts.items())
