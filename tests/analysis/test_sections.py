"""Sections on known answers and on the studies that break reports; no pictures are drawn here."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.configurations import StudyTables, tables
from analysis.numbers import Numbers
from analysis.page import render
from analysis.page.document import Figure, Missing
from analysis.report import Findings, compose, compute, numbers_json
from analysis.sections import SECTIONS, trials
from analysis.sections.dose_response import _margin_p, _seeds_needed
from analysis.sections.importance import drop_in_r2
from analysis.sections.pareto import front
from analysis.sections.predictors import LARGER_IS_BETTER, NOT_IN_LOGARITHMS
from study.store.results import load
from tests.analysis import synthetic
from tests.analysis.synthetic import LANGUAGES, write_study
from trainables import config

RIVALS = config.MeasureConfig().rivals

Records = list[dict[str, Any]]


def study(folder: Path, *args: Any, **options: Any) -> StudyTables:
    return tables(load(str(write_study(folder / "demo", *args, **options))))


def report(found_tables: StudyTables) -> tuple[Findings, str]:
    """All numbers and the report as text; every sum and every number is checked on the way."""
    found = compute(found_tables)
    document = compose(found_tables, found)
    figures = [b for _, _, blocks in document.sections for b in blocks if isinstance(b, Figure)]
    text = render.markdown(document, {figure.name: f"{figure.name}.png" for figure in figures})
    assert "</html>" in render.page(document, "library")
    json.loads(numbers_json(found_tables, found, []))
    planned, *states = (
        found.numbers[f"account.{state}"].value
        for state in ("planned", "complete", "diverged", "failed", "unfinished", "unreadable")
    )
    assert planned == sum(value or 0 for value in states)
    assert not re.search(r"\b(nan|NaN|None|inf)\b", text)
    return found, text


def test_every_specification_is_valid_vega_lite(tmp_path: Path) -> None:
    found_tables = study(tmp_path, {"kl": 3}, seeds=2)
    document = compose(found_tables, compute(found_tables))
    figures = [b for _, _, blocks in document.sections for b in blocks if isinstance(b, Figure)]
    assert len(figures) >= 10
    for figure in figures:
        for spec in filter(None, (figure.spec, figure.page)):
            alt.Chart.from_dict(json.loads(json.dumps(spec)))


def _set(**values: float | None) -> Any:
    """Give every record these measurements; None removes one."""

    def edit(records: Records) -> Records:
        for record in records:
            record["measurements"].update(values)
            for name, value in values.items():
                if value is None:
                    del record["measurements"][name]
        return records

    return edit


@pytest.mark.parametrize("r", [1.0, -1.0])
def test_planted_correlations_of_one_whatever_families_and_seeds_do(tmp_path: Path, r: float) -> None:
    def plant(records: Records) -> Records:
        for place, record in enumerate(records):
            value = 3.0 + place // 2  # the same for both seeds of a configuration
            record["measurements"]["fisher_trace"] = math.exp(value / 4)
            record["measurements"]["accuracy.en"] = 0.5 + r * value / 100
        return records

    found, text = report(study(tmp_path, {"kl": 5, "fpen": 5}, seeds=2, edit=plant))
    assert found.numbers["H1"].value == pytest.approx(r)
    assert found.verdicts[0].word == ("contradicted" if r > 0 else "supported")
    assert f"partial r {r:.2f} [{r:.2f}, {r:.2f}]" in text


def test_the_headline_follows_the_families_not_the_pool(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"baseline": 1, "kl": 6, "fpen": 6, "l2": 6}, r=-0.95))
    assert found.numbers["accuracy.pooled"].value > 0
    assert found.numbers["H1"].value < -0.8
    assert found.sentences()[0].startswith(
        "H1 supported: Flatter models were more accurate in English, also at equal training fit and label variance ("
    )
    assert "pooled over families (mixes families; for comparison)" in text


def test_means_over_seeds_are_the_unit(tmp_path: Path) -> None:
    found_tables = study(tmp_path, {"kl": 4, "fpen": 3}, seeds=3)
    means = found_tables.means("accuracy.en", "ln_trace")
    assert list(means["seeds"]) == [3] * 7
    for row in means.itertuples():
        mine = found_tables.models.loc[found_tables.models["label"] == row.label]
        assert means.loc[row.Index, "accuracy.en"] == pytest.approx(mine["accuracy.en"].mean())
        assert row.ln_trace == pytest.approx(np.log(mine["fisher_trace"].to_numpy(dtype=float)).mean())
    assert compute(found_tables).numbers["H1"].n == 7


def test_one_family(tmp_path: Path) -> None:
    found, _ = report(study(tmp_path, {"kl": 6}, seeds=1, r=-0.99))
    assert (found.numbers["H1"].n, found.numbers["H1"].families) == (6, 1)
    assert "all 720 arrangements" in (found.numbers["H1"].method or "")
    assert found.sentences()[0].startswith("H1 supported: Flatter models were more accurate in English, also at")
    assert "6 configurations in 1 family" in found.sentences()[0]


def test_families_of_one_configuration_are_drawn_not_counted(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"baseline": 1, "kl": 1, "fpen": 1}, seeds=3))
    assert found.sentences()[0] == (
        "H1 undecided: Whether flatter models are more accurate in English stays open: "
        "no family has two configurations or more (0 configurations counted)."
    )
    assert "figure-1.png" in text


def test_one_seed_has_no_level_within_configurations(tmp_path: Path) -> None:
    found, _ = report(study(tmp_path, {"kl": 4, "fpen": 4}, seeds=1))
    assert "accuracy.seeds" not in found.numbers
    assert found.numbers["H3"].reason == "it takes two seeds or more to choose the weight on other seeds"


def test_a_single_trial(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"baseline": 1}, seeds=1))
    assert found.numbers["account.complete"].value == 1
    assert found.verdicts[0].word == "undecided"
    assert "Dose-response: no family searches a single numeric weight." in text


def test_notes_on_models_and_data_are_shown_as_they_were_written(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "demo", {"baseline": 1}, seeds=1)
    assert "Notes on the models" not in report(tables(load(str(folder))))[1]
    written = json.loads((folder / "study.json").read_text())
    written["notes"] = ["data pawsx: 3 of the 36 training examples repeat an earlier one", "model {x}: slow"]
    (folder / "study.json").write_text(json.dumps(written))
    _, text = report(tables(load(str(folder))))
    assert "Notes on the models and the data." in text
    for note in written["notes"]:
        assert f"| {note} |" in text


def test_a_study_without_a_finished_trial(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"kl": 3}, seeds=2, edit=lambda records: []))
    assert found.numbers["account.unfinished"].value == 6
    assert found.sentences() == ["H1 not measured: No complete trial says whether " + found.verdicts[0].declared + "."]
    assert "Figure 1: accuracy and Tr(F): no complete trial has both" in text


def test_test_scores_are_in_the_trials_table_and_change_no_number(tmp_path: Path) -> None:
    def scored(records: Records) -> Records:
        for number, record in enumerate(records):
            record["measurements"] |= {"test.accuracy.en": number / 100, "test.f1.de": 0.5, "test.nll.de": 1.0,
                                       "stage2.de.test_accuracy": 1 - number / 100}  # fmt: skip
        return records

    plain, found = (
        study(tmp_path / name, {"kl": 3}, seeds=2, edit=edit) for name, edit in (("a", list), ("b", scored))
    )
    assert compute(found).numbers == compute(plain).numbers
    titles, before = (trials.draw(trials.compute(each), Numbers())[0].columns for each in (found, plain))
    added = [title for title in titles if title not in before]
    assert added == ["test accuracy en", "test F1 de", "test accuracy de after stage 2"]


def test_an_empty_plan(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {}))
    assert found.numbers["account.planned"].value == 0
    assert "Trials: the plan has no trials." in text


def test_all_collapsed(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"kl": 4, "fpen": 4}, seeds=2, edit=_set(train_accuracy=0.36)))
    assert found.numbers["account.collapsed"].value == 16
    assert found.numbers["H1"].value is None
    assert found.numbers["H1"].reason == "all 16 models collapsed"
    assert found.numbers["H1.with_all"].n == 8
    assert found.sentences()[0].endswith(": all 16 models collapsed (0 configurations counted).")
    assert "Every model collapsed: none does much better on its training examples" in text
    assert "change stages.0.optimizer.learning_rate" in text
    assert "no mean gain of the second stage: no model fitted its training data." in text
    assert "two configurations or more" not in text
    assert "not defined points" not in text.replace(" (every model collapsed)", "")


def test_what_collapsed_is_named_where_too_little_is_left(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        return [*records[:2], *_set(train_accuracy=0.36)(records[2:])]

    folder = study(tmp_path, {"kl": 4, "fpen": 2}, seeds=2, edit=edit)
    found, text = report(folder)
    assert found.sentences()[0].endswith(
        "no family has two fitted configurations or more (10 of 12 models did not fit) (0 configurations counted)."
    )
    advice = "More than two configurations collapsed in kl: shift that grid by a decade."
    assert advice in text
    assert "Every model collapsed" not in text


def test_models_that_did_not_fit_are_hollow_and_outside_the_headline(
    tmp_path: Path,
) -> None:
    def unfit(records: Records) -> Records:
        for record in records:
            if record["label"] == "kl=5":
                record["measurements"]["train_accuracy"] = 0.3899  # majority share 0.34 plus five points is 0.39
            if record["label"] == "kl=1.6":
                record["measurements"]["train_accuracy"] = 0.3901
            if record["label"] == "fpen=10":
                record["measurements"]["train_accuracy"] = 0.949 * 0.97
            if record["label"] == "fpen=3":
                record["measurements"]["train_accuracy"] = 0.951 * 0.97
        return records

    found, text = report(study(tmp_path, {"baseline": 1, "kl": 6, "fpen": 6}, seeds=2, edit=unfit))
    numbers = found.numbers
    assert [numbers[f"account.{name}"].value for name in ("collapsed", "unfit", "fitted")] == [2, 6, 20]
    assert [numbers[f"H1{name}"].n for name in ("", ".with_all", ".at.90", ".at.98")] == [9, 12, 10, 8]
    rows = found.results["figure-1"].tables.figure_rows.records(["label", "unfit"])
    assert {row["label"] for row in rows if row["unfit"]} == {"kl=5", "kl=1.6", "fpen=10"}
    assert "97.0 % (the baseline's, mean over its seeds): 20 have, 6 have not" in text
    line = next(line for line in text.splitlines() if line.startswith("| kl | 6 | 12"))
    assert line == "| kl | 6 | 12 | 12 | 0 | 0 | 0 | 8 | 2 |"


@pytest.mark.parametrize("constant", ["accuracy.en", "fisher_trace"])
def test_constant_columns(tmp_path: Path, constant: str) -> None:
    found, _ = report(study(tmp_path, {"kl": 4, "fpen": 4}, seeds=2, edit=_set(**{constant: 0.5})))
    assert found.numbers["H1"].value is None
    assert found.numbers["H1"].reason in ("x is constant within families", "y is constant within families")
    assert found.verdicts[0].word == "undecided"


def test_ties(tmp_path: Path) -> None:
    def tie(records: Records) -> Records:
        for record in records:
            record["measurements"]["accuracy.en"] = round(record["measurements"]["accuracy.en"], 2)
        return records

    found, _ = report(study(tmp_path, {"kl": 6, "fpen": 6}, seeds=1, edit=tie))
    assert found.numbers["H1"].value is not None
    assert 0 < found.numbers["H1"].p <= 1


@pytest.mark.parametrize(("value", "key"), [(None, "fisher_trace"), (0.0, "fisher_trace"), (-1.0, "fisher_trace")])
def test_trials_without_a_usable_trace_are_counted_and_left_out(tmp_path: Path, value: float | None, key: str) -> None:
    def edit(records: Records) -> Records:
        return [*_set(**{key: value})(records[:3]), *records[3:]]

    found, text = report(study(tmp_path, {"kl": 4, "fpen": 4}, seeds=1, edit=edit))
    assert found.numbers["account.without.ln_trace"].value == 3
    assert "Models without a finite value of a positive Tr(F), in no figure that needs it: 3." in text
    assert found.numbers["H1"].n == 4


def test_a_study_without_the_metric_says_so(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"kl": 4}, edit=_set(**{"accuracy.en": None})))
    assert isinstance(found.results["figure-1"], Missing)
    assert found.sentences()[0].startswith("H1 not measured")
    assert "Models without a finite value of English validation accuracy, in no figure that needs it: 12." in text


def test_states_and_reasons_are_told(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        empty = {"measurements": {}, "curves": []}
        failure = {"type": "KeyError", "message": "x", "log_tail": ""}
        records[0] |= empty | {"state": "failed", "reason": "KeyError: '{x}' | y", "error": failure}
        records[1] |= empty | {"state": "diverged", "reason": "the loss is not finite at step 3"}
        return records[:-1]

    found, text = report(study(tmp_path, {"kl": 4}, seeds=1, edit=edit))
    assert "4 trials planned: 1 complete, 1 diverged, 1 failed, 1 unfinished." in text
    assert "KeyError: '{x}' \\| y" in text
    assert found.numbers["account.configurations"].value == 1


def test_a_model_that_lacks_a_language_has_no_mean_gain(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        return [*_set(**{"stage2.zh.gain": None})(records[:1]), *records[1:]]

    found, _ = report(study(tmp_path, {"kl": 4, "fpen": 4}, seeds=1, edit=edit))
    assert (found.numbers["H4"].n, found.numbers["H4.de"].n, found.numbers["H4.zh"].n) == (7, 8, 7)


def test_no_second_stage(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"kl": 4}, stage2=False, curves=False))
    assert "H4" not in found.numbers
    assert "Second stage: no complete trial has a second stage" in text
    assert "Through training: no complete trial has curves of its training." in text
    assert "Equation 1: no complete trial has a KL ratio" in text


def test_the_path_of_the_second_stage_where_it_was_measured(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            values = record["measurements"]
            lost = values["accuracy.en"] - values["stage2.de.accuracy_en_after"]
            values |= {
                "stage2.de.path_curvature": math.exp(100 * lost), "stage2.de.path_kl_en": math.exp(-100 * lost),
                "stage2.de.direction": 40.0, "stage2.de.path_curvature_target": 0.5,
            }  # fmt: skip
        return records

    found, text = report(study(tmp_path, {"kl": 4, "fpen": 4}, seeds=2, edit=edit))
    assert found.numbers["path.de.curvature.english_lost"].value == pytest.approx(1)
    assert found.numbers["path.de.kl.english_lost"].value == pytest.approx(-1)
    assert found.numbers["path.de.curvature.gain"].n == 8
    assert not any(name.startswith("path.zh") for name in found.numbers)
    (line,) = (line for line in text.splitlines() if line.startswith("| de | 16 |") and "| 40 | 0.5 |" in line)
    assert "-1.00" in line
    assert "The path of the second stage" not in report(study(tmp_path / "without", {"kl": 4}))[1]


def twinned(records: Records) -> Records:
    """Tr(F) moves by 4, up and down, and by 9 in the next model; the margin, which is negative, not; one is 0."""
    for number, record in enumerate(records):
        values = record["measurements"]
        trace, factor = values["fisher_trace"], (4.0, 9.0)[number % 2]
        values |= {"measure.margin": -1.0, "measure.sharpness": 0.0}
        for exponent, times in ((-1, 1.5), (1, 1 / factor), (3, 100.0)):
            values |= {
                f"twin.{exponent}.logit_change": 0.0 if exponent < 3 else 0.01,
                f"twin.{exponent}.fisher_trace": times * trace, f"twin.{exponent}.margin": -1.0 - 1e-4 * times,
                f"twin.{exponent}.sharpness": 0.1,
            }  # fmt: skip
    return records


def test_what_moves_on_rescaled_twins_and_what_does_not(tmp_path: Path) -> None:
    found_tables = study(tmp_path, {"kl": 3, "fpen": 2}, seeds=2, edit=twinned)
    found, text = report(found_tables)
    assert found.numbers["twin.fisher_trace"].value == pytest.approx(6.0)
    assert found.numbers["twin.fisher_trace"].n == 10
    traces = found_tables.means("fisher_trace")["fisher_trace"]
    assert found.numbers["twin.fisher_trace.configurations"].value == pytest.approx(traces.max() / traces.min())
    assert found.numbers["twin.margin.configurations"].value == pytest.approx(1.0)
    assert "Tr(F) moved by a factor of 6.000 at the most, mean over 10 models" in text
    assert "Moved: Tr(F). Did not move: margin. Without a ratio: sharpness." in text
    assert "10 twins are left out: their logits moved by more than 0.01%." in text
    assert "| margin | unchanged | 1.000 |" in text
    assert "| sharpness |  |  |" in text


def test_a_study_without_twins_says_so(tmp_path: Path) -> None:
    assert "The same function, rescaled: no complete trial has rescaled twins" in report(study(tmp_path, {"kl": 2}))[1]


def test_the_pareto_front_and_importance_of_a_joint_search(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "demo", {"kl": 6, "fpen": 6}, seeds=1)
    data = json.loads((folder / "study.json").read_text())
    data["config"]["arms"][0]["search"]["stages.0.optimizer.learning_rate"] = {"kind": "grid", "values": [2e-5]}
    (folder / "study.json").write_text(json.dumps(data))
    found, text = report(tables(load(str(folder))))
    assert 1 <= found.numbers["pareto.size"].value <= 12
    assert "Pareto front" in text
    key = "importance.accuracy.fpen.config.stages.0.penalties.fisher.weight"
    assert 0 <= found.numbers[key].value <= 1
    assert found.numbers["H2"].n == 6


def test_models_of_two_number_formats_are_said_to_be(tmp_path: Path) -> None:
    def formats(records: Records) -> Records:
        for record in records:
            record["provenance"]["precision"] = "bfloat16" if record["arm"] == "baseline" else "float32"
        return records

    text = report(study(tmp_path, {"baseline": 1, "kl": 3}, seeds=1, edit=formats))[1]
    assert "in bfloat16 (1 models) and float32 (3 models), those of the baseline in bfloat16. Where two models" in text
    assert "| precision | float32 (3 trials), bfloat16 (1 trials) |" in text


def test_points_in_perfect_order_have_the_p_of_their_arrangements() -> None:
    values, outcome = pd.DataFrame({"weight": [1.0, 2.0, 3.0, 4.0]}), pd.Series([0.1, 0.2, 0.3, 0.5])
    found = drop_in_r2(values, outcome)["weight"]
    assert found.value == pytest.approx(1.0)
    assert found.p == pytest.approx(2 / math.factorial(4))


def test_a_family_whose_consistency_weight_is_the_same_does_not_count_for_its_dose(tmp_path: Path) -> None:
    def constant(records: Records) -> Records:
        weighted = next(record for record in records if record["label"].startswith("kl=0.5"))
        for record in records:
            if record["arm"] == "l2":
                record["config"]["stages"][0]["consistency"] = dict(weighted["config"]["stages"][0]["consistency"])
        return records

    found = compute(study(tmp_path, {"baseline": 1, "kl": 6, "l2": 6}, seeds=1, edit=constant))
    assert (found.numbers["H2"].n, found.numbers["H2"].families) == (6, 1)
    assert found.numbers["H2"].value == pytest.approx(found.numbers["trend.kl.trace"].value)


def _searched(folder: Path, arm: str) -> Path:
    """The study with the given arm turned into an adaptive search of two paths, whose seeds' learning rates differ."""
    data = json.loads((folder / "study.json").read_text())
    (found,) = (one for one in data["config"]["arms"] if one["name"] == arm)
    path = next(iter(found["search"]))
    rate = "stages.0.optimizer.learning_rate"
    found["slots"] = 12
    found["search"] = {
        path: {"kind": "log_uniform", "low": 1e-3, "high": 50.0}, rate: {"kind": "uniform", "low": 1e-5, "high": 1e-3}
    }  # fmt: skip
    rng = np.random.default_rng(1)
    for place, row in enumerate(row for row in data["plan"] if row["arm"] == arm):
        row["slot"], row["label"] = place + 1, f"{arm}#{place + 1:03d}"
        row["config"]["stages"][0]["optimizer"]["learning_rate"] = float(rng.uniform(1e-5, 1e-3))
        file = folder / "trials" / f"{row['trial_id']}.json"
        record = json.loads(file.read_text())
        file.write_text(json.dumps(record | {"config": row["config"], "label": row["label"]}))
    (folder / "study.json").write_text(json.dumps(data))
    return folder


