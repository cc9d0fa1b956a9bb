"""How one variable correlates with another within families: correlations, their intervals and their p-values.

The arithmetic of the declared statistics, on plain arrays, independent of trials, columns and wording. The unit is one
row of the arrays, usually a configuration, as means over its seeds. A group (family) of one row carries no information
about what happens within families and is not counted.

The degrees of freedom deviate from the usual ones, because of ``benchmarks/statistics.py``: Fisher's z with
n - (families - 1) - 3 degrees keeps its level only if all families have the same spread. When spreads differ by a
factor of two (one standard deviation, 0.7, of the logarithm), it covered .81 to .83 instead of .95. Here the variance
of r is that of its permutation distribution within families, which is the same on average for families of equal spread,
but never less than the textbook's: if x and y vary in different families, a small variance means little information.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]
CRITICAL = float(ndtri(0.975))  # for 95 % intervals
RANK_VARIANCE = 1.06  # of Fisher's z of a rank correlation (Fieller, Hartley and Pearson 1957)
NO_FAMILY = "no family has two configurations or more"
TOO_FEW = "so few points always give r = 1 or -1"
_ROUNDING = 1e-9  # a spread below this share of the values' size is rounding, not variation


@dataclass(frozen=True)
class Association:
    """A correlation within families.

    Attributes:
        r: The correlation; None if it is not defined, for the ``reason`` given.
        low: Lower end of the 95 % interval; None if there are too few rows.
        p: Two-sided p of "no association within families".
        n: Rows that count, in ``families`` of two or more.
        method: How interval and p are computed.
    """

    r: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    families: int
    method: str
    reason: str | None = None


@dataclass(frozen=True)
class Within:
    """The rows in use, sorted by family, as deviations from the family's mean with covariates regressed out.

    Attributes:
        x: First variable [n].
        y: Second variable [n].
        sizes: Number of rows in each family.
        held: An orthonormal basis of the covariates' deviations [n, covariates that vary within families].
        reason: Why the correlation is not defined; None if it is.
    """

    x: Array
    y: Array
    sizes: tuple[int, ...]
    held: Array
    reason: str | None = None

    @property
    def covariates(self) -> int:
        """Number of covariates that vary within families."""
        return int(self.held.shape[1])

    @property
    def r(self) -> float:
        """The correlation."""
        return float(np.clip(self.x @ self.y / math.sqrt((self.x @ self.x) * (self.y @ self.y)), -1.0, 1.0))

    @property
    def permuted(self) -> float:
        """The variance of ``x @ y`` over permutations within families: sum_f Sxx_f Syy_f / (n_f - 1)."""
        starts = np.cumsum((0, *self.sizes[:-1]))
        products = np.add.reduceat(self.x**2, starts) * np.add.reduceat(self.y**2, starts)
        return float((products / (np.array(self.sizes) - 1)).sum())

    @property
    def degrees(self) -> float:
        """Degrees of Fisher's z: 1 / Var(r) - 2 - covariates, but at most the textbook's.

        Over permutations within families, Var(r) = sum_f Sxx_f Syy_f / (n_f - 1) / (Sxx Syy), with sums of squares S in
        family f and over all. One family gives n - 3 degrees; families of equal spread give n - (families - 1) - 3 on
        average; a family that has most of the spread of both variables gives fewer, as few rows then decide.
        """
        found = float((self.x @ self.x) * (self.y @ self.y)) / self.permuted - 2
        return min(found, len(self.x) - len(self.sizes) - 2) - self.covariates

    def interval(
        self, variance: float = 1.0, r: float | None = None
    ) -> tuple[float, float, float] | tuple[None, None, None]:
        """The Fisher-z interval tanh(atanh r -+ 1.96 sqrt(variance / degrees)), and the two-sided p of r = 0.

        Args:
            variance: Factor on the variance of z.
            r: The correlation, if it is not that of x and y.

        Returns:
            The ends of the 95 % interval, and p, below .05 if 0 is outside; None with less than one degree.
        """
        r, degrees = self.r if r is None else r, self.degrees + 1e-9  # so that rounding keeps whole degrees
        if degrees < 1:
            return None, None, None
        if abs(r) >= 1.0:
            return r, r, 0.0
        z, deviation = math.atanh(r), math.sqrt(variance / degrees)
        half = CRITICAL * deviation
        return math.tanh(z - half), math.tanh(z + half), float(2 * ndtr(-abs(z) / deviation))


def centred(values: ArrayLike, groups: ArrayLike) -> Array:
    """Values [n] or [n, k] minus the mean of their group [n].

    Example:
        >>> centred([1.0, 3.0, 10.0], ["a", "a", "b"]).tolist()
        [-1.0, 1.0, 0.0]
    """
    data = np.asarray(values, dtype=np.float64)
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    table = data.reshape(len(data), -1)
    sums = np.stack([np.bincount(codes, weights=column) for column in table.T], axis=1)
    return (table - (sums / np.bincount(codes)[:, None])[codes]).reshape(data.shape)


def counted(variables: Sequence[ArrayLike], groups: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
    """Complete rows [n, variables] of families that have two or more, and the number of each row's family [n]."""
    columns, labels = np.column_stack([np.asarray(v, dtype=np.float64) for v in variables]), np.asarray(groups)
    known = np.isfinite(columns).all(axis=1)
    columns, codes = columns[known], np.unique(labels[known], return_inverse=True)[1]
    kept = np.bincount(codes)[codes] > 1 if len(codes) else np.zeros(0, dtype=bool)
    return columns[kept], codes[kept]


