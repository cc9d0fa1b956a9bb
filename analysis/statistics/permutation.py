"""The headline test: permuting configurations within families; and Holm's adjustment over the hypotheses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics.association import Association, Within, partial_correlation, within

Places = NDArray[np.integer[Any]]
EXACT_ARRANGEMENTS = 10_000
DRAWS = 9_999
_BLOCK = 1_000  # arrangements drawn at once where all have more entries than _WHOLE
_WHOLE = 40_000_000
_KEPT = 100_000_000  # more entries than this (200 MB) are not kept
_AT_ONCE = 50_000  # entries handled at once: what is gathered for them stays in the processor's cache


def headline(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, covariates: Sequence[ArrayLike] = (), *, seed: int = 0
) -> Association:
    """Partial Pearson correlation given family, its Fisher-z interval, and p by permuting rows within their family.

    Under "no association within families" every arrangement of y within the families is as likely as the one seen, so
    p is the share of arrangements whose |r| reaches the observed one: all of them when there are at most 10,000, else
    (b + 1) / (m + 1) over m = 9,999 random ones. Resampled unit: the row. With covariates what is arranged are the
    residuals of y, from which the covariates are removed anew in each arrangement (Freedman and Lane 1983).

    Args:
        x: Numbers [n]; rows with a missing value are left out.
        y: Numbers [n].
        groups: Family of each row [n].
        covariates: Variables [n] held fixed.

    Example:
        >>> found = headline([1, 2, 3, 4], [2, 1, 4, 3], list("aaaa"))
        >>> round(found.r, 2), round(found.p, 4)
        (0.6, 0.4167)
    """
    found = partial_correlation(x, y, groups, covariates)
    data = within(x, y, groups, covariates)
    if data.reason:
        return found
    p, how = permuted([data], seed=seed)
    given = "family and covariates; residuals permuted" if data.covariates else "family"
    method = f"partial Pearson correlation given {given}; Fisher z with the permutation variance; {how}"
    return replace(found, p=p, method=method)


def permuted(parts: Sequence[Within], *, seed: int = 0, r: float | None = None) -> tuple[float, str]:
    """Two-sided p of the mean of some correlations over the same rows, which are arranged together.

    Args:
        parts: Rows as deviations, the same families in each.
        r: The correlation observed, where it is not that of x and y.

    Returns:
        p, and in words how many arrangements it rests on.
    """
    sizes = parts[0].sizes
    exact = math.prod(math.factorial(size) for size in sizes) <= EXACT_ARRANGEMENTS
    scales = [math.sqrt((part.x @ part.x) * (part.y @ part.y)) for part in parts]
    observed = sum(float(part.x @ part.y) / scale for part, scale in zip(parts, scales, strict=True))
    observed = abs(observed if r is None else r)
    reached = observed - 1e-12 * len(parts)  # equal but for rounding counts
    hits = total = 0
    for arrangement in _arrangements(sizes, seed):
        statistic = np.zeros(len(arrangement))
        for part, scale in zip(parts, scales, strict=True):
            arranged = part.y.take(arrangement, mode="clip")  # which checks no index, and takes half the time
            found = arranged @ part.x / scale
            if part.covariates:  # what the covariates take of the arranged residuals makes their norm smaller
                taken = ((arranged @ part.held) ** 2).sum(axis=1) / float(part.y @ part.y)
                found /= np.sqrt(np.maximum(1.0 - taken, 1e-12))
            statistic += found
        hits += int(np.count_nonzero(np.abs(statistic) >= reached))
        total += len(arrangement)
    p = hits / total if exact else (hits + 1) / (total + 1)
    return p, f"{'all' if exact else 'over'} {total:,} {'' if exact else 'random '}arrangements within families"


def _arrangements(sizes: tuple[int, ...], seed: int) -> Iterator[Places]:
    """Row numbers [m, n] of arrangements within consecutive families: all, or DRAWS random ones, in blocks."""
    kept = sum(sizes) * DRAWS <= _KEPT  # a report asks for the same families again and again
    blocks = _kept_arrangements(sizes, seed) if kept else _random_blocks(sizes, seed)
    rows = max(1, _AT_ONCE // sum(sizes))
    yield from (block[start : start + rows] for block in blocks for start in range(0, len(block), rows))


@lru_cache(maxsize=3)
def _kept_arrangements(sizes: tuple[int, ...], seed: int) -> list[Places]:
    if math.prod(math.factorial(size) for size in sizes) > EXACT_ARRANGEMENTS:
        return list(_random_blocks(sizes, seed))
    table = np.zeros((1, 0), dtype=np.int32)
    for start, size in zip(itertools.accumulate((0, *sizes)), sizes, strict=False):
        orders = np.array(list(itertools.permutations(range(start, start + size))), dtype=np.int32)
        table = np.hstack([np.repeat(table, len(orders), axis=0), np.tile(orders, (len(table), 1))])
    return [table]


def _random_blocks(sizes: tuple[int, ...], seed: int) -> Iterable[Places]:
    rng, rows = np.random.default_rng(seed), DRAWS if sum(sizes) * DRAWS <= _WHOLE else _BLOCK
    return (_random_arrangements(sizes, min(rows, DRAWS - start), rng) for start in range(0, DRAWS, rows))


def _random_arrangements(sizes: tuple[int, ...], draws: int, rng: np.random.Generator) -> Places:
    starts, kind = itertools.accumulate((0, *sizes[:-1])), np.min_scalar_type(sum(sizes))
    parts = [
        rng.permuted(np.tile(np.arange(start, start + size, dtype=kind), (draws, 1)), axis=1)
        for start, size in zip(starts, sizes, strict=True)
    ]
    return np.hstack(parts)


def holm(p_values: Mapping[str, float | None]) -> dict[str, float]:
    """Holm's step-down adjustment over the hypotheses that have a p: name to adjusted p, at most 1.

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