def test_an_adaptive_search_has_a_front_and_importances_and_is_in_no_correlation(tmp_path: Path) -> None:
    families = {"kl": 6, "l2": 6}
    alone = write_study(tmp_path / "alone", families, seeds=1)
    beside = _searched(write_study(tmp_path / "beside", {**families, "fpen": 12}, seeds=1), "fpen")
    without, text_without = report(tables(load(str(alone))))
    found, text = report(tables(load(str(beside))))
    assert found.numbers["pareto.configurations"].value == 24
    assert 1 <= found.numbers["pareto.size"].value <= 24
    for path in ("stages.0.penalties.fisher.weight", "stages.0.optimizer.learning_rate"):
        assert 0 <= found.numbers[f"importance.trace.fpen.config.{path}"].value <= 1
    assert found.numbers["importance.trace.fpen.config.stages.0.optimizer.learning_rate"].n == 12
    for key in ("H1", "H2", "H4", "accuracy.pooled", "gain.spearman", "predictor.accuracy.fisher_trace"):
        assert found.numbers[key] == without.numbers[key]
    assert "in any other correlation: fpen, whose configurations an adaptive search picked" in text
    assert "adaptive search picked" not in text_without


def test_a_study_of_an_adaptive_search_alone_has_no_headline(tmp_path: Path) -> None:
    folder = _searched(write_study(tmp_path / "demo", {"fpen": 12}, seeds=1), "fpen")
    found, text = report(tables(load(str(folder))))
    assert found.numbers["H1"].value is None
    assert found.numbers["H1"].n == 0
    assert found.numbers["pareto.configurations"].value == 12
    assert found.numbers["stage2.mean.gain"].n == 12
    assert "Pareto front" in text