def within(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, covariates: Sequence[ArrayLike] = (), *, ranks: bool = False
) -> Within:
    """The rows that count, as deviations from their family's mean, with a reason if no correlation is defined.

    Args:
        x: Numbers [n]; a row with a missing value in any variable is left out.
        y: Numbers [n].
        groups: Family of each row [n].
        covariates: Variables [n] to regress out; one that does not vary within families is ignored.
        ranks: Replace the deviations of x and y by their ranks.
    """
    columns, codes = counted([x, y, *covariates], groups)
    if not len(codes):
        return Within(np.zeros(0), np.zeros(0), (), np.zeros((0, 0)), NO_FAMILY)
    order = np.argsort(codes, kind="stable")
    columns, codes = columns[order], codes[order]
    sizes = tuple(np.unique(codes, return_counts=True)[1].tolist())
    scale = np.abs(columns).max(axis=0)
    deviations = centred(columns, codes)
    if ranks:
        deviations[:, :2] = np.column_stack([centred(_ranks(deviations[:, i], scale[i]), codes) for i in (0, 1)])
        scale[:2] = len(codes)
    held = np.zeros((len(codes), 0))
    for i, name in enumerate("xy"):
        if _flat(deviations[:, i], scale[i]):
            return Within(deviations[:, 0], deviations[:, 1], sizes, held, f"{name} is constant within families")
    varying = [i for i in range(2, deviations.shape[1]) if not _flat(deviations[:, i], scale[i])]
    free = len(codes) - len(sizes)  # dimension of the space of deviations
    if not varying:
        return Within(deviations[:, 0], deviations[:, 1], sizes, held, TOO_FEW if free < 2 else None)
    scaled = deviations[:, varying] / np.abs(deviations[:, varying]).max(axis=0)
    left, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    held = left[:, singular > singular[0] * len(codes) * np.finfo(np.float64).eps]
    rest = deviations[:, :2] - held @ (held.T @ deviations[:, :2])
    for i, name in enumerate("xy"):
        if _flat(rest[:, i], scale[i]):
            return Within(rest[:, 0], rest[:, 1], sizes, held, f"{name} is a function of the covariates")
    return Within(rest[:, 0], rest[:, 1], sizes, held, TOO_FEW if free - held.shape[1] < 2 else None)


def _flat(values: Array, scale: float) -> bool:
    return bool(np.abs(values).max() <= _ROUNDING * max(scale, 1e-300))


def _ranks(values: Array, scale: float) -> Array:
    """Average ranks; values that differ only by rounding, as centring causes, are ties."""
    order = np.argsort(values, kind="stable")
    starts = np.concatenate([[True], np.diff(values[order]) > max(scale, 1e-300) * 1e-12])
    block = np.cumsum(starts) - 1
    counts = np.bincount(block)
    out = np.empty(len(values))
    out[order] = (np.cumsum(counts) - (counts - 1) / 2)[block]
    return out


def partial_correlation(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, covariates: Sequence[ArrayLike] = (), *, ranks: bool = False
) -> Association:
    """Partial correlation of x and y given family and covariates, with interval and p by Fisher's z.

    r is the Pearson correlation of the residuals of x and of y after regression on family dummies and covariates. With
    ``ranks``, x and y are first replaced by the ranks of their deviations from the family's mean (Spearman). For the
    arguments see :func:`within`.

    Example:
        >>> partial_correlation([1, 2, 3, 8, 9, 7], [1, 2, 3, -8, -7, -9], list("aaabbb")).r
        1.0
    """
    data = within(x, y, groups, covariates, ranks=ranks)
    n, families = len(data.x), len(data.sizes)
    name = "Spearman correlation of family-centred values" if ranks else "partial Pearson correlation given family"
    method = f"{name}{' and covariates' if covariates else ''}; Fisher z with the permutation variance"
    if data.reason:
        return Association(None, None, None, None, n, families, method, data.reason)
    low, high, p = data.interval(RANK_VARIANCE if ranks else 1.0)
    return Association(data.r, low, high, p, n, families, method)


def leave_one_family_out(x: ArrayLike, y: ArrayLike, groups: ArrayLike) -> dict[Any, Association]:
    """The partial correlation of x and y [n] with each family left out in turn, keyed by that family."""
    first, second, labels = np.asarray(x), np.asarray(y), np.asarray(groups)
    return {
        family: partial_correlation(first[labels != family], second[labels != family], labels[labels != family])
        for family in dict.fromkeys(labels.tolist())
    }
