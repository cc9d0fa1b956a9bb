"""Three summaries of the eigenvalues lambda_k of the Fisher matrix.

    lambda_max(F) = max over v of  v^T F v / v^T v
    Tr(F^2) = sum over k of  lambda_k^2 = ||F||_F^2
    Tr(F)^2 / Tr(F^2) = (sum over k of lambda_k)^2 / sum over k of lambda_k^2

All use at most 100 of the traced rows, in evaluation mode. Together they cost one call of
:func:`trainables.curvature.spectrum.fisher_spectrum`.
"""

from __future__ import annotations

from trainables.curvature.rivals.subject import FineTuned


def lambda_max(trained: FineTuned) -> float:
    """The sharpest direction alone, whereas Tr(F) sums all; Tr(F) / lambda_max is the stable rank of F's square root.

    Returns:
        Squared nats per squared parameter unit.
    """
    return float(trained.spectrum[-1])


def trace_f2(trained: FineTuned) -> float:
    """Tr(F^2), which gives sharp directions more weight than Tr(F) does.

    Returns:
        The square of (squared nats per squared parameter unit).
    """
    return float(trained.spectrum.square().sum())


def effective_rank(trained: FineTuned) -> float:
    """The participation ratio of the eigenvalues: the number of directions over which the curvature is spread.

    It is k if k eigenvalues are equal and all others 0. It is at most n (C - 1) for n rows and C classes, so values are
    comparable only if they come from equally many rows.

    Returns:
        The number of directions, at least 1; NaN for a model without curvature.
    """
    return float(trained.spectrum.sum().square() / trained.spectrum.square().sum())
