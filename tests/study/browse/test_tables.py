from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType

from study.browse import tables as browse
from study.config import Arm, StudyConfig
from study.plan.loading import load_study
from study.search_space import LogUniform
from study.store.record_files import write_trial
from study.store.records import TrialRecord
from study.store.results import load
from study.store.storage import open_store
from trainables.config.dotted_paths import paths

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
    assert broken == ["broken", "'show", "broken'", "says", "why", "not"]
    assert small[:6] == ["small", "6", "2", "0", "1", "3"]
    assert small[6].isdigit()  # its age
    assert small[7:] == ["s", "0.700"]


def test_a_damaged_record_is_counted(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=2)
    folder.child("trials").write(f"{trials[0].trial_id}.json", b"{")
    head, row = text(browse.studies_table(open_store(folder.path.rsplit("/", 1)[0]))).splitlines()
    assert head.split()[:7] == ["study", "planned", "complete", "diverged", "failed", "unfinished", "unreadable"]
    assert row.split()[:7] == ["small", "6", "1", "0", "0", "4", "1"]


def test_an_empty_storage_says_how_to_begin(make_study: MakeStudy) -> None:
    folder, _ = make_study()
    assert "holds no study yet; start one with: fisher-study run quick --storage " in text(browse.studies_table(folder))


def test_trials_with_the_papers_figures(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=1)
    lines = browse.trials_table(load(folder.path).trials).splitlines()
    assert len(lines) == 1 + 6
    assert lines[1].split() == [
        trials[0].trial_id, "baseline", "0", "complete", "1.000", "0.700", "0.500", "0.3", "±", "0.01", "+0.100", "2",
    ]  # fmt: skip
    assert lines[2].split() == [trials[1].trial_id, "baseline", "1", "unfinished"]


def test_reasons_stand_in_a_column_where_there_are_any(make_study: MakeStudy, make_record: Make) -> None:
    folder, trials = make_study(records=1)
    reasons = {trials[1]: "ValueError: first\nsecond", trials[2]: "x" * 101}
    for trial, reason in reasons.items():
        write_trial(folder, make_record(trial, state="failed", measurements={}, reason=reason))
    lines = browse.trials_table(load(folder.path).trials).splitlines()
    assert lines[0].endswith("seconds  reason")
    assert lines[1].endswith("2")  # complete: none
    assert lines[2].endswith("  ValueError: first second")
    assert lines[3].endswith(f"  {'x' * 97}...")


def test_a_plan_without_records_has_empty_columns(make_study: MakeStudy) -> None:
    folder, trials = make_study()
    lines = browse.trials_table(load(folder.path).trials).splitlines()
    assert lines[0].split() == [
        "trial", "label", "seed", "state", "train", "accuracy", "en", "other", "languages", "Tr(F)", "gain", "seconds",
    ]  # fmt: skip
    assert lines[1].split() == [trials[0].trial_id, "baseline", "0", "unfinished"]


def test_chosen_columns(make_study: MakeStudy, make_record: Make) -> None:
    folder, trials = make_study(records=1)
    write_trial(folder, make_record(trials[1], state="failed", reason="one\ntwo  [x]", measurements={}))
    shown = browse.columns_table(load(folder.path).trials[["fisher_trace", "reason", "config.stages.0.clip"]])
    assert shown.splitlines()[:3] == [
        "fisher_trace  reason       config.stages.0.clip",
        "         0.3                                  1",
        "              one two [x]                     1",
    ]


def test_json_is_exact_and_null_is_null(make_study: MakeStudy) -> None:
    folder, _ = make_study(records=1)
    results = load(folder.path)
    shown = browse.trials_json(results.trials)
    assert len(shown.splitlines()) == 2 + 6
    rows = json.loads(shown)
    assert [list(row) for row in rows] == [list(results.trials.columns)] * 6
    assert rows[0]["fisher_trace"] == 0.1 + 0.2
    assert rows[1]["fisher_trace"] is None
    assert not any(isinstance(value, float) and math.isnan(value) for row in rows for value in row.values())


def test_a_plan_shows_the_space_of_slots_and_not_each_slot(small_study: StudyConfig) -> None:
    arm = Arm(name="search", search={"stages.0.penalties.l2.weight": LogUniform(low=1e-6, high=1.0)}, slots=4)
    shown = text(browse.arms_table(small_study.model_copy(update={"arms": (arm,)})))
    assert "4 slots, drawn by Optuna from stages.0.penalties.l2.weight: 1e-06 to 1 (log scale)" in shown
    assert "search#001" not in shown


def test_a_plan_shows_arms_and_every_path() -> None:
    study = load_study("quick")
    shown = text(browse.arms_table(study), browse.base_table(study))
    assert "quick: 29 trials" in shown
    assert "kl=0 kl=0.02 kl=0.039 kl=0.077 kl=0.15 kl=0.3" in shown
    for path, meaning in paths().items():
        assert path in shown
        assert meaning.split()[0] in shown


def test_square_brackets_in_a_plan_are_no_markup(small_study: StudyConfig) -> None:
    model = small_study.base.model.model_copy(update={"name": "models/[/x]"})
    study = small_study.model_copy(update={"base": small_study.base.model_copy(update={"model": model})})
    assert '"models/[/x]"' in text(browse.base_table(study))
