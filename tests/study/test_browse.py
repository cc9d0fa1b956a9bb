from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from rich.console import Console, RenderableType

from study import browse
from study.loading import load_study
from study.config import StudyConfig
from study.records import TrialError, TrialRecord, write_trial
from study.results import load
from study.storage import open_store
from trainables.config import paths
from trainables.errors import InputError
from trainables.measurements import DEFINITIONS

if TYPE_CHECKING:
    from tests.study.conftest import MakeStudy

Make = Callable[..., TrialRecord]


def text(*shown: RenderableType) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(*shown)
    return capture.get()


def test_studies_with_their_account(make_study: MakeStudy, make_record: Make) -> None:
    folder, trials = make_study(records=2)
    write_trial(folder, make_record(trials[2], state="failed", measurements={}))
    storage = open_store(folder.path.rsplit("/", 1)[0])
    storage.child("broken").write("study.json", b"{")
    shown = text(browse.studies_table(storage))
    broken, small = [line.split() for line in shown.splitlines()[1:]]
    assert broken == ["broken", "study.json", "is", "damaged"]
    assert small[:6] == ["small", "6", "2", "0", "1", "3"]
    assert small[6].isdigit()  # its age
    assert small[7:] == ["s", "0.700"]


def test_an_empty_storage_says_how_to_begin(make_study: MakeStudy) -> None:
    folder, _ = make_study()
    assert "holds no study yet; start one with 'fisher-study run'" in text(browse.studies_table(folder))


def test_trials_with_the_papers_figures(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=1)
    lines = text(browse.trials_table(load(folder.path))).splitlines()
    assert len(lines) == 2 + 6
    assert lines[2].split() == [
        trials[0].trial_id, "baseline", "0", "complete", "1.000", "0.700", "0.500", "0.3", "±", "0.01", "+0.100", "2",
    ]  # fmt: skip
    assert lines[3].split() == [trials[1].trial_id, "baseline", "1", "unfinished"]


def test_a_trial_is_found_by_id_beginning_or_label(make_study: MakeStudy, small_study: StudyConfig) -> None:
    folder, trials = make_study(study=small_study.model_copy(update={"seeds": 1}))
    results = load(folder.path)
    assert browse.find_trial(results, trials[1].trial_id) == trials[1].trial_id
    assert browse.find_trial(results, trials[1].trial_id[:8]) == trials[1].trial_id
    assert browse.find_trial(results, "kl=0.5") == trials[2].trial_id
    with pytest.raises(InputError, match="study small has no trial 'kl=9'; name one by its id"):
        browse.find_trial(results, "kl=9")


def test_a_label_of_several_seeds_is_asked_back(make_study: MakeStudy) -> None:
    folder, trials = make_study()
    with pytest.raises(InputError, match=rf"'kl=0' may be any of {trials[2].trial_id} \(seed 0\), .* \(seed 1\)"):
        browse.find_trial(load(folder.path), "kl=0")


def test_a_trial_shows_what_it_changes_and_what_it_found(make_study: MakeStudy, make_record: Make) -> None:
    folder, trials = make_study(records=4)
    shown = text(*browse.trial_tables(load(folder.path), trials[3].trial_id, make_record(trials[3])))
    changes = shown.split("measurement")[0]
    assert "stages.0.consistency.weight" in changes
    assert "stages.0.epochs" not in changes
    assert "validation accuracy after stage 0 (fraction)" in shown
    assert "version.torch" in shown


def test_a_failed_trial_shows_its_error(make_study: MakeStudy, make_record: Make) -> None:
    folder, trials = make_study()
    error = TrialError(type="ValueError", message="no", log_tail="Traceback\n  [1] in line 3")
    record = make_record(trials[0], state="failed", reason="ValueError: no", error=error)
    write_trial(folder, record)
    shown = text(*browse.trial_tables(load(folder.path), trials[0].trial_id, record))
    assert "ValueError: no" in shown
    assert "[1] in line 3" in shown


def test_an_unfinished_trial_shows_its_configuration(make_study: MakeStudy) -> None:
    folder, trials = make_study()
    assert "unfinished" in text(*browse.trial_tables(load(folder.path), trials[0].trial_id, None))


def test_every_measurement_has_its_definition() -> None:
    for name, meaning in DEFINITIONS.items():
        assert browse.definition(name.replace("LANG", "zh").replace("NAME", "layer.1")) == meaning
    assert browse.definition("nothing") == ""


def test_json_is_exact_and_null_is_null(make_study: MakeStudy) -> None:
    folder, _ = make_study(records=1)
    results = load(folder.path)
    rows = json.loads(browse.trials_json(results))
    assert [list(row) for row in rows] == [list(results.trials.columns)] * 6
    assert rows[0]["fisher_trace"] == 0.1 + 0.2
    assert rows[1]["fisher_trace"] is None
    assert not any(isinstance(value, float) and math.isnan(value) for row in rows for value in row.values())


def test_a_plan_shows_arms_and_every_path() -> None:
    shown = text(*browse.plan_tables(load_study("quick")))
    assert "quick: 24 trials" in shown
    assert "kl=0 kl=0.05 kl=0.16 kl=0.5 kl=1.6 kl=5" in shown
    for path, meaning in paths().items():
        assert path in shown
        assert meaning.split()[0] in shown


def test_text_that_looks_like_markup_is_shown_as_it_is(make_study: MakeStudy, make_record: Make) -> None:
    folder, trials = make_study()
    failed = make_record(trials[0], state="failed", reason="bad [/path] in dict[str, Any]", measurements={})
    write_trial(folder, failed)
    results = load(folder.path)
    shown = [text(table) for table in browse.trial_tables(results, trials[0].trial_id, failed)]
    assert "bad [/path] in dict[str, Any]" in shown[0]
