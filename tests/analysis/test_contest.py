"""The contest of measures against Tr(F): naive references over the records, null studies, and what is said of them."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.configurations import StudyTables, tables
from analysis.numbers import Numbers
from analysis.sections import predictors
from analysis.sections.predictors import _compared, compute, said, standing, with_measures
from analysis.sign_errors import Pairs
from analysis.statistics.permutation import holm
from study.store.results import load
from tests.analysis.synthetic import LANGUAGES, write_study

MEASURES = [f"m{place}" for place in range(12)]


def _study(folder: Path, edit: Any = None, **options: Any) -> StudyTables:
    return tables(load(str(write_study(folder / "demo", {"baseline": 1, "kl": 5, "fpen": 6}, edit=edit, **options))))


def _plant(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(4)
    for record in records:
        values = record["measurements"]
        values["measure.fisher_rao"] = values["fisher_trace"] ** 0.5 * float(np.exp(rng.normal()))
        values["measure.margin"] = float(rng.normal())
        for language in LANGUAGES:
            values[f"stage2.{language}.path_curvature"] = float(np.exp(rng.normal()))
            values[f"stage2.{language}.direction"] = float(np.exp(rng.normal()))
    return records


def _configurations(folder: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Arm of each configuration, and the means over its seeds of everything, from the files alone."""
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for path in sorted((folder / "demo" / "trials").glob("*.json")):
        record = json.loads(path.read_text())
        values = record["measurements"]
        zero_shot = [values[f"accuracy.{language}"] for language in LANGUAGES]
        mean = {what: np.mean([values[f"stage2.{language}.{what}"] for language in LANGUAGES])
                for what in ("gain", "path_curvature", "direction")}  # fmt: skip
        found.setdefault((record["arm"], record["label"]), []).append({
            "accuracy": values["accuracy.en"], "zero_shot": sum(zero_shot) / 3, "zero_shot_worst": min(zero_shot),
            "gain": mean["gain"], "fisher_trace": np.log(values["fisher_trace"]), "margin": -values["measure.margin"],
            "fisher_rao": np.log(values["measure.fisher_rao"]), "path_curvature": np.log(mean["path_curvature"]),
            "path_direction": np.log(mean["direction"]), "label_variance": values["measure.label_variance"],
        })  # fmt: skip
    arms = [arm for arm, _ in found]
    names = next(iter(found.values()))[0]
    return arms, {name: np.array([np.mean([seed[name] for seed in seeds]) for seeds in found.values()])
                  for name in names}  # fmt: skip


def _residual(y: np.ndarray, arms: list[str], *held: np.ndarray) -> np.ndarray:
    design = np.column_stack([*(np.array(arms) == arm for arm in dict.fromkeys(arms)), *held]).astype(float)
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def test_every_association_against_regressions_of_the_records(tmp_path: Path) -> None:
    found = compute(_study(tmp_path, _plant)).numbers
    arms, columns = _configurations(tmp_path)
    assert {key.split(".")[1] for key in found} == {"accuracy", "zero_shot", "zero_shot_worst", "gain"}
    for outcome in ("accuracy", "zero_shot", "zero_shot_worst", "gain"):
        y, trace, start = columns[outcome], columns["fisher_trace"], f"predictor.{outcome}"
        of_trace = np.corrcoef(_residual(trace, arms), _residual(y, arms))[0, 1]
        assert found[f"{start}.fisher_trace"].value == pytest.approx(of_trace)
        for name in ("margin", "fisher_rao", "path_curvature", "path_direction", "label_variance"):
            x, key = columns[name], f"{start}.{name}"
            alone = np.corrcoef(_residual(x, arms), _residual(y, arms))[0, 1]
            given = np.corrcoef(_residual(trace, arms, x), _residual(y, arms, x))[0, 1]
            given_trace = np.corrcoef(_residual(x, arms, trace), _residual(y, arms, trace))[0, 1]
            values = [found[f"{key}{what}"].value for what in ("", ".given", ".given_trace", ".difference")]
            assert values == pytest.approx([alone, given, given_trace, of_trace - alone])


def test_sign_errors_against_counting_pairs_of_the_records(tmp_path: Path) -> None:
    found = compute(_study(tmp_path, _plant)).numbers
    arms, columns = _configurations(tmp_path)
    pairs = [(i, j) for i, j in itertools.combinations(range(len(arms)), 2) if arms[i] == arms[j]]
    for outcome, name in itertools.product(("zero_shot_worst", "gain"), ("fisher_trace", "margin", "path_direction")):
        x, y = columns[name], columns[outcome]
        wrong = [0.5 if x[i] == x[j] or y[i] == y[j] else float((x[i] < x[j]) == (y[i] < y[j])) for i, j in pairs]
        number = found[f"predictor.{outcome}.{name}.sign_error"]
        assert (number.value, number.n) == (pytest.approx(np.mean(wrong)), 10 + 15)


