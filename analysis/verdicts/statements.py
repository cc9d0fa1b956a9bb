"""The words of the report: from the numbers of a hypothesis to its verdict and its sentence, by fixed rules.

The rules, declared before looking at the data, are ``WORDS`` in ``analysis/sections/methods.py``. Everything here is a
function of numbers.json.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from analysis.numbers import Number, Numbers
from analysis.statistics.association import CRITICAL
from analysis.statistics.permutation import holm
from analysis.statistics.power import ALPHA, NO_ASSOCIATION, degrees_to_decide
from analysis.verdicts.declared import HYPOTHESES, TOGETHER
from analysis.verdicts.margins import Verdict, Word, equivalence, ratio
from analysis.verdicts.wording import FALLS, also_at_equal, capital, name_of, plainly, untested

LARGEST = 1 - 1e-12  # used for an end of an interval that was rounded to 1


def adjust(numbers: Numbers) -> Numbers:
    """Add Holm's adjustment over those of H1 to H4 that were measured, and the units that would decide (``needed``).

    A control's p is adjusted as the headline's would be if the headline had that p.
    """
    found = {key: numbers[key].p for key in ("H1", "H2", "H3", "H4") if key in numbers}
    adjusted = holm(found)
    for key in found:
        for control in controls(key, numbers):
            if numbers[control].p is not None:
                adjusted[control] = holm(found | {key: numbers[control].p})[key]
    out = dict(numbers.adjusted(adjusted))
    tests = max(1, sum(p is not None for p in found.values()))
    for key in FALLS:
        if key in out and correlation_word(out[key]) == "undecided":
            out[key] = replace(out[key], needed=_needed(out[key], tests))
    return Numbers(out)


def controls(key: str, numbers: Numbers) -> list[str]:
    """The ids of a headline's controls, ``KEY.given.CONTROL``."""
    return [name for name in numbers if name.startswith(f"{key}.given.")]


def _needed(number: Number, tests: int) -> int | None:
    """Configurations that would decide if r and the families' spreads stayed the same.

    None without an interval, and for a summary over studies, whose unit is a study. The degrees of freedom are those of
    the interval, fewer than in the textbook where few rows account for most of the spread; the degrees plus 2 are taken
    as proportional to the number of configurations.
    """
    if number.value is None or number.low is None or number.high is None or number.low >= number.high:
        return None
    if number.families is None or number.n is None:
        return None
    low, high = (math.atanh(max(-LARGEST, min(LARGEST, end))) for end in (number.low, number.high))
    degrees = (2 * CRITICAL / (high - low)) ** 2
    needed = number.n * (degrees_to_decide(number.value, tests) + 2) / (degrees + 2)
    families = max(1, number.families)
    return math.ceil(max(needed, number.n + families) / families) * families  # whole configurations in every family


def correlation_word(number: Number) -> Word:
    """The verdict on a correlation whose declared sign is negative, before its controls are applied.

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


def survives(number: Number, control: Number) -> bool:
    """Whether a significant headline survives one control: given it, r has the same sign and an adjusted p below .05.

    A control that is constant within families explains nothing, so the headline survives it.
    """
    if control.status == "constant":
        return True
    if control.value is None or number.value is None or control.p_adjusted is None:
        return False
    return control.p_adjusted < ALPHA and control.value * number.value > 0


def failing(key: str, names: Sequence[str], numbers: Numbers) -> list[str]:
    """The controls that a headline does not survive: those that remove it, strongest first, then those not tested."""
    failed = [name for name in names if not survives(numbers[key], numbers[name])]
    asked = [name for name in failed if numbers[name].status == "tested"]
    asked.sort(key=lambda name: -_doubt(numbers[key], numbers[name]))
    return [*asked, *(name for name in failed if name not in asked)]


def _correlation(key: str, numbers: Numbers) -> Verdict:
    number = numbers[key]
    word = correlation_word(number)
    plain, stays_open = plainly(key, word), plainly(key, "undecided")
    if number.value is None:
        ending = f"({{{key}:n}} configurations counted)"
        return Verdict(key, word, f"{stays_open}: {{{key}:reason}} {ending}.")
    given, after = "", ""
    names = controls(key, numbers) if word in ("supported", "contradicted") else []
    if failed := failing(key, names, numbers):
        strongest = failed[0]
        if numbers[strongest].status == "tested":
            word = "explained"
            plain += f", but not at equal {name_of(key, strongest)}"
            them = "them" if strongest.startswith(f"{key}.given.{TOGETHER}") else "it"
            given = f"; given {them} r {{{strongest}}}, {{{strongest}:p_adjusted}}"
        else:
            word = "undecided"
            plain = f"{stays_open}: {untested(key, strongest, numbers[strongest])}"
    elif names:
        held = [name for name in names if numbers[name].status == "tested"]
        plain += also_at_equal(key, held)
        if held:
            weakest = max(held, key=lambda name: _doubt(number, numbers[name]))
            given = f"; at the least {{{weakest}}}, {{{weakest}:p_adjusted}}, given {name_of(key, weakest)}"
    for name in names:
        if numbers[name].status == "constant":
            after += f" {capital(name_of(key, name))} is the same within families, so it explains nothing."
    if word == "undecided" and number.needed:
        given = f"; about {{{key}:needed}} configurations would decide if r stayed"
    design = f"{{{key}:n}} configurations in {{{key}:families}} {'family' if number.families == 1 else 'families'}"
    facts = f"{'trend' if key == 'H2' else 'partial'} r {{{key}}}, {{{key}:p_adjusted}} after Holm, {design}{given}"
    return Verdict(key, word, f"{plain} ({facts}).{after}")


def _doubt(number: Number, control: Number) -> float:
    """How far a control removes a headline: the p given it, or 2 - p if the sign is reversed."""
    p = 1.0 if control.p is None else control.p
    return p if (control.value or 0.0) * (number.value or 0.0) > 0 else 2.0 - p


def verdicts(numbers: Numbers) -> list[Verdict]:
    """One verdict for each declared hypothesis, H1 first; "not measured" if the study lacks the data."""
    out = []
    for key, hypothesis in HYPOTHESES.items():
        if key not in numbers:
            out.append(Verdict(key, "not measured", f"no complete trial says whether {hypothesis.text}."))
        elif key == "H3":
            out.append(equivalence(numbers[key]))
        elif key == "H5":
            out.append(ratio(numbers[key]))
        else:
            out.append(_correlation(key, numbers))
    return out


def sentence(verdict: Verdict, numbers: Numbers) -> str:
    """The sentence of a verdict with its numbers, as in the terminal: "H1 supported: Flatter models ..."."""
    return f"{verdict.hypothesis} {verdict.word}: {capital(numbers.text(verdict.template))}"
