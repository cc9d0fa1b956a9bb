"""The paragraphs to paste into a paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.configurations import tables
from analysis.numbers import Number, Numbers
from analysis.sections.compute_total import SECTION
from study.store.results import load
from tests.analysis.synthetic import write_study


def test_the_compute_total_is_the_sum_of_the_trials_seconds(tmp_path: Path) -> None:
    study = tables(load(str(write_study(tmp_path / "demo", {"baseline": 1, "kl": 3}, seeds=2))))
    study = replace(study, trials=study.trials.drop(columns="stage2.es.gain"))  # not every language has a second stage
    seconds = study.trials["seconds"]
    found = SECTION.compute(study)
    assert found.numbers["compute.hours"].value == pytest.approx(sum(seconds) / 3600)
    assert found.numbers["compute.mean"].value == pytest.approx(sum(seconds) / len(seconds) / 60)
    assert found.numbers["compute.trials"].value == len(seconds) == 8
    numbers = Numbers({**found.numbers, "account.fit": Number(0.95, "share")})
    methods, cost = (numbers.text(block.text) for block in SECTION.draw(found, numbers))
    assert "We fine-tuned mini on " in methods
    assert "4 configurations of 2 families (baseline, kl), seeds a configuration: 2." in methods
    assert "A second stage continued with 200 rows of one language at a time (de, zh)." in methods
    assert cost.startswith("Compute: 8 trials took ")


def test_without_a_timed_trial_there_is_no_compute_total(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "demo", {"baseline": 1}, seeds=1, edit=lambda records: [])
    assert SECTION.compute(tables(load(str(folder)))).reason == "no trial has ended with its time."


def test_configurations_that_did_not_run_are_not_said_to_have_been_trained(tmp_path: Path) -> None:
    families = {"baseline": 1, "kl": 4, "fpen": 3}
    folder = write_study(tmp_path / "demo", families, seeds=1, edit=lambda records: records[:3])
    found = SECTION.compute(tables(load(str(folder))))
    counted = {name: found.numbers[f"compute.{name}"].value for name in ("configurations", "families", "seeds")}
    assert counted == {"configurations": 3, "families": 2, "seeds": 1}
    assert "families (baseline, kl), " in SECTION.draw(found, Numbers(found.numbers))[0].text
