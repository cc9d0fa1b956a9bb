"""The random-effects summary beside its formulas, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from analysis.statistics.meta_analysis import summarise


def naive(y: np.ndarray, v: np.ndarray) -> dict[str, float]:
    """Paule-Mandel by bracketing its equation, Hartung-Knapp and the prediction interval from their formulas."""
    k = len(y)

    def generalised_q(tau2: float) -> float:
        w = 1 / (v + tau2)
        return float(sum(w * (y - sum(w * y) / sum(w)) ** 2))

    tau2 = 0.0
    if generalised_q(0.0) > k - 1:
        tau2 = optimize.brentq(lambda t: generalised_q(t) - (k - 1), 0.0, 1e6, xtol=1e-15, rtol=1e-14)
    w = 1 / (v + tau2)
    mean = float(sum(w * y) / sum(w))
    error = math.sqrt(max(1.0, generalised_q(tau2) / (k - 1)) / sum(w))
    half = stats.t.ppf(0.975, k - 1) * error
    q = generalised_q(0.0)
    found = {
        "mean": mean, "error": error, "low": mean - half, "high": mean + half, "tau": math.sqrt(tau2),
        "i2": max(0.0, (q - (k - 1)) / q) if q else 0.0,
    }  # fmt: skip
    if k > 2:
        reach = stats.t.ppf(0.975, k - 2) * math.sqrt(tau2 + error**2)
        found |= {"predicted_low": mean - reach, "predicted_high": mean + reach}
    return found


@pytest.mark.parametrize("k", [2, 3, 8, 30])
@pytest.mark.parametrize("tau", [0.0, 0.2, 3.0])
def test_it_is_what_the_formulas_say(k: int, tau: float) -> None:
    rng = np.random.default_rng(k)
    for _ in range(20):
        errors = rng.uniform(0.05, 0.8, k)
        y = rng.normal(-0.4, np.sqrt(errors**2 + tau**2))
        found, expected = summarise(y.tolist(), errors.tolist()), naive(y, errors**2)
        assert found.tau**2 == pytest.approx(expected["tau"] ** 2, rel=1e-4, abs=1e-5)  # the library's tolerance
        for name in ("mean", "error", "low", "high", "i2"):
            assert getattr(found, name) == pytest.approx(expected[name], rel=1e-4, abs=1e-5), name
        if k == 2:
            assert found.predicted is None
        else:
            assert found.predicted == pytest.approx((expected["predicted_low"], expected["predicted_high"]), rel=1e-4)


def test_without_heterogeneity_it_is_dersimonian_and_lairds_too() -> None:
    y, errors = np.array([0.1, 0.2, 0.15]), np.array([0.3, 0.2, 0.4])
    w = 1 / errors**2
    assert sum(w * (y - sum(w * y) / sum(w)) ** 2) < 2  # so DerSimonian and Laird's tau^2 is 0 as well
    found = summarise(y.tolist(), errors.tolist())
    assert found.tau == 0.0
    assert found.mean == pytest.approx(sum(w * y) / sum(w), rel=1e-12)
    assert found.error == pytest.approx(1 / math.sqrt(sum(w)), rel=1e-12)  # not the narrower one of a scale below 1


def test_equal_effects_do_not_divide_by_zero() -> None:
    found = summarise([0.5, 0.5], [0.1, 0.2])
    assert (found.mean, found.tau, found.i2) == (pytest.approx(0.5), 0.0, 0.0)


def test_p_is_that_of_the_interval() -> None:
    found = summarise([0.5, 0.7, 0.2], [0.1, 0.2, 0.15])
    assert 2 * found.p(found.mean - found.low) == pytest.approx(0.05)
