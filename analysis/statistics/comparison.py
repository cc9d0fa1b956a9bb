"""Which of two variables correlates more closely with an outcome, and how often a variable ranks pairs wrongly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from analysis.statistics.association import CRITICAL, Array, counted, within

_GRID = np.linspace(-1.0, 1.0, 4001)
_ROUNDING = 1e-9  # so that rounding keeps whole degrees of freedom
_DEVIATES = np.linspace(0.0, 8.0, 1601)  # half-widths of intervals, in standard deviations, that p is sought among


@dataclass(frozen=True)
class Estimate:
    """A number, None if it is not defined, with its 95 % interval and the n units that it rests on.

    ``p`` is the two-sided p of 0: one minus the level at which the interval reaches 0, rounded up; None if unknown.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    p: float | None = None


def difference(first: ArrayLike, second: ArrayLike, y: ArrayLike, groups: ArrayLike) -> Estimate:
    """Difference between two partial correlations with the same outcome, given family: r(first, y) - r(second, y).

    The interval is Zou's (2007, MOVER), from the Fisher-z intervals of both and the correlation between the two
    correlations, so that it accounts for both being measured on the same configurations. All arrays are [n]; a row with
    a missing value in any array is left out.

    Example:
        >>> round(difference([1, 2, 3, 4, 5], [1, 3, 2, 5, 4], [1, 2, 3, 4, 6], list("aaaaa")).value, 2)
        0.25
    """
    columns, labels = counted([first, second, y], groups)
    a, b, outcome = columns.T
    one, two, both = within(a, outcome, labels), within(b, outcome, labels), within(a, b, labels)
    n = len(one.x)
    if one.reason or two.reason or both.reason:
        return Estimate(None, None, None, n)
    r1, r2, r12 = one.r, two.r, both.r
    if min(one.degrees, two.degrees) + _ROUNDING < 1 or max(abs(r1), abs(r2), abs(r12)) >= 1.0:
        return Estimate(r1 - r2, None, None, n)
    shared = (r12 - r1 * r2 / 2) * (1 - r1**2 - r2**2 - r12**2) + r12**3
    c = shared / ((1 - r1**2) * (1 - r2**2))
    z1, z2 = math.atanh(r1), math.atanh(r2)
    s1, s2 = (1 / math.sqrt(part.degrees + _ROUNDING) for part in (one, two))

    def reach(deviates: float | Array, side: float) -> Array:
        """Distance from the estimate to the lower (side -1) or upper (1) end of an interval of so many deviations."""
        first_moves = np.tanh(z1 + side * deviates * s1) - r1
        second_moves = r2 - np.tanh(z2 - side * deviates * s2)
        return np.sqrt(np.maximum(first_moves**2 + second_moves**2 - 2 * c * first_moves * second_moves, 0.0))

    found = r1 - r2
    reached = reach(_DEVIATES, -math.copysign(1.0, found)) >= abs(found)
    decisive = _DEVIATES[max(int(reached.argmax()) - 1, 0) if reached.any() else -1]
    low, high = found - float(reach(CRITICAL, -1.0)), found + float(reach(CRITICAL, 1.0))
    return Estimate(found, low, high, n, float(2 * ndtr(-decisive)))


def sign_error(x: ArrayLike, y: ArrayLike, left: NDArray[np.intp], right: NDArray[np.intp]) -> Estimate:
    """Share of pairs in which the row with the smaller x does not have the larger y (Dziugaite et al. 2020).

    0 is a perfect predictor of the declared (negative) sign, 1/2 a coin toss, 1 a perfect predictor of the other sign;
    ties count 1/2. The interval inverts the score test with Esscher's (1924) variance of Kendall's tau at each possible
    value, which accounts for pairs that share a row. x and y are [n]; left and right [m] give the rows of each pair.

    Example:
        >>> sign_error([1, 2, 3], [3, 2, 1], np.array([0, 0, 1]), np.array([1, 2, 2])).value
        0.0
    """
    first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    pairs = len(left)
    if not pairs:
        return Estimate(None, None, None, 0)
    tau = float((np.sign(first[left] - first[right]) * np.sign(second[left] - second[right])).mean())
    taking_part = np.bincount(np.concatenate([left, right]), minlength=len(first)).astype(np.float64)
    deviation = np.sqrt(_tau_variance(_GRID, pairs, float((taking_part * (taking_part - 1) / 2).sum())))
    inside = _GRID[np.abs(_GRID - tau) <= CRITICAL * deviation + 1e-12]
    low, high = (float(inside.min()), float(inside.max())) if len(inside) else (tau, tau)
    return Estimate((1 + tau) / 2, (1 + min(low, tau)) / 2, (1 + max(high, tau)) / 2, pairs)


def _tau_variance(tau: Array, pairs: int, adjacent: float) -> Array:
    """Variance of the mean sign product over pairs of rows; ``adjacent`` counts the pairs of pairs that share a row."""
    covariance = 1 / 9 - (2 / math.pi * np.arcsin(np.sin(math.pi * tau / 2) / 2)) ** 2
    return np.maximum(pairs * (1 - tau**2) + 2 * adjacent * covariance, 0.0) / pairs**2
