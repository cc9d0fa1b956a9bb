"""The words: from numbers to verdict and sentence, by rules that stand here once more in full."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.numbers import Number, Numbers
from analysis.verdicts.statements import adjust, correlation_word, sentence, verdicts


def r(value: float | None, low: float | None = None, high: float | None = None, **more: Any) -> Number:
    return Number(value, "correlation", low, high, **{"n": 24, "families": 6, **more})


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (r(-0.6, -0.8, -0.3, p_adjusted=0.01), "supported"),
        (r(-0.15, -0.28, -0.02, p_adjusted=0.03), "supported"),  # significance is asked first
        (r(0.6, 0.3, 0.8, p_adjusted=0.01), "contradicted"),
        (r(0.0, -0.29, 0.29, p_adjusted=1.0), "no association"),
        (r(0.0, -0.31, 0.29, p_adjusted=1.0), "undecided"),
        (r(0.0, -0.29, 0.3, p_adjusted=1.0), "undecided"),
        (r(-0.5, -0.8, -0.01, p_adjusted=0.05), "undecided"),
        (r(-0.5, -0.8, 0.1, p_adjusted=None), "undecided"),
        (r(-1.0, None, None, p_adjusted=0.3), "undecided"),
        (r(None, reason="x is constant within families"), "undecided"),
    ],
)
def test_rules_of_the_words(number: Number, word: str) -> None:
    assert correlation_word(number) == word


def one(key: str, number: Number) -> str:
    numbers = adjust(Numbers({key: number}))
    found = next(v for v in verdicts(numbers) if v.hypothesis == key)
    return sentence(found, numbers)


def test_sentences_of_h1() -> None:
    assert one("H1", r(-0.62, -0.81, -0.31, p=0.004)) == (
        "H1 supported: Flatter models were more accurate in English "
        "(partial r -0.62 [-0.81, -0.31], p = 0.004 after Holm, 24 configurations in 6 families)."
    )
    assert one("H1", r(0.62, 0.31, 0.81, p=0.0004)).startswith(
        "H1 contradicted: Flatter models were less accurate in English (partial r 0.62 [0.31, 0.81], p < 0.001"
    )
    assert one("H1", r(0.02, -0.25, 0.28, p=0.9)).startswith(
        "H1 no association: Flatter models were neither more nor less accurate in English (partial r 0.02"
    )
    assert one("H1", r(-0.4, -0.7, 0.04, p=0.08)) == (
        "H1 undecided: Whether flatter models are more accurate in English stays open "
        "(partial r -0.40 [-0.70, 0.04], p = 0.080 after Holm, 24 configurations in 6 families; "
        "about 30 configurations would decide if r stayed)."
    )
    assert "4 configurations in 1 family;" in one("H1", r(-0.9, -1, 0.2, p=0.2, n=4, families=1))
    assert one("H1", r(None, reason="y is constant within families", n=5)) == (
        "H1 undecided: Whether flatter models are more accurate in English stays open: "
        "y is constant within families (5 configurations counted)."
    )


def test_sentences_of_h2_and_h4() -> None:
    assert one("H2", r(-0.9, -0.99, -0.5, p=0.01, n=6, families=1)).startswith(
        "H2 supported: A larger consistency weight gave flatter models (trend r -0.90"
    )
    assert one("H4", r(0.8, 0.5, 0.9, p=0.01)).startswith(
        "H4 contradicted: Flatter models gained less from the second stage (partial r 0.80"
    )


def h3(value: float | None, p: float | None, **more: Any) -> Number:
    half = 0.004
    low, high = (None, None) if value is None else (value - half, value + half)
    return Number(value, "points", low, high, p=p, n=3, unit="seed", **more)


def test_sentences_of_h3() -> None:
    assert one("H3", h3(0.002, 0.01)) == (
        "H3 supported: The best Fisher penalty does as well as the best consistency weight, to within one point "
        "(0.20 [-0.20, 0.60] points of English accuracy, p = 0.010 after Holm, 3 seeds)."
    )
    assert "is worse than the best consistency weight by more than one point" in one("H3", h3(-0.03, 0.01))
    assert "H3 contradicted: The best Fisher penalty is better" in one("H3", h3(0.03, 0.01))
    assert one("H3", h3(0.002, 0.2, needed=9)).endswith("3 seeds); about 9 seeds would decide.")
    assert one("H3", h3(None, None, reason="it takes two seeds")).startswith("H3 undecided: ")


def test_sentences_of_h5() -> None:
    def h5(value: float, low: float | None, high: float | None, reason: str | None = None) -> str:
        return one("H5", Number(value, "ratio", low, high, n=4, reason=reason))

    assert h5(1.01, 0.95, 1.07) == (
        "H5 supported: For small noise the KL divergence is what equation 1 says, to within a tenth "
        "(ratio 1.010 [0.950, 1.070], 4 configurations)."
    )
    assert h5(1.4, 1.2, 1.6).startswith("H5 contradicted: ")
    assert h5(0.5, 0.4, 0.6).startswith("H5 contradicted: ")
    assert h5(1.05, 0.9, 1.2).startswith("H5 undecided: ")
    assert h5(1.0, None, None, "one configuration without a standard error").startswith("H5 undecided: ")


def test_what_is_not_measured_is_said_and_holm_counts_what_is() -> None:
    numbers = adjust(Numbers({"H1": r(-0.6, -0.8, -0.3, p=0.03), "H4": r(-0.6, -0.8, -0.3, p=0.02)}))
    words = [v.word for v in verdicts(numbers)]
    assert words == ["supported", "not measured", "not measured", "supported", "not measured"]
    assert numbers["H4"].p_adjusted == pytest.approx(0.04)
    assert numbers["H1"].p_adjusted == pytest.approx(0.04)
    assert sentence(verdicts(numbers)[1], numbers) == (
        "H2 not measured: No complete trial says whether ln Tr(F) falls with the consistency weight."
    )


def test_needed_configurations_are_whole_configurations_in_each_family_and_more_than_there_are() -> None:
    numbers = adjust(Numbers({"H1": r(-0.45, -0.7, -0.01, p=0.049), "H4": r(-0.1, -0.4, 0.3, p=0.5)}))
    needed = numbers["H1"].needed
    assert needed is not None
    assert needed >= 30
    assert needed % 6 == 0
    assert replace(numbers["H1"], needed=None).p == 0.049
