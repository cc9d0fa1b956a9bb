"""A verdict, and the two hypotheses that are decided by a margin: H3 (equivalence) and H5 (a ratio of one)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from analysis.numbers import Number
from analysis.statistics.power import ALPHA
from analysis.verdicts.declared import HYPOTHESES

Word = Literal["supported", "contradicted", "explained", "no association", "undecided", "not measured"]
EQUIVALENCE_MARGIN = 0.01  # H3: one point of accuracy
RATIO_MARGIN = 0.1  # H5: the KL ratio counts as 1 within a tenth; this package's choice


@dataclass(frozen=True)
class Verdict:
    """What the data say about one hypothesis (H1 to H5), with the sentence as a template."""

    hypothesis: str
    word: Word
    template: str

    @property
    def declared(self) -> str:
        """The hypothesis as declared before looking at the data."""
        return HYPOTHESES[self.hypothesis].text


_OPEN = "whether the best Fisher penalty does as well as the best consistency weight stays open"


def equivalence(number: Number) -> Verdict:
    """H3: the mean difference in accuracy, Fisher penalty minus consistency, against a margin of one point."""
    if number.value is None:
        return Verdict("H3", "undecided", f"{_OPEN}: {{H3:reason}}.")
    facts = "({H3} points of English accuracy, {H3:p_adjusted} after Holm, {H3:n} seeds)"
    word, text = equivalence_word(number)
    if word == "undecided":
        facts += "; about {H3:needed} seeds would decide" if number.needed else ""
    return Verdict("H3", word, f"{text} {facts}.")


def equivalence_word(number: Number) -> tuple[Word, str]:
    """The verdict on a difference, from its value and its adjusted p against the margin, and its plain English."""
    assert number.value is not None
    decided = number.p_adjusted is not None and number.p_adjusted < ALPHA
    if decided and abs(number.value) < EQUIVALENCE_MARGIN:
        return "supported", "the best Fisher penalty does as well as the best consistency weight, to within one point"
    if decided:
        side = "worse" if number.value < 0 else "better"
        return (
            "contradicted",
            f"the best Fisher penalty is {side} than the best consistency weight by more than one point",
        )
    return "undecided", _OPEN


def ratio(number: Number) -> Verdict:
    """H5: the KL ratio of equation 1 against a margin of a tenth."""
    if number.value is None or number.low is None or number.high is None:
        return Verdict("H5", "undecided", "whether the KL ratio of equation 1 is one stays open: {H5:reason}.")
    inside = number.low > 1 - RATIO_MARGIN and number.high < 1 + RATIO_MARGIN
    outside = number.high < 1 - RATIO_MARGIN or number.low > 1 + RATIO_MARGIN
    word: Word = "supported" if inside else "contradicted" if outside else "undecided"
    text = {
        "supported": "for small noise the KL divergence is what equation 1 says, to within a tenth",
        "contradicted": "for the smallest noise tried the KL divergence is not what equation 1 says",
        "undecided": "whether the KL divergence is what equation 1 says, to within a tenth, stays open",
    }[word]
    return Verdict("H5", word, f"{text} (ratio {{H5}}, {{H5:n}} configurations).")
