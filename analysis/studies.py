"""Several studies side by side: the hypotheses in each, and a summary of each hypothesis over all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count

from scipy.special import stdtrit

from analysis.configurations import StudyTables, tables
from analysis.numbers import Number, Numbers, Style, plain
from analysis.report import Findings, compute
from analysis.statistics.association import CRITICAL
from analysis.statistics.meta_analysis import LEAST, Summary, summarise
from analysis.verdicts.declared import HYPOTHESES
from analysis.verdicts.margins import EQUIVALENCE_MARGIN, Verdict, Word, equivalence_word
from analysis.verdicts.statements import adjust, controls, correlation_word, failing
from analysis.verdicts.wording import name_of, plainly
from study.store.results import load
from trainables.errors import InputError

COMPARED = ("H1", "H2", "H3", "H4")
DIFFERENCE = "H3"  # the only one that is a difference of accuracies, not a correlation
LITTLE, MODERATE, HIGH = 0.25, 0.5, 0.75  # bounds of I^2 (Higgins, Thompson, Deeks and Altman 2003)
FEW = 5  # with fewer studies, tau and I^2 are very uncertain
METHOD = "random effects over studies: tau by Paule and Mandel, interval by Hartung and Knapp"


@dataclass(frozen=True)
class Compared:
    """All that is computed before anything is drawn.

    Attributes:
        names: The studies' names, all different.
        found: The findings of each study's own report.
        numbers: ``H1.in.NAME`` for each study; ``H1``, ``H1.tau``, ``H1.i2`` and ``H1.prediction`` for the summary;
            ``H1.given.CONTROL`` for the summary given a control.
        verdicts: The verdicts on the summaries, H1 to H4.
        words: From hypothesis and study to that study's own verdict.
        notes: Reasons why studies are not independent, one sentence each.
    """

    names: list[str]
    studies: list[StudyTables]
    found: list[Findings]
    numbers: Numbers
    verdicts: list[Verdict]
    words: dict[tuple[str, str], str]
    notes: list[str]


def compare(folders: Sequence[str]) -> Compared:
    """Read studies from local paths or URIs and summarise their hypotheses.

    Raises:
        InputError: A study cannot be read, or two are the same study.
    """
    studies = [tables(load(folder)) for folder in folders]
    _refuse_twice(folders, studies)
    names = _names(studies)
    found = [compute(study) for study in studies]
    numbers: dict[str, Number] = {}
    words: dict[tuple[str, str], str] = {}
    for name, finding in zip(names, found, strict=True):
        for verdict in finding.verdicts:
            if verdict.hypothesis in COMPARED:
                words[verdict.hypothesis, name] = verdict.word
                if verdict.hypothesis in finding.numbers:
                    numbers[study_id(verdict.hypothesis, name)] = finding.numbers[verdict.hypothesis]
    for key in COMPARED:
        numbers |= _summary(key, [numbers[i] for name in names if (i := study_id(key, name)) in numbers])
        asked = dict.fromkeys(name for finding in found for name in controls(key, finding.numbers))
        for control in asked:
            numbers[control] = _given(key, control, [finding.numbers for finding in found])
    every = adjust(Numbers(numbers))
    own = {key: [words[key, name] for name in names] for key in COMPARED}
    verdicts = [_verdict(key, every, own[key]) for key in COMPARED]
    return Compared(names, studies, found, every, verdicts, words, _shared(names, studies))


def study_id(key: str, name: str) -> str:
    """The id of a hypothesis's number in one study."""
    return f"{key}.in.{name}"


def _refuse_twice(folders: Sequence[str], studies: Sequence[StudyTables]) -> None:
    """Refuse two folders with the same plan: a study and its repetition, say, would be counted as two in a summary."""
    plans = [frozenset(study.trials["trial_id"]) for study in studies]
    for one, other in combinations(range(len(folders)), 2):
        if plans[one] == plans[other]:
            raise InputError(
                f"{folders[one]} and {folders[other]} planned the same trials: name a study once (fisher-study verify "
                f"says whether a repetition has the same numbers)"
            )


def _names(studies: Sequence[StudyTables]) -> list[str]:
    """The studies' names; a name that several share gets a number, chosen so as not to equal another study's name."""
    times = Counter(study.name for study in studies)
    taken = {name for name, number in times.items() if number == 1}
    names = []
    for study in studies:
        name = study.name
        if times[name] > 1:
            name = next(numbered for i in count(1) if (numbered := f"{study.name}.{i}") not in taken)
            taken.add(name)
        names.append(name)
    return names


def _shared(names: Sequence[str], studies: Sequence[StudyTables]) -> list[str]:
    """Notes on pairs that share trials or rows of data, as a summary assumes that studies are independent."""
    notes = []
    for (name, one), (other, two) in combinations(zip(names, studies, strict=True), 2):
        pair = plain(f"{name} and {other}")
        if common := len(set(one.models["trial_id"]) & set(two.models["trial_id"])):
            notes.append(f"{pair} share {common} models, which the summaries count twice.")
        rows = [set(study.study["fingerprints"]["data"].values()) for study in (one, two)]
        if rows[0] & rows[1]:
            notes.append(f"{pair} have the same rows of data, so they are not independent.")
    return notes