def test_front_against_the_definition() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        traces, accuracies = rng.integers(0, 6, size=(2, 12)).astype(float)
        found = set(front(traces, accuracies).tolist())
        for i in range(12):
            beaten = any(
                traces[j] <= traces[i] and accuracies[j] >= accuracies[i]
                and (traces[j] < traces[i] or accuracies[j] > accuracies[i] or (j in found and j != i))
                for j in range(12)
            )  # fmt: skip
            assert (i in found) != beaten


def test_drop_in_r2_agrees_with_statsmodels_and_spearman() -> None:
    import pandas as pd
    import scipy.stats
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    values = pd.DataFrame({"a": rng.normal(size=14), "b": rng.normal(size=14)})
    outcome = values["a"] + 0.4 * pd.Series(rng.normal(size=14))
    found = drop_in_r2(values, outcome)
    full = sm.OLS(outcome.rank(), sm.add_constant(values.rank())).fit()
    less = sm.OLS(outcome.rank(), sm.add_constant(values[["b"]].rank())).fit()
    assert found["a"].value == pytest.approx(full.rsquared - less.rsquared)
    assert found["a"].p == pytest.approx(full.pvalues["a"])
    rho = scipy.stats.spearmanr(values["a"], outcome).statistic
    assert drop_in_r2(values[["a"]], outcome)["a"].value == pytest.approx(rho**2)


