"""Sum of the squared eigenvalues of the Fisher matrix.

    Tr(F^2) = sum over k of  lambda_k^2 = ||F||_F^2

Weighs sharp directions more than Tr(F) does.
"""

from __future__ import annotations

from trainables.curvature.rivals.subject import FineTuned


def trace_f2(trained: FineTuned) -> float:
    """Tr(F^2), over at most 100 of the traced rows, evaluation mode.

    Cost: that of :func:`trainables.curvature.spectrum.fisher_spectrum`, once for all rivals that read it.

    Returns:
        The square of (squared nats per squared parameter unit).
    """
    return float(trained.spectrum.square().sum())
