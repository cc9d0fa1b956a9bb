"""A verdict takes fitted models and survives its controls: by planted causes, edited records and naive references."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.configurations import StudyTables, tables
from analysis.numbers import Number, Numbers
from analysis.page import render
from analysis.page.document import Figure
from analysis.report import Findings, compose, compute, numbers_json
from analysis.verdicts.controls import halves_of
from analysis.verdicts.declared import HYPOTHESES
from analysis.verdicts.headlines import headline_numbers
from analysis.verdicts.statements import adjust, sentence, verdicts
from study.cli import app
from study.store.results import load
from tests.analysis.synthetic import write_study
from tests.analysis.traps import TRAPS, restage, words, written

Records = list[dict[str, Any]]
FAMILIES = {"baseline": 1, "kl": 6, "fpen": 6, "l2": 6, "dropout": 6}


def made(folder: Path, edit: Callable[[Records], Records] | None = None, **options: Any) -> StudyTables:
    written = write_study(folder / "demo", options.pop("families", FAMILIES), edit=edit, **{"seeds": 1, **options})
    return tables(load(str(written)))


def said(study: StudyTables, key: str = "H1") -> str:
    numbers = adjust(Numbers(headline_numbers(study, key)))
    return sentence(next(v for v in verdicts(numbers) if v.hypothesis == key), numbers)


def measured(**changes: Callable[[dict[str, float]], float | None]) -> Callable[[Records], Records]:
    """Change measurements of every record, each from what the record holds so far; None takes one out."""

    def edit(records: Records) -> Records:
        for record in records:
            for name, change in changes.items():
                key = name.replace("__", ".")
                value = change(record["measurements"])
                if value is None:
                    record["measurements"].pop(key, None)
                else:
                    record["measurements"][key] = value
        return records

    return edit


def test_a_cause_that_moves_both_is_named_with_both_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def edit(records: Records) -> Records:
        for record in records:
            nll = 0.1 + 0.05 * rng.random()
            values = record["measurements"]
            values["train_nll"] = nll
            values["accuracy.en"] = 0.9 - nll + 0.002 * rng.normal()
            values["fisher_trace"] = math.exp(5 + 20 * nll + 0.1 * rng.normal())
        return records

    text = said(made(tmp_path, edit))
    assert text.startswith(
        "H1 explained: Flatter models were more accurate in English, but not at equal training NLL (partial r -0.9"
    )
    assert "; given it r " in text


def test_a_study_without_a_control_gets_no_verdict(tmp_path: Path) -> None:
    text = said(made(tmp_path, measured(train_nll=lambda v: None), r=-0.95))
    assert text.startswith(
        "H1 undecided: Whether flatter models are more accurate in English stays open: the control training NLL was "
        "not measured in every fitted model (partial r -0.9"
    )


def test_a_control_that_does_not_vary_is_said_and_explains_nothing(tmp_path: Path) -> None:
    text = said(made(tmp_path, measured(train_nll=lambda v: 0.1), r=-0.95))
    assert text.startswith("H1 supported: Flatter models were more accurate in English, also at equal label variance (")
    assert text.endswith(
        "Training NLL is the same within families, so it explains nothing. Training accuracy is the same within "
        "families, so it explains nothing."
    )


def test_records_without_training_accuracy_get_no_verdict(tmp_path: Path) -> None:
    study = made(tmp_path, measured(train_accuracy=lambda v: None), r=-0.95)
    assert said(study).startswith(
        "H1 undecided: Whether flatter models are more accurate in English stays open: training accuracy was not "
        "measured, so no model is known to have fitted (0 configurations counted)."
    )
    found = compute(study)
    assert found.numbers["H1.with_all"].value is not None
    assert found.results["account"].fit == (
        "No model has a training accuracy, so none is known to have fitted its training data."
    )


def test_a_study_in_which_nothing_fitted_but_the_baseline(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            record["measurements"]["train_accuracy"] = 0.97 if record["arm"] == "baseline" else 0.9
        return records

    assert "no family has two fitted configurations or more" in said(made(tmp_path, edit))


def test_without_a_baseline_the_median_over_configurations_is_the_reference(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for place, record in enumerate(records):  # six configurations of one seed: .7, .74, ... .9
            record["measurements"]["train_accuracy"] = 0.7 + 0.04 * place
        return records

    study = made(tmp_path, edit, families={"kl": 6})
    assert study.reference.value == pytest.approx((0.78 + 0.82) / 2)
    assert study.models["fitted"].tolist() == [False, False, True, True, True, True]
    assert "the median over configurations" in compute(study).results["account"].fit


def test_a_seed_of_the_baseline_that_collapsed_lets_nobody_in(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            if record["arm"] == "baseline" and record["seed"] == 2:
                record["measurements"]["train_accuracy"] = 0.36
            elif record["arm"] == "kl":
                record["measurements"]["train_accuracy"] = 0.76
        return records

    folder = write_study(tmp_path / "demo", {"baseline": 1, "kl": 4, "fpen": 4}, seeds=3, edit=edit)
    study = tables(load(str(folder)))
    assert (study.reference.value, study.reference.n) == (pytest.approx(0.97), 2)
    assert set(study.models.loc[study.models["fitted"], "family"]) == {"baseline", "fpen"}
    assert "the baseline's, mean over its seeds that did not collapse" in compute(study).results["account"].fit


def test_where_no_trial_reached_its_training_loss_the_report_says_that(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        return [record | {"state": "not_reached", "reason": "above"} for record in records]

    folder = write_study(tmp_path / "demo", FAMILIES, seeds=1, edit=edit)
    study = tables(load(str(folder)))
    found = compute(study)
    json.loads(numbers_json(study, found, []))
    assert found.results["account"].fit == (
        "No trial reached the training loss that it was to reach, so none counts as fitted."
    )
    assert "stays open: no trial reached the training loss that it was to reach" in said(study)


def test_an_outcome_that_no_two_models_have_is_not_called_a_lack_of_models(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records[::2]:
            values = record["measurements"]
            for name in [name for name in values if name.startswith("stage2.de.")]:
                values[name.replace(".de.", ".deu_Latn.")] = values.pop(name)
        return records

    folder = write_study(tmp_path / "demo", FAMILIES, seeds=1, edit=edit)
    sentences = compute(tables(load(str(folder)))).sentences()
    assert any("in no family do two fitted configurations have this outcome, in every language" in s for s in sentences)


def test_seeds_whose_files_lay_elsewhere_are_seeds_of_one_configuration(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            record["config"]["data"]["source"] = f"/machine{record['seed']}/xnli"
        return records

    counted = []
    for name, change in (("moved", edit), ("plain", None)):
        folder = write_study(tmp_path / name, {"baseline": 1, "kl": 4}, seeds=3, edit=change)
        counted.append(tables(load(str(folder))).models["configuration"].nunique())
    assert counted == [5, 5]


def test_the_share_that_a_study_declares_counts_and_an_old_folder_has_ninety_five_per_cent(tmp_path: Path) -> None:
    def edit(records: Records) -> Records:
        for record in records:
            record["measurements"]["train_accuracy"] = 0.97 if record["arm"] == "baseline" else 0.9 * 0.97
        return records

    folder = write_study(tmp_path / "demo", FAMILIES, seeds=1, edit=edit)
    assert said(tables(load(str(folder)))).startswith("H1 undecided")
    written = json.loads((folder / "study.json").read_text())
    written["config"]["answer"] = {"fit": 0.9}
    (folder / "study.json").write_text(json.dumps(written))
    study = tables(load(str(folder)))
    assert study.models["fitted"].all()
    assert "at least 90 % of the reference's" in Numbers(compute(study).results["account"].numbers).text(
        compute(study).results["account"].fit
    )


def test_a_trial_that_did_not_reach_its_training_loss_is_drawn_counted_and_never_fitted(tmp_path: Path) -> None:
    results = load(str(write_study(tmp_path / "demo", FAMILIES, seeds=1)))
    place = results.trials.index[results.trials["label"] == "kl=0.5"][0]
    results.trials.loc[place, "state"] = "not_reached"
    results.account.update(complete=24, not_reached=1)
    study = tables(results)
    found = compute(study)
    assert (found.numbers["H1"].n, found.numbers["H1.with_all"].n) == (23, 24)
    assert [row["label"] for row in study.figure_rows.records() if row["unfit"]] == ["kl=0.5"]
    assert found.numbers["account.not_reached"].value == 1
    assert "not_reached" in found.results["account"].states


def halved(records: Records) -> Records:
    return restage(records, TRAPS["real effect"], 3, halves=True)


def test_halves_of_the_rows_are_used_when_they_add_up_and_left_when_not(tmp_path: Path) -> None:
    study = made(tmp_path, halved)
    assert halves_of(study) is not None
    assert {name for name in headline_numbers(study, "H4") if "accuracy_before" in name} == {
        "H4.given.accuracy_before",
        "H4.given.accuracy_before.same_rows",
        "H4.given.accuracy_before.corrected",
    }
    assert said(study, "H4").startswith(
        "H4 supported: Flatter models gained more from the second stage, also at equal accuracy before it and training "
        "fit ("
    )
    changed = made(tmp_path / "changed", lambda records: measured(
        stage2__de__gain=lambda v: v["stage2.de.gain"] + 0.02)(halved(records)))  # fmt: skip
    assert halves_of(changed) is None
    assert "H4.given.accuracy_before.same_rows" not in headline_numbers(changed, "H4")


def restaged(folder: Path, trap: str, seed: int, halves: bool = False) -> Path:
    """A study folder whose outcomes are those of a trap."""
    study = folder / "demo"
    if not study.exists():
        write_study(study, FAMILIES, seeds=1)
    records = [json.loads(path.read_text()) for path in sorted((study / "trials").glob("*.json"))]
    return written(study, folder / "edited", restage(records, TRAPS[trap], seed, halves))


@pytest.mark.parametrize(
    ("trap", "key", "halves"), [("under-fit, exact", "H1", False), ("start", "H4", True), ("both", "H4", False)]
)
def test_traps_are_no_verdicts(tmp_path: Path, trap: str, key: str, halves: bool) -> None:
    found = Counter(words(restaged(tmp_path, trap, seed, halves))[key] for seed in range(8))
    assert found["supported"] + found["contradicted"] <= 1, found


def test_real_effects_at_equal_fit_are_found(tmp_path: Path) -> None:
    found = [words(restaged(tmp_path, "real effect", seed)) for seed in range(5)]
    assert Counter(word for one in found for word in (one["H1"], one["H4"]))["supported"] >= 9


def test_the_command_says_the_words_of_the_traps(tmp_path: Path) -> None:
    folder = restaged(tmp_path, "both", 0)
    assert CliRunner().invoke(app, ["report", str(folder)]).exit_code == 0
    said = json.loads((folder / "report" / "numbers.json").read_text())["hypotheses"]
    assert {key: verdict["word"] for key, verdict in said.items()} == words(folder)


def number(value: float | None, p: float | None, **more: Any) -> Number:
    return Number(value, "correlation", **{"n": 24, "families": 4, "low": -0.9, "high": 0.1, "p": p, **more})


@pytest.mark.parametrize(
    ("control", "word"),
    [
        (number(-0.5, 0.04, status="tested"), "supported"),
        (number(-0.4, 0.06, status="tested"), "explained"),
        (number(0.6, 0.001, status="tested"), "explained"),  # the sign is turned
        (number(None, None, status="missing", reason="-"), "undecided"),
        (number(None, None, status="exhausted", reason="-"), "undecided"),
        (number(None, None, status="constant", reason="-"), "supported"),
    ],
)
def test_rules_of_a_control(control: Number, word: str) -> None:
    numbers = adjust(Numbers({"H1": number(-0.6, 0.001), "H1.given.train_nll": control}))
    assert verdicts(numbers)[0].word == word


def test_an_explanation_outweighs_a_control_that_was_not_measured() -> None:
    controls = {
        "H1.given.train_nll": number(0.01, 0.9, status="tested"),
        "H1.given.label_variance": number(None, None, status="missing", reason="-"),
    }
    numbers = adjust(Numbers({"H1": number(0.9, 0.001)} | controls))
    assert sentence(verdicts(numbers)[0], numbers) == (
        "H1 explained: Flatter models were less accurate in English, but not at equal training NLL (partial r 0.90 "
        "[-0.90, 0.10], p = 0.001 after Holm, 24 configurations in 4 families; given it r 0.01 [-0.90, 0.10], "
        "p = 0.90)."
    )


def test_the_p_of_a_control_is_adjusted_as_the_headlines_would_be_in_its_place() -> None:
    controls = {"H1.given.train_nll": number(-0.5, 0.03, status="tested")}
    numbers = adjust(Numbers({"H1": number(-0.6, 0.001), "H4": number(-0.6, 0.01)} | controls))
    assert numbers["H1"].p_adjusted == pytest.approx(0.002)
    assert numbers["H1.given.train_nll"].p_adjusted == pytest.approx(0.03)
    assert numbers["H4"].p_adjusted == pytest.approx(0.01)


def test_the_report_prints_the_declared_set(tmp_path: Path) -> None:
    study = made(tmp_path, families={"kl": 3})
    found: Findings = compute(study)
    document = compose(study, found)
    figures = [block for _, _, blocks in document.sections for block in blocks if isinstance(block, Figure)]
    text = render.markdown(document, {figure.name: "" for figure in figures})
    for key, hypothesis in HYPOTHESES.items():
        names = "; ".join(control.name for control in hypothesis.controls) or "none"
        assert f"| {key} | {hypothesis.text} | {hypothesis.population} | {names} |" in text
