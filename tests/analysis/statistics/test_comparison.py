"""Differences of correlations and sign errors on known answers and against naive definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from analysis.statistics.association import partial_correlation
from analysis.statistics.comparison import _tau_variance, difference, sign_error

RNG = np.random.default_rng(11)
GROUPS = np.repeat(list("abc"), 6)


def _pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(n, 1)


def test_difference_is_that_of_the_partial_correlations() -> None:
    first, second, y = RNG.normal(size=(3, 18))
    found = difference(first, second, y, GROUPS)
    expected = partial_correlation(first, y, GROUPS).r - partial_correlation(second, y, GROUPS).r
    assert found.value == pytest.approx(expected)
    assert found.n == 18
    assert found.low < found.value < found.high


def test_difference_of_a_variable_and_itself_is_zero_without_doubt() -> None:
    x, y = RNG.normal(size=(2, 18))
    found = difference(x, x, y, GROUPS)
    assert found.value == pytest.approx(0.0)
    assert found.low is None or found.high - found.low < 1e-6


def test_difference_matches_zou_worked_by_hand_in_one_family() -> None:
    first, second, y = RNG.normal(size=(3, 30))
    r1, r2, r12 = (scipy.stats.pearsonr(*pair).statistic for pair in ((first, y), (second, y), (first, second)))
    (l1, u1), (l2, u2) = (scipy.stats.pearsonr(v, y).confidence_interval() for v in (first, second))
    c = ((r12 - 0.5 * r1 * r2) * (1 - r1**2 - r2**2 - r12**2) + r12**3) / ((1 - r1**2) * (1 - r2**2))
    low = r1 - r2 - math.sqrt((r1 - l1) ** 2 + (u2 - r2) ** 2 - 2 * c * (r1 - l1) * (u2 - r2))
    high = r1 - r2 + math.sqrt((u1 - r1) ** 2 + (r2 - l2) ** 2 - 2 * c * (u1 - r1) * (r2 - l2))
    found = difference(first, second, y, ["a"] * 30)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-7), pytest.approx(high, abs=1e-7))


def test_interval_of_the_difference_is_that_of_a_naive_bootstrap_within_families() -> None:
    rng, n = np.random.default_rng(8), 300
    groups = np.repeat(list("abc"), n // 3)
    cause = rng.normal(size=n)
    first, second = cause + rng.normal(size=n), cause + 2 * rng.normal(size=n)
    y = 5.0 * (groups == "b") - cause + 0.5 * rng.normal(size=n)
    found = difference(first, second, y, groups)
    families = [np.flatnonzero(groups == family) for family in "abc"]
    drawn = []
    for _ in range(2000):
        samples = [rng.choice(family, len(family)) for family in families]
        table = [np.concatenate([v[rows] - v[rows].mean() for rows in samples]) for v in (first, second, y)]
        drawn.append(np.corrcoef(table[0], table[2])[0, 1] - np.corrcoef(table[1], table[2])[0, 1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


@pytest.mark.parametrize("effect", [0.3, 0.8])
def test_p_of_the_difference_is_the_level_at_which_its_interval_reaches_zero(effect: float) -> None:
    rng = np.random.default_rng(9)
    first, noise, second = rng.normal(size=(3, 40))
    y = effect * first + 0.7 * noise
    found = difference(first, second, y, ["a"] * 40)
    r1, r2, r12 = (scipy.stats.pearsonr(*pair).statistic for pair in ((first, y), (second, y), (first, second)))
    c = ((r12 - 0.5 * r1 * r2) * (1 - r1**2 - r2**2 - r12**2) + r12**3) / ((1 - r1**2) * (1 - r2**2))
    (l1, _), (_, u2) = (scipy.stats.pearsonr(v, y).confidence_interval(1 - found.p) for v in (first, second))
    low = r1 - r2 - math.sqrt((r1 - l1) ** 2 + (u2 - r2) ** 2 - 2 * c * (r1 - l1) * (u2 - r2))
    assert low == pytest.approx(0.0, abs=2e-3)
    assert low >= 0  # rounded up


def test_p_is_below_a_twentieth_where_the_interval_leaves_zero_out() -> None:
    rng = np.random.default_rng(10)
    decided = 0
    for _ in range(200):
        first, second, noise = rng.normal(size=(3, 18))
        found = difference(first, second, first + noise, GROUPS)
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
        decided += found.p < 0.05
    assert 50 < decided < 150


def test_difference_with_a_constant_is_not_defined_and_few_rows_have_no_interval() -> None:
    assert difference([1, 1, 1], [1, 2, 3], [1, 3, 2], list("aaa")).value is None
    few = difference([1, 2, 3], [3, 1, 2], [1, 3, 2], list("aaa"))
    assert few.value is not None
    assert few.low is None


def test_sign_error_counts_pairs_and_ties_count_half() -> None:
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 4.0, 1.0, 2.0])
    left, right = _pairs(4)
    wrong = 0.0
    for i, j in itertools.combinations(range(4), 2):
        product = np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
        wrong += 1.0 if product > 0 else 0.5 if product == 0 else 0.0
    assert sign_error(x, y, left, right).value == pytest.approx(wrong / 6)


def test_sign_error_of_perfect_predictors() -> None:
    x = np.arange(8.0)
    left, right = _pairs(8)
    perfect, opposite = sign_error(x, -x, left, right), sign_error(x, x, left, right)
    assert (perfect.value, perfect.low) == (0.0, 0.0)
    assert (opposite.value, opposite.high) == (1.0, 1.0)
    assert sign_error(x, x, left[:0], right[:0]).value is None


def test_sign_error_agrees_with_scipys_kendall() -> None:
    x, y = RNG.normal(size=(2, 15))
    tau = scipy.stats.kendalltau(x, y).statistic
    assert sign_error(x, y, *_pairs(15)).value == pytest.approx((1 + tau) / 2)


def test_variance_at_zero_is_kendalls() -> None:
    n = 9
    pairs, adjacent = n * (n - 1) / 2, n * (n - 1) * (n - 2) / 2
    expected = 2 * (2 * n + 5) / (9 * n * (n - 1))
    assert _tau_variance(np.array([0.0]), int(pairs), adjacent)[0] == pytest.approx(expected)
    assert _tau_variance(np.array([1.0]), int(pairs), adjacent)[0] == pytest.approx(0.0, abs=1e-12)