def test_equivalence_agrees_with_statsmodels_and_knows_its_limits() -> None:
    from statsmodels.stats.weightstats import DescrStatsW

    differences = np.array([0.002, -0.004, 0.003, 0.001, -0.002])
    mean, error = differences.mean(), differences.std(ddof=1) / math.sqrt(5)
    expected = DescrStatsW(differences).ttost_mean(-0.01, 0.01)[0]
    assert _margin_p(mean, error, 5) == pytest.approx(expected, rel=1e-6)
    needed = _seeds_needed(0.002, 0.01, 3)
    assert needed is not None
    assert _margin_p(0.002, 0.01 / math.sqrt(needed), needed) < 0.0125
    assert _seeds_needed(0.01, 0.01, 3) is None


def test_the_weight_is_chosen_on_the_other_seeds(tmp_path: Path) -> None:
    accuracies = {"kl=0.05": (0.9, 0.5, 0.5), "kl=0.16": (0.6, 0.7, 0.7), "fpen=0.001": (0.65, 0.65, 0.65)}

    def edit(records: Records) -> Records:
        kept = [record for record in records if record["label"] in accuracies]
        for record in kept:
            record["measurements"]["accuracy.en"] = accuracies[record["label"]][record["seed"]]
        return kept

    found, _ = report(study(tmp_path, {"kl": 3, "fpen": 1}, edit=edit))
    # Seed 0: the others prefer kl=0.16 (0.7), which has 0.6; seeds 1 and 2: the others prefer kl=0.05 (0.7 over 0.65).
    expected = np.mean([0.65 - 0.6, 0.65 - 0.5, 0.65 - 0.5])
    assert found.numbers["H3"].value == pytest.approx(expected)


