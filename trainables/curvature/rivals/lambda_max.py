"""Largest eigenvalue of the Fisher matrix.

    lambda_max(F) = max over v of  v^T F v / v^T v

The sharpest direction alone, where Tr(F) adds up all of them. Tr(F) / lambda_max is the stable rank of F's root.
"""

from __future__ import annotations

from trainables.curvature.rivals.subject import FineTuned


def lambda_max(trained: FineTuned) -> float:
    """The largest eigenvalue of F, over at most 100 of the traced rows, evaluation mode.

    Cost: that of :func:`trainables.curvature.spectrum.fisher_spectrum`, once for all rivals that read it.

    Returns:
        Squared nats per squared parameter unit.
    """
    return float(trained.spectrum[-1])