def test_pairs_differ_in_exactly_one_searched_hyperparameter(tmp_path: Path) -> None:
    study = _study(tmp_path, seeds=1)
    places = np.arange(len(study.models))
    values = {"config.a": places % 3, "config.b": places // 3}
    study = replace(study, models=study.models.assign(**values), searched={"kl": ["a", "b"], "fpen": ["b", "a"]})
    expected = [
        {one.configuration, two.configuration}
        for (_, one), (_, two) in itertools.combinations(study.models.iterrows(), 2)
        if one.family == two.family and sum(one[path] != two[path] for path in values) == 1
    ]
    pairs = Pairs.of(study)
    found = [set(pair) for pair in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)]
    assert sorted(found, key=sorted) == sorted(expected, key=sorted)
    assert len(found) > 10


def _numbers(measures: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Numbers:
    """The section's numbers of one outcome; the first row of measures is ln Tr(F)."""
    series = [pd.Series(row) for row in (*measures, y)]
    families = pd.Series(groups)
    numbers = {"predictor.accuracy.fisher_trace": _compared(series[0], series[0], series[-1], families)[""]}
    for name, row in zip(MEASURES, series[1:-1], strict=True):
        found = _compared(series[0], row, series[-1], families)
        numbers |= {f"predictor.accuracy.{name}{what}": number for what, number in found.items()}
    differences = {name: numbers[f"predictor.accuracy.{name}.difference"].p for name in MEASURES}
    adjusted = holm(differences)
    return Numbers(numbers).adjusted({f"predictor.accuracy.{name}.difference": p for name, p in adjusted.items()})


@pytest.mark.parametrize(("shared", "effect"), [(0.0, 0.0), (0.5, 0.7), (0.9, 0.7)])
def test_among_equally_good_measures_one_is_seldom_called_the_winner(shared: float, effect: float) -> None:
    rng, groups, false = np.random.default_rng(3), np.repeat(np.arange(6), 4), 0
    for _ in range(60):
        cause = rng.normal(size=24)
        measures = np.sqrt(shared) * cause + np.sqrt(1 - shared) * rng.normal(size=(1 + len(MEASURES), 24))
        y = -effect * cause + np.sqrt(1 - effect**2) * rng.normal(size=24)
        false += any(standing(_numbers(measures, y, groups), "accuracy", MEASURES))
    assert false <= 3  # 5 % of 60


def test_a_winner_is_named_and_so_is_who_loses() -> None:
    rng, groups = np.random.default_rng(5), np.repeat(np.arange(4), 10)
    noise = rng.normal(size=(1 + len(MEASURES), 40))
    good, middling = noise[1], noise[0]
    y = -0.9 * good - 0.35 * middling + 0.25 * rng.normal(size=40)
    assert standing(_numbers(noise, y, groups), "accuracy", MEASURES) == (["m0"], [])
    swapped = noise[[1, 0, *range(2, len(noise))]]
    winners, losers = standing(numbers := _numbers(swapped, y, groups), "accuracy", MEASURES)
    assert (winners, losers) == ([], MEASURES)
    assert said(numbers, ["accuracy"], MEASURES) == (
        "As a predictor of English accuracy, Tr(F) wins against every other measure."
    )
    # Both go the other way, the one decidedly more: nothing is won by going less in the wrong direction.
    assert standing(_numbers(noise, -y, groups), "accuracy", MEASURES) == ([], [])


def test_measures_with_gaps_and_without_variation(tmp_path: Path) -> None:
    def edit(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for place, record in enumerate(_plant(records)):
            record["measurements"]["measure.parameter_norm"] = 50.0
            if place % 3:
                del record["measurements"]["measure.fisher_rao"]
        return records

    study = _study(tmp_path, edit)
    names = with_measures(study)[1]
    found = compute(study).numbers
    assert set(names) >= {"fisher_rao", "parameter_norm", "path_curvature", "path_direction"}
    assert "path_kl_en" not in names
    assert found["predictor.accuracy.fisher_rao"].n == 11
    constant = found["predictor.accuracy.parameter_norm.difference"]
    assert (constant.value, constant.p, constant.p_adjusted) == (None, None, None)
    blocks = predictors.draw(compute(study), Numbers(found))
    assert len(blocks) == 4