def test_arms_against_the_baseline_are_paired_by_seed_over_what_fitted(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            if record["label"] == "kl=0.05" and record["seed"] == 1:
                record["measurements"]["train_accuracy"] = 0.5  # did not fit once, so it is left out everywhere
        return records

    found_tables = study(tmp_path, {"baseline": 1, "kl": 3, "l2": 2}, edit=edit)
    found, text = report(found_tables)
    models = found_tables.models.assign(zero=found_tables.models[[f"accuracy.{x}" for x in LANGUAGES]].mean(axis=1))
    columns = {"trace": "ln_trace", "accuracy": "accuracy.en", "zero_shot": "zero", "nll": "train_nll"}
    columns["train_trace"] = "ln_trace.train"
    for arm, left_out in (("kl", "kl=0.05"), ("l2", "")):
        for name, column in columns.items():
            differences = []
            for seed in range(3):
                own = models[(models["family"] == arm) & (models["seed"] == seed) & (models["label"] != left_out)]
                base = models[(models["family"] == "baseline") & (models["seed"] == seed)]
                differences.append(own[column].mean() - base[column].iloc[0])
            number = found.numbers[f"intervention.{arm}.{name}"]
            expected = stats.t.interval(0.95, 2, np.mean(differences), stats.sem(differences))
            assert (number.value, number.n) == (pytest.approx(np.mean(differences)), 3)
            assert (number.low, number.high) == pytest.approx(expected)
    assert found.numbers["intervention.kl.configurations"].value == 2
    assert "## Arms against the baseline" in text


@pytest.mark.parametrize(
    ("trace", "accuracy", "word"), [(1.0, -0.1, "opposite"), (1.0, 0.1, "the same"), (1.0, 0.0, "undecided")]
)
def test_the_directions_of_an_intervention(tmp_path: Path, trace: float, accuracy: float, word: str) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            values, moved = record["measurements"], record["arm"] == "l2"
            noise = 0.01 * (record["seed"] - 1) * moved
            values["fisher_trace"] = math.exp(1 + trace * moved + noise)
            values["accuracy.en"] = 0.7 + accuracy * moved + noise
        return records

    _, text = report(study(tmp_path, {"baseline": 1, "l2": 1}, edit=edit))
    (line,) = [line for line in text.split("Arms against the baseline")[1].splitlines() if line.startswith("| l2 |")]
    assert line.rstrip(" |").endswith(word)


def test_one_seed_has_differences_without_intervals_and_no_baseline_has_none(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"baseline": 1, "l2": 2}, seeds=1))
    assert found.numbers["intervention.l2.trace"].low is None
    assert "undecided" in text
    _, text = report(study(tmp_path / "none", {"l2": 2}))
    assert "Arms against the baseline: there is no fitted baseline beside another arm." in text


