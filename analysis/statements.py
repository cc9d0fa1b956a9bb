"""The words of the report: from the numbers of a hypothesis to its verdict and its sentence, by fixed rules.

The words, declared before looking: supported = adjusted p < .05 and the declared sign; contradicted =
adjusted p < .05 and the other sign; no association = the interval lies inside -+.3; else undecided, with the number
of units that would decide. Everything here is a function of numbers.json.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from analysis.numbers import Number, Numbers
from analysis.permutation import holm
from analysis.power import ALPHA, NO_ASSOCIATION, configurations_to_decide

Word = Literal["supported", "contradicted", "no association", "undecided", "not measured"]
EQUIVALENCE_MARGIN = 0.01  # H3: one point of accuracy
RATIO_MARGIN = 0.1  # H5: the KL ratio counts as 1 within a tenth; the margin is ours


@dataclass(frozen=True)
class Verdict:
    """What the data say of one hypothesis.

    Attributes:
        hypothesis: H1 to H5.
        declared: The hypothesis, as declared before looking.
        word: The verdict.
        template: Its sentence with references to numbers.
    """

    hypothesis: str
    declared: str
    word: Word
    template: str


DECLARED = {
    "H1": "English validation accuracy falls with ln Tr(F)",
    "H2": "ln Tr(F) falls with the consistency weight",
    "H3": "the best Fisher penalty does as well as the best consistency weight",
    "H4": "the gain of the second stage falls with ln Tr(F)",
    "H5": "the KL ratio of equation 1 is 1 for small noise",
}
_GOES = {  # what is declared to fall with what
    "H1": ("English validation accuracy", "Tr(F)"),
    "H2": ("Tr(F)", "the consistency weight"),
    "H4": ("the gain of the second stage", "Tr(F)"),
}


def adjust(numbers: Numbers) -> Numbers:
    """Holm over H1 to H4, as far as they were measured, and the units that would decide.

    Args:
        numbers: All numbers; the hypotheses have the ids H1 to H5.

    Returns:
        The numbers with ``p_adjusted`` and ``needed`` filled in.
    """
    found = {key: numbers[key].p for key in ("H1", "H2", "H3", "H4") if key in numbers}
    adjusted = holm(found)
    out = dict(numbers.adjusted(adjusted))
    for key in _GOES:
        if key in out and correlation_word(out[key]) == "undecided" and out[key].value is not None:
            out[key] = replace(out[key], needed=_needed(out[key], max(1, len(adjusted))))
    return Numbers(out)


def _needed(number: Number, tests: int) -> int:
    assert number.value is not None
    assert number.families is not None
    assert number.n is not None
    families = max(1, number.families)
    needed = max(configurations_to_decide(number.value, families, tests), number.n + families)
    return -(-needed // families) * families  # whole configurations in every family


def correlation_word(number: Number) -> Word:
    """The verdict on a correlation whose declared sign is negative.

    Args:
        number: r with interval and adjusted p.

    Returns:
        The word.

    Example:
        >>> correlation_word(Number(-0.6, "correlation", -0.8, -0.3, p_adjusted=0.01))
        'supported'
        >>> correlation_word(Number(0.05, "correlation", -0.2, 0.29, p_adjusted=0.7))
        'no association'
    """
    if number.value is None:
        return "undecided"
    if number.p_adjusted is not None and number.p_adjusted < ALPHA:
        return "supported" if number.value < 0 else "contradicted"
    if number.low is None or number.high is None:
        return "undecided"
    return "no association" if -NO_ASSOCIATION < number.low <= number.high < NO_ASSOCIATION else "undecided"


def _correlation(key: str, number: Number) -> Verdict:
    word = correlation_word(number)
    what, other = _GOES[key]
    scope = "within the family" if number.families == 1 else "within families"
    text = {
        "supported": f"{scope} {what} falls as {other} grows",
        "contradicted": f"{scope} {what} rises as {other} grows",
        "no association": f"{scope} {what} does not go with {other}",
        "undecided": f"it stays open whether {what} goes with {other} {scope}",
    }[word]
    if number.value is None:
        return Verdict(key, DECLARED[key], word, f"{text}: {{{key}:reason}} ({{{key}:n}} configurations counted).")
    design = f"{{{key}:n}} configurations in {{{key}:families}} {'family' if number.families == 1 else 'families'}"
    facts = f"({'trend' if key == 'H2' else 'partial'} r {{{key}}}, {{{key}:p_adjusted}} after Holm, {design})"
    ending = f"; about {{{key}:needed}} configurations would decide if r stayed" if word == "undecided" else ""
    return Verdict(key, DECLARED[key], word, f"{text} {facts}{ending}.")


def _equivalence(number: Number) -> Verdict:
    """H3: the mean difference of accuracy, Fisher penalty minus consistency, against a margin of one point."""
    declared = DECLARED["H3"]
    if number.value is None:
        return Verdict(
            "H3", declared, "undecided", "the best Fisher penalty and the best consistency weight: {H3:reason}."
        )
    facts = "({H3} points of English accuracy, {H3:p_adjusted} after Holm, {H3:n} seeds)"
    decided = number.p_adjusted is not None and number.p_adjusted < ALPHA
    if decided and abs(number.value) < EQUIVALENCE_MARGIN:
        word: Word = "supported"
        text = "the best Fisher penalty does as well as the best consistency weight, to within one point"
    elif decided:
        word = "contradicted"
        side = "worse" if number.value < 0 else "better"
        text = f"the best Fisher penalty is {side} than the best consistency weight by more than one point"
    else:
        word = "undecided"
        text = "whether the best Fisher penalty does as well as the best consistency weight stays open"
        facts += "; about {H3:needed} seeds would decide" if number.needed else ""
    return Verdict("H3", declared, word, f"{text} {facts}.")


def _ratio(number: Number) -> Verdict:
    declared = DECLARED["H5"]
    if number.value is None or number.low is None or number.high is None:
        return Verdict(
            "H5", declared, "undecided", "whether the KL ratio of equation 1 is one stays open: {H5:reason}."
        )
    inside = number.low > 1 - RATIO_MARGIN and number.high < 1 + RATIO_MARGIN
    outside = number.high < 1 - RATIO_MARGIN or number.low > 1 + RATIO_MARGIN
    word: Word = "supported" if inside else "contradicted" if outside else "undecided"
    text = {
        "supported": "for small noise the KL divergence is what equation 1 says, to within a tenth",
        "contradicted": "for the smallest noise tried the KL divergence is not what equation 1 says",
        "undecided": "whether the KL divergence is what equation 1 says, to within a tenth, stays open",
    }[word]
    return Verdict("H5", declared, word, f"{text} (ratio {{H5}}, {{H5:n}} configurations).")


def verdicts(numbers: Numbers) -> list[Verdict]:
    """One verdict for each declared hypothesis, H1 first.

    Args:
        numbers: All numbers, adjusted.

    Returns:
        The verdicts; "not measured" where the study has no such data.
    """
    out = []
    for key, declared in DECLARED.items():
        if key not in numbers:
            out.append(Verdict(key, declared, "not measured", f"no complete trial says whether {declared}."))
        elif key == "H3":
            out.append(_equivalence(numbers[key]))
        elif key == "H5":
            out.append(_ratio(numbers[key]))
        else:
            out.append(_correlation(key, numbers[key]))
    return out


def sentence(verdict: Verdict, numbers: Numbers) -> str:
    """The sentence of a verdict with its numbers, as the terminal prints it.

    Args:
        verdict: The verdict.
        numbers: All numbers, adjusted.

    Returns:
        For example "H1 supported: within families English validation accuracy falls as Tr(F) grows (...)."
    """
    return f"{verdict.hypothesis} {verdict.word}: {numbers.text(verdict.template)}"
