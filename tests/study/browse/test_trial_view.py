"""One trial in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from rich.console import Console, RenderableType

from study.browse.trial_view import find_trial, trial_tables
from study.config import StudyConfig
from study.store.record_files import write_trial
from study.store.records import TrialError, TrialRecord
from study.store.results import load
from trainables.errors import InputError

if TYPE_CHECKING:
    from tests.study.conftest import MakeStudy

Make = Callable[..., TrialRecord]


def text(*shown: RenderableType) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(*shown)
    return capture.get()


def test_a_trial_is_found_by_id_beginning_or_label(make_study: MakeStudy, small_study: StudyConfig) -> None:
    folder, trials = make_study(study=small_study.model_copy(update={"seeds": 1}))
    results = load(folder.path)
    assert find_trial(results, trials[1].trial_id) == trials[1].trial_id
    assert find_trial(results, trials[1].trial_id[:8]) == trials[1].trial_id
    assert find_trial(results, "kl=0.5") == trials[2].trial_id
    with pytest.raises(InputError, match="study small has no trial 'kl=9'; name one by its id"):
        find_trial(results, "kl=9")


def test_a_label_goes_before_the_beginning_of_an_id(make_study: MakeStudy, small_study: StudyConfig) -> None:
    folder, trials = make_study(study=small_study.model_copy(update={"seeds": 1}))
    results = load(folder.path)
    results.trials.loc[1, "label"] = trials[0].trial_id[:2]
    assert find_trial(results, trials[0].trial_id[:2]) == trials[1].trial_id


def test_a_label_of_several_seeds_is_asked_back(make_study: MakeStudy) -> None:
    folder, trials = make_study()
    with pytest.raises(InputError, match=rf"'kl=0' may be any of {trials[2].trial_id} \(seed 0\), .* \(seed 1\)"):
        find_trial(load(folder.path), "kl=0")


def test_a_trial_shows_what_it_changes_and_what_it_found(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=4)
    shown = text(*trial_tables(folder, load(folder.path), trials[3].trial_id))
    changes = shown.split("measurement")[0]
    assert "stages.0.consistency.weight" in changes
    assert "stages.0.epochs" not in changes
    assert "validation accuracy after stage 0 (fraction)" in shown
    assert "version.torch" in shown


def test_languages_are_rows(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=1)
    shown = text(*trial_tables(folder, load(folder.path), trials[0].trial_id))
    rows = [line.split() for line in shown.split("language ")[1].splitlines()[:5]]
    assert rows == [["accuracy", "Tr(F)", "gain"], ["en", "0.7", "0.3"], ["de", "0.5", "0.1"], ["es"], ["zh"]]


def test_a_consistency_loss_shows_what_its_preset_fills_in(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=3)
    results = load(folder.path)
    shown = text(*trial_tables(folder, results, trials[4].trial_id))  # unfinished: planned is enough
    assert "stages.0.consistency" in shown
    assert "Wang et al. 2021, equation 2" in shown
    assert "0.5 CE + 0.5 CE' + w KL(p_clean || p_view)" in shown
    assert "view.kind" in shown
    assert "stages.1.consistency" not in shown
    assert "Wang et al." not in text(*trial_tables(folder, results, trials[0].trial_id))


def test_a_failed_trial_shows_its_error(make_study: MakeStudy, make_record: Make) -> None:
    folder, trials = make_study()
    error = TrialError(type="ValueError", message="no", log_tail="Traceback\n  [1] in line 3")
    record = make_record(trials[0], state="failed", reason="ValueError: no", error=error)
    write_trial(folder, record)
    shown = text(*trial_tables(folder, load(folder.path), trials[0].trial_id))
    assert "ValueError: no" in shown
    assert "[1] in line 3" in shown


def test_an_unfinished_trial_shows_its_configuration(make_study: MakeStudy) -> None:
    folder, trials = make_study()
    assert "unfinished" in text(*trial_tables(folder, load(folder.path), trials[0].trial_id))


def test_text_that_looks_like_markup_is_shown_as_it_is(make_study: MakeStudy, make_record: Make) -> None:
    folder, trials = make_study()
    failed = make_record(trials[0], state="failed", reason="bad [/path] in dict[str, Any]", measurements={})
    write_trial(folder, failed)
    results = load(folder.path)
    shown = [text(table) for table in trial_tables(folder, results, trials[0].trial_id)]
    assert "bad [/path] in dict[str, Any]" in shown[0]