def test_negative_weights_are_doses_like_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weight, original = synthetic.WEIGHT["fpen"], synthetic.with_values
    share = {"stages.0.penalties.fisher.share": 0.5}
    monkeypatch.setitem(synthetic.WEIGHTS, "fpen", (-1.0, -0.1, -0.01))
    monkeypatch.setattr(synthetic, "with_values", lambda base, v: original(base, v | share if weight in v else v))
    found, text = report(study(tmp_path, {"baseline": 1, "fpen": 3}))
    assert found.numbers["trend.fpen.trace"].n == 3
    assert text.index("| fpen | -1 |") < text.index("| fpen | -0.1 |") < text.index("| fpen | -0.01 |")


def test_equation_one_takes_the_smallest_noise(tmp_path: Path) -> None:
    found, _ = report(study(tmp_path, {"kl": 3}, seeds=2))
    assert found.numbers["H5"].value == pytest.approx(1.003, abs=0.02)
    assert found.numbers["kl_ratio.2"].value == pytest.approx(1.3, abs=0.02)
    assert found.numbers["H5"].n == 3
    single, _ = report(study(tmp_path / "single", {"kl": 1}, seeds=1))
    assert single.numbers["H5"].low is not None


def _expanded(steps: tuple[int, ...], **measured: float) -> Any:
    """Give every record the KL ratios 1 + sigma * (step + 1) at these steps of 500, and these measurements."""

    def edit(records: Records) -> Records:
        for record in _set(**measured)(records):
            record["curves"] = [point for point in record["curves"] if point["name"] != "kl_ratio"] + [
                {"stage": 0, "language": "en", "step": step, "epoch": step / 100, "name": "kl_ratio", "x": sigma,
                 "value": 1 + sigma * (step + 1), "standard_error": 0.001}
                for step in steps for sigma in (1e-4, 1e-3)
            ]  # fmt: skip
        return records

    return edit


