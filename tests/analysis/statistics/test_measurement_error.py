"""Error of measurement against naive float64 references, written from the formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from analysis.statistics.association import Association, partial_correlation
from analysis.statistics.measurement_error import (
    ErrorMoments,
    Reliability,
    corrected,
    disattenuated,
    examples_needed,
    reliability,
)
from analysis.statistics.permutation import headline
from study.store.records import TrialRecord
from study.sweep.answer import trace_advice

RNG = np.random.default_rng(5)
GROUPS = np.array(list("aaaaaabbbbbccccc"))
X, Y, B, Z = RNG.normal(size=(4, len(GROUPS)))


def free_of(values: np.ndarray, held: list[np.ndarray]) -> np.ndarray:
    """Residuals after regression on family dummies and further columns, by the normal equations."""
    dummies = [(group == GROUPS).astype(float) for group in "abc"]
    design = np.column_stack([*dummies, *held])
    return values - design @ np.linalg.solve(design.T @ design, design.T @ values)


def test_without_error_the_corrected_correlation_is_the_partial_one() -> None:
    found = corrected(X, Y, GROUPS, B, [Z], ErrorMoments(0.0, 0.0))
    assert found.r == pytest.approx(partial_correlation(X, Y, GROUPS, [Z, B]).r)


def test_the_correction_is_the_formula() -> None:
    x, y, b = (free_of(values, [Z]) for values in (X, Y, B))
    degrees = len(X) - 3 - 1
    v, c = 0.2, -0.1
    true = b @ b / degrees - v
    slope_x, slope_y = x @ b / degrees / true, (y @ b / degrees - c) / true
    u, w = x - slope_x * b, y - slope_y * b
    expected = (x @ y / degrees - slope_x * (y @ b / degrees - c)) / math.sqrt((u @ u) * (w @ w) / degrees**2)
    found = corrected(X, Y, GROUPS, B, [Z], ErrorMoments(v, c))
    assert found.r == pytest.approx(expected, rel=1e-10)
    assert (found.n, found.families) == (16, 3)


def test_the_error_of_a_control_leaves_nothing_of_its_cause_behind() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), 25)
    true = rng.normal(size=1000)
    x, y = true + 0.5 * rng.normal(size=1000), -true + 0.5 * rng.normal(size=1000)
    noisy = true + 0.7 * rng.normal(size=1000)
    plain = partial_correlation(x, y, groups, [noisy]).r
    found = corrected(x, y, groups, noisy, [], ErrorMoments(0.49, 0.0)).r
    assert plain is not None
    assert found is not None
    assert plain < -0.4
    assert abs(found) < 0.08


def test_a_control_of_error_alone_is_corrected_as_if_a_quarter_were_true_and_no_steeper_than_told() -> None:
    bounded = corrected(X, Y, GROUPS, B, [], ErrorMoments(1e3, 0.0))
    b = free_of(B, [])
    quarter = 0.75 * float(b @ b) / (len(X) - 3)
    assert bounded.r == pytest.approx(corrected(X, Y, GROUPS, B, [], ErrorMoments(quarter, 0.0)).r)
    x, y = free_of(X, []), free_of(Y, [])
    slope = math.copysign(0.01, float(y @ b))
    rest = y - slope * b
    found = corrected(X, Y, GROUPS, B, [], ErrorMoments(quarter, 0.0), steepest=0.01)
    assert found.r == pytest.approx(float(x @ rest) / math.sqrt(float(x @ x) * float(rest @ rest)))


def test_permutation_with_covariates_is_freedman_and_lane() -> None:
    groups = np.array(list("aaaabbb"))
    x, y, z = np.random.default_rng(3).normal(size=(3, 7))
    design = np.column_stack([groups == "a", groups == "b", z]).astype(float)
    hat = design @ np.linalg.inv(design.T @ design) @ design.T
    x_rest, y_rest = x - hat @ x, y - hat @ y

    def r(rest: np.ndarray) -> float:
        rest = rest - hat @ rest
        return float(x_rest @ rest / np.sqrt((x_rest @ x_rest) * (rest @ rest)))

    orders = [[*one, *two] for one in itertools.permutations(range(4)) for two in itertools.permutations(range(4, 7))]
    hits = sum(abs(r(y_rest[order])) >= abs(r(y_rest)) - 1e-9 for order in orders)
    found = headline(x, y, groups, [z])
    assert found.r == pytest.approx(r(y_rest))
    assert found.p == pytest.approx(hits / len(orders))


def test_reliability_is_one_minus_error_over_variance_within_families() -> None:
    values, errors = [1.0, 2.0, 4.0, 10.0, 13.0, 99.0], [0.1, 0.2, 0.3, 0.1, 0.1, 50.0]
    groups = list("aaabbc")  # c has one row and is not counted
    within = sum((v - m) ** 2 for v, m in zip(values[:5], [7 / 3] * 3 + [11.5] * 2, strict=True)) / (5 - 2)
    found = reliability(values, errors, groups)
    assert found.value == pytest.approx(1 - 0.16 / within)
    assert (found.n, found.families) == (5, 2)
    assert reliability([1.0, 2.0], [9.0, 9.0], ["a", "a"]).value == 0.0
    assert reliability([1.0], [0.1], ["a"]).value is None
    assert reliability([1.0, 1.0], [0.1, 0.1], ["a", "a"]).reason == "it is constant within families"


def test_examples_needed_reach_the_reliability() -> None:
    found = Reliability(0.6, 1.0, 0.4, 20, 4)
    needed = examples_needed(found, 200, 0.9)
    assert needed == 1200
    error = 0.4 * 200 / needed
    assert 0.6 / (0.6 + error) == pytest.approx(0.9)
    assert examples_needed(Reliability(0.0, 1.0, 1.2, 20, 4), 200) is None


def test_disattenuation() -> None:
    found = Association(-0.4, -0.7, 0.1, 0.05, 20, 4, "m")
    one, two = Reliability(0.64, 1.0, 0.36, 20, 4), Reliability(0.25, 1.0, 0.75, 20, 4)
    lifted = disattenuated(found, one, two)
    assert (lifted.r, lifted.low, lifted.high) == (pytest.approx(-1.0), -1.0, pytest.approx(0.25))
    assert lifted.p is None
    nothing = disattenuated(found, one, Reliability(0.0, 1.0, 2.0, 20, 4))
    assert nothing.r is None
    assert nothing.reason == "a reliability is unknown or 0"


def record(label: str, ln_trace: float, error: float) -> TrialRecord:
    trace = math.exp(ln_trace)
    values = {"fisher_trace": trace, "fisher_trace_se": error * trace, "fisher_trace_examples": 200.0}
    return TrialRecord(
        study="s", trial_id="t", arm="kl", label=label, seed=0, state="complete", config={}, measurements=values,
        curves=(), provenance={},
    )  # fmt: skip


def test_a_running_study_says_how_many_examples_its_trace_needs() -> None:
    records = [record(f"kl={i}", 4 + 0.1 * i, 0.1) for i in range(6)]
    assert trace_advice(records[:5]) is None
    # variance of 0, .1, ... .5 is .035, error .01: (.9 / .1) x .01 / .025 x 200 examples
    assert trace_advice(records) == (
        "ln Tr(F) has a reliability of 0.71 so far; about 720 would give 0.9 (measure.trace_examples)"
    )
    assert trace_advice([record(f"kl={i}", 4 + i, 0.01) for i in range(6)]) is None
