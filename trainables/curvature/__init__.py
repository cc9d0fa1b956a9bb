"""Curvature of a classifier: the trace of the Fisher information, the Fisher penalty, and the KL expansion.

- Tr(F): start with ``trace``; ``paths`` runs the fast path (``fast_path/``) or slow path (``loop``); ``batches`` and
  ``last_layer`` save work; ``cotangents`` defines the directions in logit space; ``estimate`` defines the result.
- The penalty: ``penalty``, ``second_derivatives`` (which models have them), ``lean`` (cheaper ones).
- Equation 1: ``kl_expansion`` along random directions, ``displacement`` along a stage's; both use ``forward_mode``.
- Besides Tr(F): ``rivals/``, some of which read the eigenvalues from ``spectrum`` and ``factors``; ``twins``, models
  whose Tr(F) changes while their function does not.
- ``state`` restores a model after a measurement.
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
