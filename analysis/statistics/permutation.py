"""The headline test, which permutes configurations within families, and Holm's adjustment over the hypotheses."""

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
_BLOCK = 1_000  # arrangements per draw if all together have more entries than _WHOLE
_WHOLE = 40_000_000
_KEPT = 100_000_000  # arrangements with more entries in all (200 MB) are not kept
_AT_ONCE = 50_000  # entries per step, so that the gathered values fit in the processor's cache


def headline(
    x: ArrayLike, y: ArrayLike, groups: ArrayLike, covariates: Sequence[ArrayLike] = (), *, seed: int = 0
) -> Association:
    """Partial Pearson correlation given family, with Fisher-z interval and p by permuting rows within families.

    Under "no association within families", every arrangement of y within the families is as likely as the observed one.
    So p is the share of arrangements whose |r| is at least the observed |r|: over all arrangements if there are at most
    10,000, or else (b + 1) / (m + 1) if b of m = 9,999 random ones are. The unit is the row. With covariates, the
    residuals of y are permuted, and the covariates regressed out anew each time (Freedman and Lane 1983).

    Args:
        x: Numbers [n]; a row with a missing value in any variable is left out.
        y: Numbers [n].
        groups: Family of each row [n].
        covariates: Variables [n] to hold fixed.

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
    """Two-sided p of the mean of several correlations over the same rows, which are permuted together.

    Args:
        parts: The rows of each correlation as deviations, with the same families.
        r: The observed correlation, if it is not that of x and y.

    Returns:
        p, and how many arrangements it rests on, in words.
    """
    sizes = parts[0].sizes
    exact = math.prod(math.factorial(size) for size in sizes) <= EXACT_ARRANGEMENTS
    scales = [math.sqrt((part.x @ part.x) * (part.y @ part.y)) for part in parts]
    observed = sum(float(part.x @ part.y) / scale for part, scale in zip(parts, scales, strict=True))
    observed = abs(observed if r is None else r)
    reached = observed - 1e-12 * len(parts)  # so that values equal up to rounding count
    hits = total = 0
    for arrangement in _arrangements(sizes, seed):
        statistic = np.zeros(len(arrangement))
        for part, scale in zip(parts, scales, strict=True):
            arranged = part.y.take(arrangement, mode="clip")  # skips index checks, in half the time
            found = arranged @ part.x / scale
            if part.covariates:  # what the covariates explain of the permuted residuals reduces their norm
                taken = ((arranged @ part.held) ** 2).sum(axis=1) / float(part.y @ part.y)
                found /= np.sqrt(np.maximum(1.0 - taken, 1e-12))
            statistic += found
        hits += int(np.count_nonzero(np.abs(statistic) >= reached))
        total += len(arrangement)
    p = hits / total if exact else (hits + 1) / (total + 1)
    return p, f"{'all' if exact else 'over'} {total:,} {'' if exact else 'random '}arrangements within families"


def _arrangements(sizes: tuple[int, ...], seed: int) -> Iterator[Places]:
    """Row numbers [m, n] of arrangements within consecutive families, in blocks: all, or DRAWS random ones."""
    kept = sum(sizes) * DRAWS <= _KEPT  # as a report uses the same families many times
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
    """Holm's step-down adjustment over the hypotheses that have a p: from name to adjusted p, at most 1.

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