def test_equation_one_before_during_and_at_the_end(tmp_path: Path) -> None:
    measured = {"expansion.quadratic": 2.2, "expansion.quadratic_se": 0.1, "expansion.trace": 2.0}
    found, text = report(study(tmp_path, {"kl": 3}, seeds=2, edit=_expanded((0, 200, 400, 500), **measured)))
    assert found.results["equation-1"].drawn == ["before training", "step 200", "step 400", "end of training"]
    assert found.numbers["kl_ratio.step-0.1"].value == pytest.approx(1.001)
    assert found.numbers["kl_ratio.step-200.1"].value == pytest.approx(1.201)
    assert found.numbers["H5"] == found.numbers["kl_ratio.0"]
    assert found.numbers["kl_ratio.0"].value == pytest.approx(1.0501)
    assert "| before training | 1.000 [1.000, 1.000] | 1.001 [1.001, 1.001] | 3 |" in text
    assert "| end of training | 1.050 [1.050, 1.050] | 1.501 [1.501, 1.501] | 3 |" in text
    # Two seeds of a configuration halve its variance; configurations share directions, so they add nothing.
    half = 1.96 * 0.05 / math.sqrt(2)
    number = found.numbers["hutchinson"]
    assert (number.value, number.low, number.high) == pytest.approx((1.1, 1.1 - half, 1.1 + half), abs=1e-4)
    assert "the mean of eps^T F eps is 1.100 [1.031, 1.169] times the exact Tr(F)" in text


def test_equation_one_without_a_defined_ratio_at_the_end(tmp_path: Path) -> None:
    measured = {"expansion.quadratic": 0.0, "expansion.trace": 0.0}
    found, text = report(study(tmp_path, {"kl": 2}, seeds=1, edit=_expanded((0, 200), **measured)))
    assert "H5" not in found.numbers
    assert "hutchinson" not in found.numbers
    assert "no model has a defined ratio at the end of training" in text
    assert {v.hypothesis: v.word for v in found.verdicts}["H5"] == "not measured"


def test_equation_one_draws_six_moments_of_many_and_tells_one_direction(tmp_path: Path) -> None:
    measured = {"expansion.quadratic": 2.2, "expansion.trace": 2.0}
    found, text = report(study(tmp_path, {"kl": 1}, seeds=1, edit=_expanded(tuple(range(0, 501, 50)), **measured)))
    assert len(found.results["equation-1"].moments) == 11
    assert found.results["equation-1"].drawn[::5] == ["before training", "end of training"]
    assert len(found.results["equation-1"].drawn) == 6
    assert "6 of 11 moments are drawn" in text
    assert found.numbers["hutchinson"].reason == "one direction has no standard error"


