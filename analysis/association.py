"""How one variable goes with another within families: correlations, their intervals and their p-values.

Owns the arithmetic of METHODS "Statistics of the report" on plain arrays. Knows nothing of trials, columns or words.
The unit is one row of the arrays, usually a configuration: means over its seeds. A group (family) of one row carries
no information on what happens within families and is not counted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtr

from analysis.power import degrees_of_freedom

Array = NDArray[np.float64]
LEVEL = 0.95
EXACT_ARRANGEMENTS = 10_000
DRAWS = 9_999
_SMALL = 1e-9  # a spread below this share of the values' size is rounding, not variation


@dataclass(frozen=True)
class Association:
    """A correlation within families.

    Attributes:
        r: The correlation; None where it is not defined.
        low: Lower end of the 95 % interval; None where there are too few rows.
        high: Upper end.
        p: Two-sided p of "no association within families".
        n: Rows counted.
        families: Families counted.
        method: How interval and p were made.
        reason: Why r is not defined, else None.
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
class _Within:
    """Rows in use, sorted by family, each variable minus its family's mean and free of covariates."""

    x: Array
    y: Array
    sizes: tuple[int, ...]
    covariates: int
    reason: str | None


def centred(values: ArrayLike, groups: ArrayLike) -> Array:
    """Values minus the mean of their group.

    Args:
        values: Numbers [n] or [n, k].
        groups: A label for each row [n].

    Returns:
        The deviations, same shape.

    Example:
        >>> centred([1.0, 3.0, 10.0], ["a", "a", "b"]).tolist()
        [-1.0, 1.0, 0.0]
    """
    data = np.asarray(values, dtype=np.float64)
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    table = data.reshape(len(data), -1)
    sums = np.stack([np.bincount(codes, weights=column) for column in table.T], axis=1)
    return (table - (sums / np.bincount(codes)[:, None])[codes]).reshape(data.shape)


def _within(x: ArrayLike, y: ArrayLike, groups: ArrayLike, covariates: Sequence[ArrayLike], ranks: bool) -> _Within:
    columns = np.column_stack([np.asarray(v, dtype=np.float64) for v in (x, y, *covariates)])
    labels = np.asarray(groups)
    known = np.isfinite(columns).all(axis=1)
    columns, labels = columns[known], labels[known]
    codes, counts = np.unique(labels, return_inverse=True, return_counts=True)[1:] if len(labels) else (labels, labels)
    counted = counts[codes] > 1 if len(labels) else np.zeros(0, dtype=bool)
    columns, codes = columns[counted], codes[counted]
    if not len(codes):
        return _Within(np.zeros(0), np.zeros(0), (), 0, "no family has two configurations or more")
    order = np.argsort(codes, kind="stable")
    columns, codes = columns[order], codes[order]
    sizes = tuple(int(size) for size in np.unique(codes, return_counts=True)[1])
    scale = np.abs(columns).max(axis=0)
    deviations = centred(columns, codes)
    if ranks:
        deviations[:, :2] = np.column_stack([centred(_ranks(deviations[:, i], scale[i]), codes) for i in (0, 1)])
        scale[:2] = len(codes)
    first, second, rest = deviations[:, 0], deviations[:, 1], deviations[:, 2:]
    for name, values, size in (("x", first, scale[0]), ("y", second, scale[1])):
        if _flat(values, size):
            return _Within(first, second, sizes, 0, f"{name} is constant within families")
    varying = [k for k in range(rest.shape[1]) if not _flat(rest[:, k], scale[2 + k])]
    rest = rest[:, varying] / np.abs(rest[:, varying]).max(axis=0) if varying else rest[:, :0]
    taken = int(np.linalg.matrix_rank(rest)) if varying else 0
    if taken:
        fitted = np.linalg.lstsq(rest, np.column_stack([first, second]), rcond=None)[0]
        first, second = first - rest @ fitted[:, 0], second - rest @ fitted[:, 1]
        for name, values, size in (("x", first, scale[0]), ("y", second, scale[1])):
            if _flat(values, size):
                return _Within(first, second, sizes, taken, f"{name} is a function of the covariates")
    return _Within(first, second, sizes, taken, None)