def error_of(key: str, number: Number) -> float | None:
    """The standard error of a study's estimate, from its 95 % interval; None if it has no interval, or one of width 0.

    For a correlation the error is that of Fisher's z, with an interval of 1.96 errors on either side. For H3, a mean
    difference in accuracy, the interval is a t interval over its n seeds.
    """
    if number.value is None or number.low is None or number.high is None or number.low >= number.high:
        return None
    if key == DIFFERENCE:
        assert number.n is not None
        return (number.high - number.low) / (2 * float(stdtrit(number.n - 1, 0.975)))
    return (math.atanh(number.high) - math.atanh(number.low)) / (2 * CRITICAL)


def _summary(key: str, estimates: Sequence[Number]) -> dict[str, Number]:
    usable = [(number, error) for number in estimates if (error := error_of(key, number)) is not None]
    style: Style = "points" if key == DIFFERENCE else "correlation"
    known = len(usable)
    if known < LEAST:
        have = "no study has" if known == 0 else "only one study has"
        reason = f"{have} an estimate with an interval, and a summary takes {LEAST}"
        return {key: Number(None, style, n=known, unit="study", method=METHOD, reason=reason)}
    values = [number.value or 0.0 for number, _ in usable]
    found = summarise([_forth(key, value) for value in values], [error for _, error in usable])
    low, value, high = (_back(key, end) for end in (found.low, found.mean, found.high))
    whole = Number(value, style, low, high, _p(key, found), None, known, None, "study", METHOD)
    more = {
        key: whole,
        f"{key}.tau": Number(
            found.tau, "points" if key == DIFFERENCE else "ratio", n=known, unit="study",
            method="standard deviation of the true effects, " + ("accuracy" if key == DIFFERENCE else "of Fisher's z"),
        ),
        f"{key}.i2": Number(found.i2, "percent", n=known, unit="study", method="I^2 from Cochran's Q"),
    }  # fmt: skip
    if found.predicted is not None:
        low, high = (_back(key, end) for end in found.predicted)
        method = "95 % prediction interval of a further study, t with k - 2 degrees"
        more[f"{key}.prediction"] = replace(whole, low=low, high=high, p=None, method=method)
    return more


def _given(key: str, control: str, studies: Sequence[Numbers]) -> Number:
    """The summary of a hypothesis given one control, over the studies that have it.

    Where the control is constant within families it explains nothing, so the study's headline is used instead.
    """
    asked = [
        numbers[key] if numbers[control].status == "constant" else numbers[control]
        for numbers in studies
        if control in numbers
    ]
    found = _summary(key, asked)[key]
    return replace(found, status="missing" if found.value is None else "tested")


def _forth(key: str, value: float) -> float:
    return value if key == DIFFERENCE else math.atanh(value)


def _back(key: str, value: float) -> float:
    return value if key == DIFFERENCE else math.tanh(value)


def _p(key: str, found: Summary) -> float:
    """Two-sided p of no correlation; for H3, p against the margin by two one-sided tests, as in the report."""
    if key == DIFFERENCE:
        return found.p(EQUIVALENCE_MARGIN - abs(found.mean))
    return 2 * found.p(found.mean)


def _verdict(key: str, numbers: Numbers, own: Sequence[str]) -> Verdict:
    """The verdict by the report's rules: a significant summary must also hold given every control."""
    number, declared = numbers[key], HYPOTHESES[key].text
    counts = Counter(own)
    each = f"In the studies: {', '.join(f'{word} {times}' for word, times in counts.items())}."
    if number.value is None:
        word: Word = "not measured" if number.n == 0 else "undecided"
        return Verdict(key, word, f"no summary whether {declared}: {{{key}:reason}}. {each}")
    if key == DIFFERENCE:
        verdict, text = equivalence_word(number)
    else:
        verdict = correlation_word(number)
        text = plainly(key, verdict)
        asked = controls(key, numbers) if verdict in ("supported", "contradicted") else []
        if failed := failing(key, asked, numbers):
            control = failed[0]
            if numbers[control].status == "tested":
                verdict = "explained"
                text += f", but not at equal {name_of(key, control)} (r {{{control}}}, {{{control}:p_adjusted}})"
            else:
                verdict = "undecided"
                text = f"{plainly(key, verdict)}: {{{control}:reason}} given {name_of(key, control)}"
        elif asked:
            text += ", also given every control"
    mean = f"{{{key}}} points of English accuracy" if key == DIFFERENCE else f"r {{{key}}} on average"
    of = "" if number.n == len(own) else f" of {len(own)}"
    facts = f"{mean}, {{{key}:p_adjusted}} after Holm, {{{key}:n}}{of} studies"
    return Verdict(key, verdict, f"{text} ({facts}). {each}")


def heterogeneity(key: str, numbers: Numbers) -> str:
    """A template that says how much the studies differ on a hypothesis that has a summary."""
    i2, studies = numbers[f"{key}.i2"].value or 0.0, numbers[key].n or 0
    words = ((LITTLE, "hardly"), (MODERATE, "a little"), (HIGH, "clearly"), (math.inf, "much"))
    how = next(word for bound, word in words if i2 < bound)
    scale = "points" if key == DIFFERENCE else "on Fisher's z"
    text = f"The studies differ {how} more than by chance (I² {{{key}.i2}}, tau {{{key}.tau}} {scale})"
    text += f", which {studies} studies can hardly tell. " if studies < FEW else ". "
    if f"{key}.prediction" in numbers:
        return text + f"A further study is expected within {{{key}.prediction:interval}} (95 % prediction interval)."
    return text + "A prediction interval takes three studies."
