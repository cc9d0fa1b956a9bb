"""A random-effects summary of one effect over several studies: mean, heterogeneity, and prediction interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

LEAST = 2  # studies that a summary needs
LEAST_PREDICTED = 3  # studies that a prediction interval needs, as its t has k - 2 degrees


@dataclass(frozen=True)
class Summary:
    """The mean effect over studies.

    Attributes:
        mean: The mean, in the unit of the effects.
        error: Its standard error.
        low: Lower end of the 95 % interval.
        tau: Standard deviation of the true effects over studies (same unit).
        i2: Share of the estimates' variance that is between studies, from Cochran's Q (fraction).
        predicted: 95 % prediction interval for the true effect in a further study; None with fewer than three studies.
    """

    mean: float
    error: float
    low: float
    high: float
    tau: float
    i2: float
    predicted: tuple[float, float] | None
    studies: int

    def p(self, distance: float) -> float:
        """One-sided p of a value at ``distance`` from the mean: P(t < -|distance| / error), with k - 1 degrees."""
        return float(stdtr(self.studies - 1, -abs(distance) / self.error))


def summarise(effects: Sequence[float], errors: Sequence[float]) -> Summary:
    """Combine independent estimates under random effects.

    With v_i the squared standard errors and w_i = 1 / (v_i + tau^2), the mean is mu = sum w_i y_i / sum w_i. tau^2
    solves sum w_i (y_i - mu)^2 = k - 1, or is 0 if the sum is smaller even there (Paule and Mandel 1982). The interval
    is mu -+ t_{k-1} s, s^2 = max(1, sum w_i (y_i - mu)^2 / (k - 1)) / sum w_i (Hartung and Knapp 2001, never narrower
    than at a scale of one: Roever, Knapp and Friede 2015). The prediction interval is mu -+ t_{k-2} sqrt(tau^2 + s^2)
    (Higgins, Thompson and Spiegelhalter 2009, eq. 12). I^2 = max(0, 1 - (k - 1) / Q), Q the sum at tau = 0 (Higgins
    and Thompson 2002).

    Args:
        effects: Estimates y_i [k], k >= 2.
        errors: Their standard errors [k], positive.

    Example:
        >>> found = summarise([0.1, 0.3, 0.2], [0.1, 0.1, 0.1])
        >>> round(found.mean, 3), found.tau, found.i2
        (0.2, 0.0, 0.0)
    """
    from statsmodels.stats.meta_analysis import combine_effects  # takes a second to load

    y, variances = np.asarray(effects, dtype=np.float64), np.asarray(errors, dtype=np.float64) ** 2
    k = len(y)
    with np.errstate(divide="ignore"):  # for its own I^2 the library divides by Q, which is 0 for equal effects
        # atol must not be smaller: if rounding ends the iteration below zero, the library returns tau = 0.
        found = combine_effects(y, variances, method_re="pm", maxiter=200)
    mean, tau2 = float(found.mean_effect_re), max(0.0, float(found.tau2))
    error = math.sqrt(max(1.0, float(found.scale_hksj_re)) * float(found.var_eff_w_re))
    half = float(stdtrit(k - 1, 0.975)) * error
    predicted = None
    if k >= LEAST_PREDICTED:
        reach = float(stdtrit(k - 2, 0.975)) * math.sqrt(tau2 + error**2)
        predicted = mean - reach, mean + reach
    q = float(found.q)
    i2 = 1 - (k - 1) / q if q > k - 1 else 0.0
    return Summary(mean, error, mean - half, mean + half, math.sqrt(tau2), i2, predicted, k)