def _flat(values: Array, scale: float) -> bool:
    return bool(np.abs(values).max() <= _SMALL * max(scale, 1e-300))


def _ranks(values: Array, scale: float) -> Array:
    """Average ranks; values that differ by rounding only are ties (centring makes such differences)."""
    grain = max(scale, 1e-300) * 1e-12
    order = np.argsort(values, kind="stable")
    starts = np.concatenate([[True], np.diff(values[order]) > grain])
    block = np.cumsum(starts) - 1
    counts = np.bincount(block)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    out = np.empty(len(values))
    out[order] = mean_rank[block]
    return out


def _correlation(x: Array, y: Array) -> float:
    return float(np.clip(x @ y / math.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def fisher_interval(r: float, degrees: int, variance: float = 1.0) -> tuple[float, float] | tuple[None, None]:
    """The Fisher-z interval of a correlation: tanh(atanh r -+ 1.96 sqrt(variance / degrees)).

    Args:
        r: The correlation.
        degrees: n - (families - 1) - covariates - 3.
        variance: Factor on the variance of z; 1 for Pearson's, 1 + r^2 / 2 for ranks (Bonett and Wright 2000).

    Returns:
        The ends of the 95 % interval; (None, None) with less than one degree of freedom.

    Example:
        >>> [round(end, 3) for end in fisher_interval(0.5, 16)]
        [0.059, 0.778]
    """
    if degrees < 1:
        return None, None
    if abs(r) >= 1.0:
        return r, r
    half = float(ndtri(0.5 + LEVEL / 2)) * math.sqrt(variance / degrees)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def partial_correlation(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, covariates: Sequence[ArrayLike] = (), *, ranks: bool = False
) -> Association:
    """Partial correlation of x and y given family and covariates, p by Student's t.

    r is the Pearson correlation of the residuals of x and of y after regression on family dummies and covariates;
    t = r sqrt(d / (1 - r^2)) with d = n - families - covariates - 1, which is the t of x in that least-squares fit.
    With ``ranks`` x and y are first replaced by the ranks of their deviations from the family's mean (Spearman).

    Args:
        x: Numbers [n]; rows with a missing value anywhere are left out.
        y: Numbers [n].
        groups: Family of each row [n].
        covariates: Further variables [n] held fixed; one that does not vary within families is ignored.
        ranks: Correlate ranks.

    Returns:
        Correlation, Fisher-z interval and p.

    Example:
        >>> partial_correlation([1, 2, 3, 8, 9, 7], [1, 2, 3, -8, -7, -9], list("aaabbb")).r
        1.0
    """
    data = _within(x, y, groups, covariates, ranks)
    n, families = len(data.x), len(data.sizes)
    name = "Spearman correlation of family-centred values" if ranks else "partial Pearson correlation given family"
    method = f"{name}{' and covariates' if covariates else ''}; Fisher z; t test"
    if data.reason:
        return Association(None, None, None, None, n, families, method, data.reason)
    r = _correlation(data.x, data.y)
    variance = 1 + r * r / 2 if ranks else 1.0
    low, high = fisher_interval(r, degrees_of_freedom(data.sizes) - data.covariates, variance)
    free = n - families - data.covariates - 1
    return Association(r, low, high, _t_test(r, free), n, families, method)


def _t_test(r: float, degrees: int) -> float | None:
    if degrees < 1:
        return None
    if abs(r) >= 1.0:
        return 0.0
    return float(2 * stdtr(degrees, -abs(r) * math.sqrt(degrees / (1 - r * r))))


def headline(x: ArrayLike, y: ArrayLike, groups: ArrayLike, *, seed: int = 0) -> Association:
    """Partial Pearson correlation given family, p by permuting rows within their family.

    Under "no association within families" every arrangement of y within the families is as likely as the one seen, so
    p is the share of arrangements whose |r| reaches the observed one: all of them when there are at most 10,000, else
    (b + 1) / (m + 1) over m = 9,999 random ones. Resampled unit: the row.

    Args:
        x: Numbers [n]; rows with a missing value are left out.
        y: Numbers [n].
        groups: Family of each row [n].
        seed: Of the random arrangements.

    Returns:
        Correlation, Fisher-z interval and permutation p.

    Example:
        >>> found = headline([1, 2, 3, 4], [2, 1, 4, 3], list("aaaa"))
        >>> round(found.r, 2), round(found.p, 4)
        (0.6, 0.4167)
    """
    found = partial_correlation(x, y, groups)
    data = _within(x, y, groups, (), False)
    if data.reason:
        return replace(found, method="partial Pearson correlation given family; permutation within families")
    exact = math.prod(math.factorial(size) for size in data.sizes) <= EXACT_ARRANGEMENTS
    observed = abs(data.x @ data.y)
    reached = observed - 1e-12 * math.sqrt((data.x @ data.x) * (data.y @ data.y))  # equal but for rounding counts
    hits = total = 0
    for arrangement in _arrangements(data.sizes, seed):
        hits += int(np.count_nonzero(np.abs(data.y[arrangement] @ data.x) >= reached))
        total += len(arrangement)
    p = hits / total if exact else (hits + 1) / (total + 1)
    how = f"all {total:,} arrangements" if exact else f"{total:,} random arrangements"
    return replace(found, p=p, method=f"partial Pearson correlation given family; Fisher z; {how} within families")


def _arrangements(sizes: tuple[int, ...], seed: int) -> Iterator[NDArray[np.int32]]:
    """Row numbers [m, n] of arrangements within consecutive families: all, or DRAWS random ones, in blocks."""
    if sum(sizes) <= 200:  # small enough to keep: a report asks for the same families again and again
        yield _small_arrangements(sizes, seed)
        return
    rng = np.random.default_rng(seed)
    for start in range(0, DRAWS, 500):
        yield _random_arrangements(sizes, min(500, DRAWS - start), rng)


@lru_cache(maxsize=16)
def _small_arrangements(sizes: tuple[int, ...], seed: int) -> NDArray[np.int32]:
    if math.prod(math.factorial(size) for size in sizes) > EXACT_ARRANGEMENTS:
        return _random_arrangements(sizes, DRAWS, np.random.default_rng(seed))
    table = np.zeros((1, 0), dtype=np.int32)
    for start, size in zip(itertools.accumulate((0, *sizes)), sizes, strict=False):
        orders = np.array(list(itertools.permutations(range(start, start + size))), dtype=np.int32)
        table = np.hstack([np.repeat(table, len(orders), axis=0), np.tile(orders, (len(table), 1))])
    return table


def _random_arrangements(sizes: tuple[int, ...], draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
    starts = itertools.accumulate((0, *sizes[:-1]))
    parts = [
        rng.permuted(np.tile(np.arange(start, start + size, dtype=np.int32), (draws, 1)), axis=1)
        for start, size in zip(starts, sizes, strict=True)
    ]
    return np.hstack(parts)


def holm(p_values: Mapping[str, float | None]) -> dict[str, float]:
    """Holm's step-down adjustment over the hypotheses that have a p-value.

    Args:
        p_values: Name to p; None where there is none.

    Returns:
        Name to adjusted p, at most 1.

    Example:
        >>> holm({"H1": 0.01, "H2": 0.04, "H3": None})
        {'H1': 0.02, 'H2': 0.04}
    """
    tested = sorted(((p, name) for name, p in p_values.items() if p is not None))
    adjusted: dict[str, float] = {}
    running = 0.0
    for rank, (p, name) in enumerate(tested):
        running = max(running, min(1.0, (len(tested) - rank) * p))
        adjusted[name] = running
    return {name: adjusted[name] for name in p_values if name in adjusted}


def leave_one_family_out(x: ArrayLike, y: ArrayLike, groups: ArrayLike) -> dict[Any, Association]:
    """The partial correlation without each family in turn.

    Args:
        x: Numbers [n].
        y: Numbers [n].
        groups: Family of each row [n].

    Returns:
        Family left out to what remains.
    """
    labels = np.asarray(groups)
    out: dict[Any, Association] = {}
    for family in dict.fromkeys(labels.tolist()):
        rest = labels != family
        out[family] = partial_correlation(np.asarray(x)[rest], np.asarray(y)[rest], labels[rest])
    return out
