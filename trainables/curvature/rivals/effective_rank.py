"""Effective rank of the Fisher matrix: over how many directions the curvature is spread.

    Tr(F)^2 / Tr(F^2) = (sum over k of lambda_k)^2 / sum over k of lambda_k^2

The participation ratio of the eigenvalues: k for k equal ones and none beside them, 1 for a single one. It is at most
n (C - 1) for n rows and C classes, so that only values from as many rows compare.
"""

from __future__ import annotations

from trainables.curvature.rivals.subject import FineTuned


def effective_rank(trained: FineTuned) -> float:
    """Tr(F)^2 / Tr(F^2), over at most 100 of the traced rows, evaluation mode.

    Cost: that of :func:`trainables.curvature.spectrum.fisher_spectrum`, once for all rivals that read it.

    Returns:
        A number of directions, 1 or more; NaN for a model without curvature.
    """
    return float(trained.spectrum.sum().square() / trained.spectrum.square().sum())
