"""Correlations within families against naive definitions, SciPy and statsmodels, and on known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm

from analysis.statistics.association import centred, leave_one_family_out, partial_correlation, within

RNG = np.random.default_rng(3)
GROUPS = np.repeat(list("abcd"), [5, 4, 6, 3])
SHIFT = dict(zip("abcd", (0.0, 5.0, -3.0, 9.0), strict=True))
X = RNG.normal(size=18) + np.array([SHIFT[g] for g in GROUPS])
Y = -0.5 * RNG.normal(size=18) - 0.4 * X + 2.2 * np.array([SHIFT[g] for g in GROUPS])
HELD = RNG.normal(size=18) + 0.3 * X


def naive_partial(x: np.ndarray, y: np.ndarray, groups: np.ndarray, covariates: list[np.ndarray]) -> float:
    """Correlate residuals of two least-squares fits on family dummies and covariates."""
    dummies = np.array([[float(g == h) for h in sorted(set(groups))] for g in groups])
    design = np.column_stack([dummies, *covariates])
    rest = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    return float(np.corrcoef(rest)[0, 1])


def test_partial_correlation_is_that_of_residuals_on_family_dummies() -> None:
    assert partial_correlation(X, Y, GROUPS).r == pytest.approx(naive_partial(X, Y, GROUPS, []), abs=1e-12)
    found = partial_correlation(X, Y, GROUPS, [HELD])
    assert found.r == pytest.approx(naive_partial(X, Y, GROUPS, [HELD]), abs=1e-12)
    assert (found.n, found.families) == (18, 4)


def test_partial_correlation_agrees_with_the_t_of_statsmodels() -> None:
    dummies = np.array([[float(g == h) for h in "abcd"] for g in GROUPS])
    fit = sm.OLS(Y, np.column_stack([X, dummies, HELD])).fit()
    t, degrees = fit.tvalues[0], fit.df_resid
    r = partial_correlation(X, Y, GROUPS, [HELD]).r
    assert r == pytest.approx(t / math.sqrt(t * t + degrees), abs=1e-12)


def test_one_family_agrees_with_scipy_in_r_and_interval() -> None:
    found = partial_correlation(X[:9], Y[:9], ["a"] * 9)
    reference = scipy.stats.pearsonr(X[:9], Y[:9])
    interval = reference.confidence_interval()
    assert found.r == pytest.approx(reference.statistic, abs=1e-12)
    assert (found.low, found.high) == (pytest.approx(interval.low, abs=1e-7), pytest.approx(interval.high, abs=1e-7))


def test_ranks_in_one_family_agree_with_scipys_spearman_ties_included() -> None:
    x, y = [1.0, 2.0, 2.0, 3.0, 5.0, 5.0, 7.0], [3.0, 1.0, 4.0, 4.0, 2.0, 8.0, 8.0]
    reference = scipy.stats.spearmanr(x, y).statistic
    assert partial_correlation(x, y, ["a"] * 7, ranks=True).r == pytest.approx(reference, abs=1e-12)


def test_ranks_are_of_family_centred_values_and_survive_monotone_extremes() -> None:
    moved = centred(np.column_stack([X, Y]), GROUPS)
    ranked = np.column_stack([scipy.stats.rankdata(moved[:, 0]), scipy.stats.rankdata(moved[:, 1])])
    expected = naive_partial(ranked[:, 0], ranked[:, 1], GROUPS, [])
    assert partial_correlation(X, Y, GROUPS, ranks=True).r == pytest.approx(expected, abs=1e-12)


def test_variance_is_that_of_r_over_all_permutations_within_families() -> None:
    x, y, groups = X[[0, 1, 2, 5, 6, 7]], Y[[0, 1, 2, 5, 6, 7]], list("aaabbb")
    data = within(x, y, groups)
    import itertools

    rs = [
        (data.x @ data.y[list(first) + list(second)]) / math.sqrt((data.x @ data.x) * (data.y @ data.y))
        for first in itertools.permutations(range(3))
        for second in itertools.permutations(range(3, 6))
    ]
    assert data.degrees == pytest.approx(1 / np.var(rs) - 2, rel=1e-9)


def test_families_that_spread_alike_get_the_degrees_that_were_declared() -> None:
    values = np.tile([1.0, 2.0, 3.0, 4.0], 6)
    other = np.tile([2.0, 1.0, 4.0, 3.0], 6)
    assert within(values, other, np.repeat(np.arange(6), 4)).degrees == pytest.approx(6 * 4 - 5 - 3)


def test_a_family_that_holds_the_spread_decides_alone() -> None:
    x = np.concatenate([1000 * np.array([1.0, 3.0, 2.0, 5.0]), np.tile([1.0, 2.0, 3.0, 4.0], 5)])
    y = np.concatenate([1000 * np.array([2.0, 1.0, 4.0, 3.0]), np.tile([2.0, 1.0, 4.0, 3.0], 5)])
    assert within(x, y, np.repeat(np.arange(6), 4)).degrees == pytest.approx(4 - 3, abs=0.01)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_planted_correlations_of_one(sign: float) -> None:
    found = partial_correlation(X, sign * X + np.array([7 * SHIFT[g] for g in GROUPS]), GROUPS)
    assert found.r == pytest.approx(sign)
    assert found.low == pytest.approx(sign, abs=1e-6)
    assert found.high == pytest.approx(sign, abs=1e-6)
    exact = partial_correlation([1, 2, 3, 4, 5], [sign * v for v in (1, 2, 3, 4, 5)], list("aaaaa"))
    assert (exact.r, exact.low, exact.high, exact.p) == (sign, sign, sign, 0.0)


def test_planted_correlation_of_zero() -> None:
    found = partial_correlation([1, 2, 3, 4, 11, 12, 13, 14], [1, -1, -1, 1, 5, 3, 3, 5], list("aaaabbbb"))
    assert found.r == pytest.approx(0.0, abs=1e-12)
    assert found.low == pytest.approx(-found.high)
    assert found.p == pytest.approx(1.0)


def test_simpson_the_sign_within_families_is_not_the_pooled_one() -> None:
    x = np.concatenate([np.arange(5) + 10 * f for f in range(3)]).astype(float)
    y = np.concatenate([-np.arange(5) + 10 * f for f in range(3)]).astype(float)
    groups = np.repeat(list("abc"), 5)
    assert np.corrcoef(x, y)[0, 1] > 0.9
    assert partial_correlation(x, y, groups).r == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("x", "y", "groups", "reason"),
    [
        ([], [], [], "no family has two configurations or more"),
        ([1.0], [2.0], ["a"], "no family has two configurations or more"),
        ([1.0, 2.0], [2.0, 3.0], ["a", "b"], "no family has two configurations or more"),
        ([1.0, math.nan], [2.0, 3.0], ["a", "a"], "no family has two configurations or more"),
        ([1.0, 2.0], [2.0, 5.0], ["a", "a"], "so few points always give r = 1 or -1"),
        ([5.0, 5.0, 7.0, 7.0], [1.0, 2.0, 3.0, 4.0], list("aabb"), "x is constant within families"),
        ([1.0, 2.0, 3.0], [0.1 + 0.2, 0.3, 0.3], list("aaa"), "y is constant within families"),
    ],
)
def test_undefined_correlations_say_why(x: list[float], y: list[float], groups: list[str], reason: str) -> None:
    found = partial_correlation(x, y, groups)
    assert (found.r, found.low, found.high, found.p, found.reason) == (None, None, None, None, reason)


def test_a_covariate_takes_a_point_away() -> None:
    x, y, groups = np.array([1.0, 2.0, 4.0]), np.array([2.0, 1.0, 5.0]), list("aaa")
    assert partial_correlation(x, y, groups).reason is None
    assert partial_correlation(x, y, groups, [x**2]).reason == "so few points always give r = 1 or -1"


def test_a_covariate_that_is_x_itself_leaves_nothing() -> None:
    assert partial_correlation(X, Y, GROUPS, [2 * X + 1]).reason == "x is a function of the covariates"
    assert partial_correlation(X, Y, GROUPS, [Y]).reason == "y is a function of the covariates"


def test_a_covariate_that_does_not_vary_within_families_costs_nothing() -> None:
    constant = np.array([SHIFT[g] for g in GROUPS])
    plain, held = partial_correlation(X, Y, GROUPS), partial_correlation(X, Y, GROUPS, [constant])
    assert (held.r, held.low, held.high, held.p) == (plain.r, plain.low, plain.high, plain.p)


def test_a_family_of_one_is_not_counted_and_does_not_matter() -> None:
    found = partial_correlation([*X, 1e9], [*Y, -1e9], [*GROUPS, "alone"])
    assert (found.n, found.families) == (18, 4)
    assert found.r == partial_correlation(X, Y, GROUPS).r


def test_too_few_rows_give_r_without_interval() -> None:
    found = partial_correlation([1, 2, 3], [1, 3, 2], list("aaa"))
    assert found.r == pytest.approx(0.5)
    assert (found.low, found.high, found.p) == (None, None, None)
    four = partial_correlation([1, 2, 3, 4], [1, 3, 2, 4], list("aaaa"))
    assert four.low is not None


def test_interval_and_p_say_the_same() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = partial_correlation(rng.normal(size=12), rng.normal(size=12), np.repeat(list("abc"), 4))
        assert found.low is not None
        assert found.high is not None
        assert found.p is not None
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_order_of_rows_and_scale_of_values_do_not_matter() -> None:
    order = np.random.default_rng(0).permutation(18)
    plain = partial_correlation(X, Y, GROUPS, [HELD])
    other = partial_correlation(1e-7 * X[order] + 5, 1e6 * Y[order], GROUPS[order], [HELD[order]])
    assert other.r == pytest.approx(plain.r, abs=1e-7)
    assert other.low == pytest.approx(plain.low, abs=1e-7)


def test_leave_one_family_out() -> None:
    found = leave_one_family_out(X, Y, GROUPS)
    assert list(found) == list("abcd")
    keep = GROUPS != "b"
    assert found["b"].r == partial_correlation(X[keep], Y[keep], GROUPS[keep]).r
    assert leave_one_family_out(X[:5], Y[:5], GROUPS[:5])["a"].reason == "no family has two configurations or more"


def test_the_degrees_are_never_more_than_the_textbook_s() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1], 5)
    x = rng.normal(size=10) * np.where(groups == 0, 1.0, 0.02)  # x varies in one family, y in the other
    y = rng.normal(size=10) * np.where(groups == 0, 0.02, 1.0)
    assert within(x, y, groups).degrees == pytest.approx(10 - 1 - 3)
    assert within(x, y, groups, [rng.normal(size=10)]).degrees <= 10 - 1 - 3 - 1 + 1e-9
