"""The mixed model of many languages beside its formulas, written out, and beside statsmodels' iteration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.random_slopes import RandomSlopes, between_languages, random_slopes


def planted(seed: int, tau: float, sizes: tuple[int, ...] = (5, 7, 6), languages: int = 8) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(size=len(groups)) + groups
    slopes = -0.5 + tau * rng.normal(size=languages)
    y = np.outer(x, slopes) + rng.normal(size=(len(sizes), languages))[groups]
    y += 0.4 * rng.normal(size=(len(x), 1)) + 0.3 * rng.normal(size=y.shape)
    return x, y, groups


def naive(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Regression with dummies in each language, and mean squares summed one by one."""
    families = sorted(set(groups))
    dummies = np.array([[float(g == f) for f in families] for g in groups])
    design = np.column_stack([x, dummies])
    n, count, nu = len(x), y.shape[1], len(x) - len(families) - 1
    unscaled = float(np.linalg.inv(design.T @ design)[0, 0])  # 1 / S
    fits = [np.linalg.lstsq(design, y[:, lang], rcond=None)[0] for lang in range(count)]
    slopes = [float(fit[0]) for fit in fits]
    rest = [[y[c, lang] - design[c] @ fits[lang] for lang in range(count)] for c in range(n)]
    mean = sum(slopes) / count
    row = [sum(values) / count for values in rest]
    own = sum((rest[c][lang] - row[c]) ** 2 for c in range(n) for lang in range(count)) / (nu * (count - 1)) * unscaled
    common, common_degrees = permuted(row, x, groups)
    common_degrees = min(common_degrees, nu)
    between = sum((slope - mean) ** 2 for slope in slopes) / (count - 1)
    tau2 = max(0.0, between - own)
    variance = common + tau2 / count
    degrees = float(common_degrees)
    if tau2:
        squares = (
            common**2 / common_degrees + (between / count) ** 2 / (count - 1) + (own / count) ** 2 / (nu * (count - 1))
        )
        degrees = variance**2 / squares
    return {
        "mean": mean, "error": math.sqrt(variance), "degrees": degrees, "spread": math.sqrt(tau2),
        "p_spread": float(stats.f.sf(between / own, count - 1, nu * (count - 1))),
        "last": slopes[-1], "last_error": math.sqrt(permuted([values[-1] for values in rest], x, groups)[0]),
    }  # fmt: skip


def permuted(rest: list[float], x: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Variance of the slope of residuals that are arranged anew within families, and the degrees of its t."""
    families = sorted(set(groups))
    n = len(x)
    sums = []
    for family in families:
        here = [c for c in range(n) if groups[c] == family]
        mean = sum(x[c] for c in here) / len(here)
        sums.append((sum((x[c] - mean) ** 2 for c in here), sum(rest[c] ** 2 for c in here), len(here)))
    of_x, of_rest = sum(s[0] for s in sums), sum(s[1] for s in sums)
    share = sum(a * b / (size - 1) for a, b, size in sums)
    degrees = min(of_x * of_rest / share - 2, n - len(families) - 2) + 1
    return share / of_x**2 * (n - len(families)) / (n - len(families) - 1), max(1.0, degrees)


@pytest.mark.parametrize("tau", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_the_formulas_say(seed: int, tau: float) -> None:
    x, y, groups = planted(seed, tau)
    found, expected = random_slopes(x, y, groups), naive(x, y, groups)
    assert isinstance(found, RandomSlopes)
    values = {
        "mean": found.mean.value, "error": found.mean.error, "degrees": found.mean.degrees, "spread": found.spread,
        "p_spread": found.p_spread, "last": found.slopes[-1], "last_error": found.errors[-1],
    }  # fmt: skip
    assert values == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_balanced_it_is_the_restricted_likelihood_of_a_library() -> None:
    import pandas as pd
    from statsmodels.regression.mixed_linear_model import MixedLM

    # One family whose x has mean zero; each language's intercept is fixed, as in the closed form.
    x, y, groups = planted(3, 0.3, sizes=(12,), languages=6)
    x, y = x - x.mean(), y - y.mean(axis=0)
    table = pd.DataFrame({
        "y": y.ravel(), "x": np.repeat(x, y.shape[1]), "language": np.tile(np.arange(y.shape[1]), len(x)),
        "configuration": np.repeat(np.arange(len(x)), y.shape[1]), "all": 1,
    })  # fmt: skip
    parts = {"slope": "0 + C(language):x", "configuration": "0 + C(configuration)"}
    fit = MixedLM.from_formula("y ~ 0 + C(language) + x", table, groups="all", vc_formula=parts, re_formula="0").fit()
    found = random_slopes(x, y, groups)
    assert isinstance(found, RandomSlopes)
    assert fit.params["x"] == pytest.approx(found.mean.value, rel=1e-6)
    # Its intercepts leave the shared error n - 2 degrees too, as all columns have mean zero.
    assert fit.bse["x"] == pytest.approx(found.mean.error, rel=2e-2)
    tau2 = dict(zip(fit.model.exog_vc.names, fit.vcomp, strict=True))["slope"]
    assert math.sqrt(tau2) == pytest.approx(found.spread, rel=2e-2)


def test_its_interval_holds_its_level_and_languages_as_repetitions_would_not() -> None:
    covered, narrow = [], []
    for seed in range(400):
        x, y, groups = planted(seed, 0.15)
        found = random_slopes(x, y, groups)
        assert isinstance(found, RandomSlopes)
        low, high = found.mean.interval
        covered.append(low < -0.5 < high)
        half = stats.t.ppf(0.975, len(found.slopes) - 1) * found.slopes.std(ddof=1) / math.sqrt(len(found.slopes))
        narrow.append(abs(found.mean.value + 0.5) < half)
    assert 0.92 <= np.mean(covered) <= 0.985
    assert np.mean(narrow) < 0.85


def test_families_that_spread_unlike_keep_the_level() -> None:
    rejected = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(6), 4)
        spread = np.exp(0.7 * rng.normal(size=6))[groups]
        x, shared = spread * rng.normal(size=24), spread * rng.normal(size=24)
        found = random_slopes(x, shared[:, None] + 0.1 * rng.normal(size=(24, 5)), groups)
        assert isinstance(found, RandomSlopes)
        rejected.append(found.mean.p < 0.05)
    assert np.mean(rejected) < 0.11  # .18 by the mean square of restricted likelihood


def test_p_is_that_of_the_interval() -> None:
    found = random_slopes(*planted(0, 0.2))
    assert isinstance(found, RandomSlopes)
    edge = type(found.mean)(found.mean.value - found.mean.interval[0], found.mean.error, found.mean.degrees)
    assert edge.p == pytest.approx(0.05)


def test_a_covariate_of_languages_is_a_two_sample_t() -> None:
    values, flags = np.array([1.0, 2.0, 4.0, 0.0, -1.0]), [True, True, True, False, False]
    found = between_languages(values, flags)
    assert not isinstance(found, str)
    expected = stats.ttest_ind(values[:3], values[3:])
    assert found.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert between_languages(values, [True] * 4 + [False]) == (
        "it takes two languages or more of each kind, and there are 4 and 1"
    )


def test_too_little_is_said_and_not_fitted() -> None:
    x, y, groups = planted(0, 0.2)
    assert random_slopes(x, y[:, :3], groups) == "it takes 4 languages or more, and there are 3"
    few = random_slopes(x[:5], y[:5], groups[:5] + np.arange(5) // 3)
    assert few == "too few fitted configurations (5 in families of two or more; 6 needed)"
    assert random_slopes(np.zeros(18), y, groups) == "x is constant within families"
