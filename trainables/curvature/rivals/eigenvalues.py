"""Three readings of the eigenvalues lambda_k of the Fisher matrix.

    lambda_max(F) = max over v of  v^T F v / v^T v
    Tr(F^2) = sum over k of  lambda_k^2 = ||F||_F^2
    Tr(F)^2 / Tr(F^2) = (sum over k of lambda_k)^2 / sum over k of lambda_k^2

All are over at most 100 of the traced rows, in evaluation mode. Cost: that of
:func:`trainables.curvature.spectrum.fisher_spectrum`, once for all of them.
"""

from __future__ import annotations

from trainables.curvature.rivals.subject import FineTuned


def lambda_max(trained: FineTuned) -> float:
    """The sharpest direction alone, where Tr(F) adds up all of them; Tr(F) / lambda_max is the stable rank of F's root.

    Returns:
        Squared nats per squared parameter unit.
    """
    return float(trained.spectrum[-1])


def trace_f2(trained: FineTuned) -> float:
    """Tr(F^2), which weighs sharp directions more than Tr(F) does.

    Returns:
        The square of (squared nats per squared parameter unit).
    """
    return float(trained.spectrum.square().sum())


def effective_rank(trained: FineTuned) -> float:
    """The participation ratio of the eigenvalues: over how many directions the curvature is spread.

    k for k equal ones and none beside them, 1 for a single one. It is at most n (C - 1) for n rows and C classes, so
    that only values from as many rows compare.

    Returns:
        A number of directions, 1 or more; NaN for a model without curvature.
    """
    return float(trained.spectrum.sum().square() / trained.spectrum.square().sum())
