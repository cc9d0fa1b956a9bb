"""Rivals of Tr(F) as predictors of generalisation, each with its formula, unit and source.

A rival is a function of a :class:`FineTuned` model that returns one number; its column is ``measure.NAME``. Rivals that
use observed labels read training rows, since on validation rows they would almost be the accuracy itself. Rivals that
use the model's own labels read the rows of Tr(F), so they differ from it only by their formula, except that
``label_variance`` reads all validation rows. Every rival works in evaluation mode, is deterministic, and leaves model,
gradients and random generators as found.
"""

from __future__ import annotations

from collections.abc import Callable

from trainables.curvature.rivals.adaptive_sharpness import adaptive_sharpness
from trainables.curvature.rivals.eigenvalues import effective_rank, lambda_max, trace_f2
from trainables.curvature.rivals.logits import label_variance, margin
from trainables.curvature.rivals.norms import distance_from_pretrained, parameter_norm
from trainables.curvature.rivals.scale_free import fisher_rao, normalized_trace, relative_flatness
from trainables.curvature.rivals.scores import empirical_fisher, noise_scale
from trainables.curvature.rivals.sharpness import sharpness
from trainables.curvature.rivals.subject import FineTuned
from trainables.plugins import Registry

# fmt: off
_OURS: dict[str, Callable[[FineTuned], float]] = {
    function.__name__: function for function in (
        label_variance, margin, sharpness, empirical_fisher, parameter_norm, distance_from_pretrained, fisher_rao,
        normalized_trace, relative_flatness, lambda_max, effective_rank, trace_f2, noise_scale, adaptive_sharpness,
    )
}
# fmt: on
RIVALS: Registry[Callable[[FineTuned], float]] = Registry("rivals", Callable, _OURS)

__all__ = ["RIVALS", "FineTuned"]
