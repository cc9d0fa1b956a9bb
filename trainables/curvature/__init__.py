"""Curvature of a classifier: the trace of the Fisher information, the Fisher penalty, and the KL expansion.

- Tr(F): ``trace`` begins; ``paths`` has both ways, ``fast_path/`` and ``loop``; ``batches`` and ``last_layer`` save
  work; ``cotangents`` are the directions in logit space; ``estimate`` is what comes out.
- The penalty: ``penalty``, ``second_derivatives`` (which models have them), ``lean`` (cheaper ones).
- Equation 1: ``kl_expansion`` along random directions, ``displacement`` along a stage's; ``forward_mode`` under both.
- Beside Tr(F): ``rivals/``, of which some read the eigenvalues of ``spectrum`` and ``factors``; ``twins``, on which
  Tr(F) moves and the function does not.
- ``state`` leaves a model as it was found.
"""

from trainables.curvature.estimate import Estimator, NonFiniteLogits, SlowPathWarning, TraceEstimate
from trainables.curvature.kl_expansion import KlExpansion, kl_expansion
from trainables.curvature.penalty import (
    fisher_penalty,
    penalty_forward,
    sample_labels,
    squared_mean_score,
    unique_embedding_rows,
)
from trainables.curvature.second_derivatives import require_second_derivatives
from trainables.curvature.trace import fisher_trace, reason_against_fast_path

__all__ = [
    "Estimator",
    "KlExpansion",
    "NonFiniteLogits",
    "SlowPathWarning",
    "TraceEstimate",
    "fisher_penalty",
    "fisher_trace",
    "kl_expansion",
    "penalty_forward",
    "reason_against_fast_path",
    "require_second_derivatives",
    "sample_labels",
    "squared_mean_score",
    "unique_embedding_rows",
]
