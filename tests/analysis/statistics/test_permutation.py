"""The permutation test against enumeration and SciPy, and Holm against statsmodels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from analysis.statistics import permutation
from analysis.statistics.association import centred
from analysis.statistics.permutation import headline, holm

RNG = np.random.default_rng(5)


def enumerated_p(x: np.ndarray, y: np.ndarray, families: list[list[int]]) -> float:
    """All arrangements of y within families, one by one."""
    labels = np.concatenate([[place] * len(rows) for place, rows in enumerate(families)])
    x, y = centred(x, labels), centred(y, labels)
    observed = abs(x @ y)
    hits = total = 0
    for orders in itertools.product(*(itertools.permutations(rows) for rows in families)):
        arrangement = [row for order in orders for row in order]
        hits += abs(x @ y[arrangement]) >= observed - 1e-9
        total += 1
    return hits / total


@pytest.mark.parametrize("sizes", [(3,), (4, 3), (3, 2, 4), (5, 2)])
def test_exact_p_equals_enumeration(sizes: tuple[int, ...]) -> None:
    n = sum(sizes)
    rows = np.split(np.arange(n), np.cumsum(sizes)[:-1])
    for _ in range(4):
        x, y = RNG.normal(size=n), RNG.normal(size=n)
        found = headline(x, y, np.repeat(np.arange(len(sizes)), sizes))
        assert found.p == pytest.approx(enumerated_p(x, y, [list(r) for r in rows]), abs=1e-12)
        assert "all" in found.method


def test_exact_p_with_ties_equals_enumeration() -> None:
    x, y = np.array([1.0, 1.0, 2.0, 3.0, 3.0]), np.array([0.2, 0.1, 0.1, 0.2, 0.3])
    assert headline(x, y, list("aaaaa")).p == pytest.approx(enumerated_p(x, y, [[0, 1, 2, 3, 4]]), abs=1e-12)


def test_one_family_agrees_with_scipys_exact_permutation_test() -> None:
    x, y = RNG.normal(size=7), RNG.normal(size=7)

    def statistic(values: np.ndarray) -> float:
        return float(abs(np.corrcoef(x, values)[0, 1]))

    reference = scipy.stats.permutation_test((y,), statistic, permutation_type="pairings", alternative="greater")
    assert headline(x, y, ["a"] * 7).p == pytest.approx(reference.pvalue, abs=1e-12)


def test_random_arrangements_stay_within_families_and_approach_the_exact_p(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (5, 4)
    x, y = RNG.normal(size=9), RNG.normal(size=9)
    groups = np.repeat([0, 1], sizes)
    exact = headline(x, y, groups)
    monkeypatch.setattr(permutation, "EXACT_ARRANGEMENTS", 10)
    permutation._kept_arrangements.cache_clear()
    drawn = headline(x, y, groups)
    permutation._kept_arrangements.cache_clear()
    assert "9,999 random" in drawn.method
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p * (1 - exact.p) / 9_999) + 1e-4)
    table = permutation._random_arrangements(sizes, 200, np.random.default_rng(0))
    assert (np.sort(table[:, :5], axis=1) == np.arange(5)).all()
    assert (np.sort(table[:, 5:], axis=1) == np.arange(5, 9)).all()


def test_blocks_give_the_p_of_the_kept_table(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, groups = RNG.normal(size=24), RNG.normal(size=24), np.repeat(np.arange(6), 4)
    kept = headline(x, y, groups)
    monkeypatch.setattr(permutation, "_KEPT", 0)
    in_blocks = headline(x, y, groups)
    assert in_blocks.p == pytest.approx(kept.p, abs=0.02)
    assert in_blocks.method == kept.method


def test_equal_seed_equal_p_and_the_smallest_p() -> None:
    x, groups = np.arange(24.0), np.repeat(np.arange(6), 4)
    first, second = headline(x, -x, groups, seed=4), headline(x, -x, groups, seed=4)
    assert first == second
    assert first.r == pytest.approx(-1.0)
    assert first.p == pytest.approx(1 / 10_000, abs=1e-3)
    assert headline(x, RNG.normal(size=24), groups, seed=1).p != headline(x, RNG.normal(size=24), groups, seed=2).p


def test_undefined_headline_has_no_p() -> None:
    found = headline([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], list("aaa"))
    assert (found.r, found.p, found.reason) == (None, None, "x is constant within families")


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03, 0.005], [0.5, 0.5], [0.9], [0.02, 0.02, 0.02, 0.8]])
def test_holm_agrees_with_statsmodels(p: list[float]) -> None:
    expected = multipletests(p, method="holm")[1]
    found = holm({f"H{i}": value for i, value in enumerate(p)})
    assert list(found.values()) == pytest.approx(list(expected))


def test_holm_ignores_what_was_not_measured() -> None:
    assert holm({"H1": 0.03, "H2": None, "H4": None}) == {"H1": 0.03}
    assert holm({}) == {}
