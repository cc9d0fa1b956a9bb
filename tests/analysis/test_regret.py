"""Regret of selection rules against plain loops, and on the studies that have less than a rule needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.configurations import StudyTables, tables
from analysis.numbers import Number, Numbers
from analysis.page.document import Missing
from analysis.regret import Measured, interval, regrets, resample
from analysis.report import compute
from analysis.sections import regret as section
from analysis.selection_rules import RULES, average_rank
from analysis.selection_rules.rule import ENGLISH_ACCURACY, IS_BASELINE, MARGIN, TARGET_TRACE, TRACE
from study.store.results import load
from tests.analysis.synthetic import LANGUAGES, write_study

Records = list[dict[str, Any]]
NAMES = list(RULES)


def measured(rng: np.random.Generator, languages: int = 3, configurations: int = 6, seeds: int = 3) -> Measured:
    """A random study with holes: some configurations lack seeds, some did not fit."""
    shape = (configurations, seeds)
    hole = rng.random(shape) < 0.2
    hole[:, 0] = False

    def column(*leading: int) -> np.ndarray:
        values = rng.normal(size=(*leading, *shape)).round(1)  # rounded, so that there are ties
        values[..., hole] = math.nan
        return values

    baseline = np.full(shape, math.nan)
    baseline[0] = np.where(hole[0], math.nan, 1.0)
    columns = {ENGLISH_ACCURACY: column(), TRACE: column(), MARGIN: column(), IS_BASELINE: baseline}
    fitted = rng.random(configurations) < 0.8
    fitted[1] = True
    return Measured(column(languages), columns, column(languages), fitted)


def naive_mean(values: np.ndarray, weights: np.ndarray) -> float:
    total = count = 0.0
    for value, weight in zip(values, weights, strict=True):
        if not math.isnan(value):
            total, count = total + weight * value, count + weight
    return (
        total / count if count else naive_mean(values, np.ones(len(values))) if not np.isnan(values).all() else math.nan
    )


def naive_choice(study: Measured, name: str, language: int, weights: np.ndarray) -> int:
    places = range(len(study.fitted))
    means = {key: [naive_mean(values[c], weights) for c in places] for key, values in study.columns.items()}
    means[TARGET_TRACE] = [naive_mean(study.target_trace[language][c], weights) for c in places]
    fitted = [c for c in places if study.fitted[c]]

    def ranks(values: list[float]) -> dict[int, float]:
        return {
            c: sum(values[o] < values[c] for o in fitted) + sum(values[o] == values[c] for o in fitted) / 2
            for c in fitted
        }

    if name == "english_accuracy":
        return max(places, key=lambda c: means[ENGLISH_ACCURACY][c])
    if name == "small_trace":
        return min(fitted, key=lambda c: means[TRACE][c])
    if name == "small_target_trace":
        return min(fitted, key=lambda c: means[TARGET_TRACE][c])
    if name == "margin":
        return max(fitted, key=lambda c: means[MARGIN][c])
    if name == "baseline":
        return 0
    assert name == "average_rank"
    all_ranks = [ranks(means[TRACE]), ranks(means[TARGET_TRACE])]
    all_ranks += [ranks([-value for value in means[key]]) for key in (ENGLISH_ACCURACY, MARGIN)]
    return min(fitted, key=lambda c: sum(one[c] for one in all_ranks))


def naive_regret(study: Measured, name: str, language: int, weights: np.ndarray) -> float:
    accuracy = [naive_mean(values, weights) for values in study.accuracy[language]]
    if name == section.RANDOM:
        fitted = [value for value, fits in zip(accuracy, study.fitted, strict=True) if fits]
        return max(accuracy) - sum(fitted) / len(fitted)
    return max(accuracy) - accuracy[naive_choice(study, name, language, weights)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", [*NAMES, section.RANDOM])
def test_regret_and_interval_against_plain_loops(name: str, seed: int) -> None:
    study = measured(np.random.default_rng(seed))
    rule = RULES.get(name)
    weights, of_languages = resample(study, 50, seed)
    found = regrets(study, rule, weights)
    means = []
    for draw in range(50):
        naive = [naive_regret(study, name, language, weights[draw]) for language in range(3)]
        assert found[:, draw] == pytest.approx(naive)
        means.append(sum(of_languages[language, draw] * naive[language] for language in range(3)))
    means.sort()
    expected = []
    for share in (0.025, 0.975):
        place = share * 49
        below = math.floor(place)
        expected.append(means[below] + (place - below) * (means[below + 1] - means[below]))
    assert interval(found, of_languages) == pytest.approx(tuple(expected))


def test_draws_are_with_replacement_and_the_same_each_time() -> None:
    study = measured(np.random.default_rng(0))
    weights, of_languages = resample(study)
    assert (weights.sum(axis=1) == 3).all()
    assert of_languages.sum(axis=0) == pytest.approx(1)
    assert {0.0, 1.0, 2.0, 3.0} == set(weights.ravel())
    again = resample(study)
    assert (weights == again[0]).all()
    assert (of_languages == again[1]).all()


def test_equal_values_share_their_rank_and_the_first_is_chosen() -> None:
    table = {ENGLISH_ACCURACY: np.array([[0.8, 0.8, 0.9]]), TRACE: np.array([[1.0, 1.0, 3.0]])}
    assert average_rank.choose(table).tolist() == [0]
    table[TRACE] = np.array([[np.nan, 2.0, 1.0]])
    assert average_rank.choose(table).tolist() == [2]


def study(folder: Path, *args: Any, **options: Any) -> StudyTables:
    return tables(load(str(write_study(folder / "demo", *args, **options))))


def found_in(study_tables: StudyTables) -> section.Regret:
    found = section.compute(study_tables)
    assert isinstance(found, section.Regret)
    return found


def planted(record: dict[str, Any], english: float, trace: float, targets: float) -> None:
    record["measurements"] |= {"accuracy.en": english, "fisher_trace": trace}
    record["measurements"] |= {f"accuracy.{language}": targets for language in LANGUAGES}


def choices(flat: float) -> Callable[[Records], Records]:
    """The most accurate configuration in English is kl=0.05; the flattest, with this accuracy elsewhere, kl=0.16."""

    def edit(records: Records) -> Records:
        for record in records:
            planted(record, 0.8, 3.0, 0.55)
            if record["label"] == "kl=0.05":
                planted(record, 0.9, 2.0, 0.6)
            if record["label"] == "kl=0.16":
                planted(record, 0.7, 1.0, flat)
        return records

    return edit


@pytest.mark.parametrize(
    ("flat", "words"),
    [
        (0.7, "would have gained accuracy: a difference of 10.00 [10.00, 10.00] points"),
        (0.5, "would have cost accuracy: a difference of -10.00 [-10.00, -10.00] points"),
        (
            0.6,
            "would have made a difference of 0.00 [0.00, 0.00] points of accuracy in the target languages: too close",
        ),
    ],
)
def test_the_last_sentence_says_what_flatness_costs_or_gains(tmp_path: Path, flat: float, words: str) -> None:
    found = compute(study(tmp_path, {"baseline": 1, "kl": 3}, seeds=2, edit=choices(flat)))
    result = found.results["regret"]
    assert words in found.numbers.text(section.closing(result, found.numbers))
    chosen_by = {key: label for _, label, key, _ in result.lines}
    assert chosen_by["regret.english_accuracy"] == "kl=0.05"
    assert chosen_by["regret.small_trace"] == "kl=0.16"
    assert chosen_by["regret.baseline"] == "baseline"
    best = max(flat, 0.6)
    assert found.numbers["regret.english_accuracy"].value == pytest.approx(best - 0.6)
    assert found.numbers["regret.baseline.de"].value == pytest.approx(best - 0.55)


@pytest.mark.parametrize("flat", [0.7, 0.5])
def test_the_last_sentence_of_one_seed_decides_nothing(tmp_path: Path, flat: float) -> None:
    found = compute(study(tmp_path, {"baseline": 1, "kl": 3}, seeds=1, edit=choices(flat)))
    text = found.numbers.text(section.closing(found.results["regret"], found.numbers))
    assert text.endswith(
        "points of accuracy in the target languages with this one seed; another seed might reverse it."
    )
    assert "gained" not in text
    assert "cost" not in text


def test_the_last_sentence_says_when_both_rules_choose_the_same(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            flat = record["label"] == "kl=0.05"
            planted(record, 0.9 if flat else 0.8, 1.0 if flat else 2.0, 0.6)
        return records

    found = found_in(study(tmp_path, {"kl": 3}, seeds=2, edit=edit))
    said = Numbers(found.numbers).text(section.closing(found, Numbers(found.numbers)) or "")
    assert "would have taken the same configuration (kl=0.05): a difference of 0.00 [0.00, 0.00] points" in said
    assert said.endswith(", too close to call.")


def test_flatness_does_not_choose_what_did_not_fit(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            if record["label"] == "kl=0.16":
                record["measurements"]["fisher_trace"] = 1e-9
                record["measurements"]["accuracy.en"] = 0.999
                if record["seed"] == 1:
                    record["measurements"]["train_accuracy"] = 0.5
        return records

    chosen_by = {key: label for _, label, key, _ in found_in(study(tmp_path, seeds=2, edit=edit)).lines}
    assert chosen_by["regret.english_accuracy"] == "kl=0.16"
    assert chosen_by["regret.small_trace"] != "kl=0.16"


def test_rules_without_their_column_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            del record["measurements"]["fisher_trace.zh"]
        return records

    found = found_in(study(tmp_path, {"kl": 4}, edit=edit))
    assert found.absent == [
        "The rule small_target_trace is left out: no configuration that it may choose has Tr(F) on the text of every "
        "target language.",
        "The rule margin is left out: no configuration that it may choose has the margin (measure.margin).",
        "The rule baseline is left out: no configuration that it may choose has a baseline.",
    ]
    keys = [key for _, _, key, _ in found.lines]
    assert keys == [f"regret.{name}" for name in ("english_accuracy", "small_trace", "average_rank", "random")]


def test_nothing_fitted_leaves_english_validation_and_no_last_sentence(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            record["measurements"]["train_accuracy"] = 0.36
        return records

    found = found_in(study(tmp_path, {"kl": 4}, edit=edit))
    assert [key for _, _, key, _ in found.lines] == ["regret.english_accuracy"]
    assert "no configuration fitted its training data with every seed" in found.absent[0]
    assert section.closing(found, Numbers(found.numbers)) is None


def _only(kept: tuple[str, ...]) -> Any:
    def edit(records: Records) -> Records:
        for record in records:
            for language in LANGUAGES:
                if language not in kept:
                    del record["measurements"][f"accuracy.{language}"]
        return records

    return edit


def test_one_seed_resamples_languages_and_one_language_seeds(tmp_path: Path) -> None:
    one_seed = found_in(study(tmp_path / "a", {"kl": 4}, seeds=1))
    assert one_seed.resampled.startswith("With one seed the intervals resample languages only")
    assert one_seed.numbers["regret.small_trace"].method == "2,000 resamples of languages; percentiles"
    one_language = found_in(study(tmp_path / "b", {"kl": 4}, seeds=2, edit=_only(("de",)), stage2=False))
    assert one_language.resampled.startswith("With one target language the intervals resample seeds only")
    assert one_language.numbers["regret.small_trace"].method == "2,000 resamples of seeds; percentiles"
    neither = found_in(study(tmp_path / "c", {"kl": 4}, seeds=1, edit=_only(("de",)), stage2=False))
    assert neither.numbers["regret.small_trace"].low is None
    said = section.closing(neither, Numbers(neither.numbers))
    assert said is not None
    assert said.endswith("nothing could be resampled: too close to call.")


def test_no_target_languages_and_no_second_configuration(tmp_path: Path) -> None:
    alone = section.compute(study(tmp_path / "a", {"kl": 4}, edit=_only(())))
    assert isinstance(alone, Missing)
    assert alone.reason == "no complete trial has a zero-shot accuracy in a target language."
    assert section.closing(alone, Numbers({})) is None
    assert isinstance(section.compute(study(tmp_path / "b", {"baseline": 1})), Missing)


def test_an_interval_that_touches_zero_is_too_close() -> None:
    number = Number(0.01, "points", 0.0, 0.02)
    said = section.closing(section.Regret({}, [], [], "", 2), Numbers({section.FLATNESS: number}))
    assert said is not None
    assert said.endswith("too close to call.")


def test_a_configuration_of_which_a_seed_diverged_did_not_fit_with_every_seed(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            if record["label"] == "fpen=0.1":
                record["measurements"] |= {"fisher_trace": 1e-6}
                if record["seed"]:
                    record |= {"state": "diverged", "reason": "loss is not a number", "measurements": {}}
        return records

    study = tables(load(str(write_study(tmp_path / "demo", {"baseline": 1, "kl": 4, "fpen": 4}, seeds=3, edit=edit))))
    found = compute(study)
    lines = {key: label for _, label, key, _ in found.results["regret"].lines}
    assert lines["regret.small_trace"] != "fpen=0.1"
    assert found.numbers["regret.small_trace"].n == 8
    assert found.numbers["regret.english_accuracy"].n == 9
    assert found.numbers["regret.baseline"].n == 1