@pytest.mark.parametrize(("sign", "accuracy", "gap"), [(-1, "falls", "rises"), (1, "rises", "falls")])
def test_the_early_peak_beside_the_final_trace(tmp_path: Path, sign: int, accuracy: str, gap: str) -> None:
    def plant(records: Records) -> Records:
        for place, record in enumerate(records):
            early = math.sin(1.7 * (place // 2))  # the same for both seeds of a configuration
            record["measurements"] |= {
                "fisher_trace_peak": math.exp(early),
                "accuracy.en": 0.7 + sign * early / 100,
                "generalization_gap": 0.1 - sign * early / 50,
            }
        return records

    found, text = report(study(tmp_path, {"kl": 6, "fpen": 6}, seeds=2, edit=plant))
    assert found.numbers["curves.peak.accuracy"].value == pytest.approx(sign)
    assert found.numbers["curves.peak.gap"].value == pytest.approx(-sign)
    assert abs(found.numbers["curves.final.accuracy"].value) < 0.9
    assert {found.numbers[f"curves.{name}"].n for name in ("peak.accuracy", "final.accuracy", "peak.gap")} == {12}
    assert f"English accuracy {accuracy} and the generalization gap {gap} as the early peak grows" in text
    assert "| English accuracy with the final ln Tr(F) |" in text


def test_an_early_peak_that_says_nothing_or_was_not_measured(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"kl": 2}, seeds=1, edit=_set(fisher_trace_peak=2.0, generalization_gap=None)))
    assert "English accuracy is not shown to change as the early peak grows" in text
    assert "curves.peak.gap" not in found.numbers
    found, text = report(study(tmp_path / "none", {"kl": 2}, seeds=1))
    assert not [key for key in found.numbers if key.startswith("curves.")]
    assert "Jastrzebski" not in text


def test_every_rival_is_compared_with_the_trace(tmp_path: Path) -> None:
    def plant(records: Records) -> Records:
        for place, record in enumerate(records):
            accuracy = record["measurements"]["accuracy.en"] + 1e-4 * math.sin(place)
            record["measurements"] |= {
                "measure.margin": 100 * accuracy, "measure.sharpness": math.exp(-accuracy),
                "measure.empirical_fisher": math.exp(-2 * accuracy),
            }  # fmt: skip
        return records

    found, text = report(study(tmp_path, {"kl": 6, "fpen": 6}, seeds=2, r=0.4, edit=plant))
    for name in ("margin", "sharpness", "empirical_fisher"):
        assert found.numbers[f"predictor.accuracy.{name}"].value == pytest.approx(-1, abs=1e-3)
        assert found.numbers[f"predictor.accuracy.{name}.difference"].value > 0
    assert "As a predictor of English accuracy, margin, sharpness and empirical_fisher win against Tr(F)" in text
    assert set(config.RIVALS) >= {*NOT_IN_LOGARITHMS, *LARGER_IS_BETTER}
    assert {key.split(".")[2] for key in found.numbers if key.startswith("predictor.accuracy.")} == {
        "fisher_trace", *RIVALS
    }  # fmt: skip


def test_the_trace_over_merged_weights_is_compared_with_that_over_the_updates(tmp_path: Path) -> None:
    def plant(records: Records) -> Records:
        for place, record in enumerate(records):
            near = record["measurements"]["accuracy.en"] + 1e-4 * math.sin(place)
            record["measurements"]["fisher_trace.merged"] = math.exp(-near)
        return records

    found, text = report(study(tmp_path, {"kl": 6, "fpen": 6}, seeds=2, r=0.4, edit=plant))
    assert found.numbers["predictor.accuracy.merged_trace"].value == pytest.approx(-1, abs=1e-3)
    assert "As a predictor of English accuracy, merged_trace wins against Tr(F)" in text


def test_sign_error_counts_pairs_of_a_family(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"baseline": 1, "kl": 4, "fpen": 5}, seeds=1))
    assert found.numbers["accuracy.sign_error"].n == 6 + 10
    assert "of 16 pairs of configurations that differ in one hyperparameter" in text


def test_every_section_is_a_title_a_computation_and_a_drawing() -> None:
    assert len({section.title for section in SECTIONS.values()}) == len(SECTIONS)


def test_undefined_numbers_say_why_in_the_text(tmp_path: Path) -> None:
    found, text = report(study(tmp_path, {"baseline": 1, "kl": 1}, seeds=2))
    assert "ln Tr(F) is not defined (no family has two configurations or more), no p" in text
    assert isinstance(found.results["predictors"], Missing)


def test_seeds_that_do_not_differ_decide_nothing(tmp_path: Path) -> None:
    accuracies = {"kl=0.05": 0.7, "fpen=0.001": 0.704}

    def edit(records: Records) -> Records:
        kept = [record for record in records if record["label"] in accuracies]
        for record in kept:
            record["measurements"]["accuracy.en"] = accuracies[record["label"]]
        return kept

    found, _ = report(study(tmp_path, {"kl": 2, "fpen": 1}, edit=edit))
    assert found.numbers["H3"].value is None
    assert found.numbers["H3"].reason is not None
    assert "do not differ" in found.numbers["H3"].reason
