"""Label variance: how undecided the model is.

    mean over validation rows of  1 - sum_y p(y|x)^2

The trace of the covariance of a one-hot label drawn from the model (Gini 1912), a fraction. Uses no observed label.
Tr(F) is this variance seen through the Jacobian of the logits, so that a part of Tr(F) is uncertainty alone.
"""

from __future__ import annotations

from trainables.curvature.rivals.subject import FineTuned


def label_variance(trained: FineTuned) -> float:
    """Mean of ``1 - sum_y p(y|x)^2`` over the validation rows; no pass through the model.

    Returns:
        A fraction: 0 for a model that is always certain, ``1 - 1/num_classes`` for one that knows nothing.
    """
    p = trained.validation_logits.double().softmax(-1)
    return float((1 - p.square().sum(-1)).mean())
