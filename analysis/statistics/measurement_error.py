"""What measurement error does to a correlation: controls measured with error, reliability, and disattenuation.

Works on plain arrays, as deviations from the family's mean, independent of trials and columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.association import Association, Within, centred, counted, within
from analysis.statistics.permutation import permuted

LEAST_TRUE = 0.25  # a control is corrected as if at least this share of its variance were not error


@dataclass(frozen=True)
class ErrorMoments:
    """The error of a control within families: its variance, and its covariance with the error of the outcome."""

    variance: float
    covariance: float


@dataclass(frozen=True)
class Reliability:
    """How much of a variable's variance within families is not measurement error.

    Attributes:
        value: 1 - mean error variance / variance, at least 0; None if it is not defined, for the ``reason`` given.
        variance: Variance within families.
        error: Mean error variance.
    """

    value: float | None
    variance: float
    error: float
    n: int
    families: int
    reason: str | None = None


def corrected(
    x: ArrayLike,
    y: ArrayLike,
    groups: ArrayLike,
    noisy: ArrayLike,
    exact: Sequence[ArrayLike],
    error: ErrorMoments,
    steepest: float = math.inf,
) -> Association:
    """Partial correlation given one control that is measured with error (Fuller 1987, section 2.2) and exact controls.

    Let b be the noisy control, with family and the exact controls removed from all variables, S mean products, and v
    and c the variance and covariance of the error. The slopes on what b measures are l = S_xb / (S_bb - v) and
    k = (S_yb - c) / (S_bb - v), and r = (S_xy - k S_xb) / sqrt(mean (x - l b)^2 mean (y - k b)^2). The denominator
    keeps the error of b, so that the variance of r is that of a correlation. S_bb - v is taken to be at least a quarter
    of S_bb. If |k| would exceed ``steepest``, k is fixed at that size, and l is 0.

    Args:
        x: Numbers [n]; a row with a missing value in any variable is left out.
        y: Numbers [n].
        groups: Family of each row [n].
        noisy: The control measured with error [n].
        exact: Controls measured without error [n].
        error: Variance and covariance of the error, per degree of freedom within families.
        steepest: Largest absolute value of k.
    """
    method = "partial correlation given family and controls, the error of the accuracy before taken out; Fisher z"
    one, two = within(x, noisy, groups, exact), within(y, noisy, groups, exact)
    both = within(x, y, groups, exact)
    n, families = len(both.x), len(both.sizes)
    if reason := both.reason or one.reason or two.reason:
        return Association(None, None, None, None, n, families, method, reason)
    b, degrees = one.y, n - families - both.covariates
    if degrees < 1:
        reason = "the controls leave no degree of freedom"
        return Association(None, None, None, None, n, families, method, reason)
    measured = float(b @ b) / degrees
    true = max(measured - max(error.variance, 0.0), LEAST_TRUE * measured)
    of_x, of_y = float(both.x @ b) / degrees, float(both.y @ b) / degrees - error.covariance
    slope_x, slope_y = of_x / true, of_y / true
    if abs(slope_y) > steepest:
        slope_x, slope_y = 0.0, math.copysign(steepest, slope_y)
    u, rest = both.x - slope_x * b, both.y - slope_y * b
    norm = math.sqrt(float(u @ u) * float(rest @ rest)) / degrees
    if norm <= 1e-12 * math.sqrt(float(both.x @ both.x) * float(both.y @ both.y)) / degrees:
        reason = "the controls leave nothing to correlate"
        return Association(None, None, None, None, n, families, method, reason)
    r = float(np.clip((float(both.x @ both.y) / degrees - slope_y * of_x) / norm, -1.0, 1.0))
    residuals = Within(u, rest, both.sizes, np.column_stack([both.held, b / math.sqrt(float(b @ b))]))
    low, high, _ = residuals.interval(r=r)
    p, how = permuted([replace(residuals, held=both.held)], r=r)
    return Association(r, low, high, p, n, families, f"{method}; residuals permuted, {how}")


def reliability(values: ArrayLike, error_variances: ArrayLike, groups: ArrayLike) -> Reliability:
    """Reliability within families of values [n]; rows with a missing value and families of one row do not count.

    Example:
        >>> reliability([1.0, 3.0, 5.0], [1.0, 1.0, 1.0], ["a", "a", "a"]).value
        0.75
    """
    table, codes = counted([values, error_variances], groups)
    n, families = len(codes), len(np.unique(codes))
    if not n:
        return Reliability(None, 0.0, 0.0, 0, 0, "no family has two configurations or more whose error is known")
    deviations = centred(table[:, 0], codes)
    variance, error = float(deviations @ deviations) / (n - families), float(table[:, 1].mean())
    if variance <= 0:
        return Reliability(None, variance, error, n, families, "it is constant within families")
    return Reliability(max(0.0, 1 - error / variance), variance, error, n, families)


def examples_needed(found: Reliability, examples: float, target: float = 0.9) -> int | None:
    """Examples per Tr(F) at which ln Tr(F) would reach a reliability, its error variance being inverse to their number.

    None if the error variance is as large as the whole variance, so that no number can be given.

    Args:
        examples: The number of examples behind ``found``.

    Example:
        >>> examples_needed(Reliability(0.75, 4.0, 1.0, 3, 1), 200)
        600
    """
    true = found.variance - found.error
    if found.value is None or true <= 0:
        return None
    return max(1, math.ceil(found.error * examples * target / ((1 - target) * true) - 1e-9))


def disattenuated(found: Association, *reliabilities: Reliability) -> Association:
    """The correlation of what two variables measure: r and its interval over the root of the reliabilities, at most 1.

    The reliabilities are treated as known, so the interval is too narrow when they are poor. The result is
    undefined if one is unknown or 0.
    """
    values = [one.value for one in reliabilities]
    method = "r over the root of both reliabilities, taken as known"
    if found.r is None or any(not value for value in values):
        reason = found.reason or "a reliability is unknown or 0"
        return replace(found, r=None, low=None, high=None, p=None, method=method, reason=reason)
    scale = math.sqrt(math.prod(value for value in values if value))
    r, low, high = (
        None if end is None else max(-1.0, min(1.0, end / scale)) for end in (found.r, found.low, found.high)
    )
    return replace(found, r=r, low=low, high=high, p=None, method=method)
