from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from study.config import Arm, StudyConfig
from study.search_space import LogUniform, Uniform
from study.store.account import account_line, trial_states
from study.store.lock import DriverLock
from study.store.record_files import read_study, read_trials, write_trial
from study.store.records import TrialRecord
from study.store.results import load
from study.store.working_files import read_draws, write_draw
from trainables.config import TrialConfig
from trainables.config.dotted_paths import flatten, paths, with_values
from trainables.errors import InputError

if TYPE_CHECKING:
    from tests.study.conftest import MakeStudy

Make = Callable[..., TrialRecord]
HIDDEN, ATTENTION, L2 = "model.dropout.hidden", "model.dropout.attention", "stages.0.penalties.l2.weight"


def test_every_planned_trial_is_a_row_in_plan_order(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=2)
    results = load(folder.path)
    assert list(results.trials.trial_id) == [trial.trial_id for trial in trials]
    assert list(results.trials.state) == ["complete", "complete", *["unfinished"] * 4]
    assert list(results.trials.label[:3]) == ["baseline", "baseline", "kl=0"]
    assert not results.running


def test_columns_are_identity_configuration_measurements_provenance(make_study: MakeStudy) -> None:
    folder, _ = make_study(records=1)
    columns = list(load(folder.path).trials.columns)
    assert columns[:7] == ["study", "trial_id", "arm", "label", "seed", "state", "reason"]
    assert columns[7 : 7 + len(paths())] == [f"config.{path}" for path in paths()]
    assert columns[7 + len(paths()) :] == [
        "train_accuracy",
        "accuracy.en",
        "accuracy.de",
        "fisher_trace",
        "fisher_trace_se",
        "stage2.de.gain",
        "run",
        "seconds",
        "steps",
        "peak_memory_mib",
        "device",
        "host",
        "version.torch",
    ]


def test_values_are_exact_and_absent_is_absent(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=1)
    row, other = load(folder.path).trials.iloc[0], load(folder.path).trials.iloc[1]
    assert row["fisher_trace"] == 0.1 + 0.2
    assert pd.isna(other["fisher_trace"])
    assert pd.isna(other["reason"])
    for path, value in flatten(trials[0].config).items():
        expected = ",".join(value) if isinstance(value, list) else value
        assert row[f"config.{path}"] == expected or (expected is None and pd.isna(row[f"config.{path}"]))


def test_curves_are_rows(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=2)
    curves = load(folder.path).curves
    assert list(curves.columns) == [
        "trial_id", "stage", "language", "step", "epoch", "name", "x", "value", "standard_error",
    ]  # fmt: skip
    assert list(curves.trial_id) == [trials[0].trial_id, trials[1].trial_id]
    assert curves.value[0] == 0.1 + 0.2


def test_a_study_without_records_has_empty_tables(make_study: MakeStudy) -> None:
    folder, _ = make_study()
    results = load(folder.path)
    assert results.curves.empty
    assert results.account == {
        "planned": 6, "complete": 0, "not_reached": 0, "diverged": 0, "failed": 0, "unfinished": 6, "unreadable": 0,
    }  # fmt: skip


def test_the_account_sums_to_the_plan(make_study: MakeStudy, make_record: Make) -> None:
    folder, trials = make_study(records=1)
    write_trial(folder, make_record(trials[1], state="failed", reason="ValueError: x"))
    write_trial(folder, make_record(trials[2], state="diverged", reason="loss is nan"))
    write_trial(folder, make_record(trials[3], trial_id="f00d"))
    folder.child("trials").write(f"{trials[4].trial_id}.json", b"{")
    results = load(folder.path)
    assert results.account == {
        "planned": 6, "complete": 1, "not_reached": 0, "diverged": 1, "failed": 1, "unfinished": 2, "unreadable": 1,
    }  # fmt: skip
    assert account_line(results.account) == (
        "6 trials planned: 1 complete, 1 diverged, 1 failed, 2 unfinished, 1 unreadable"
    )
    damaged, extra = results.unreadable
    assert damaged[0] == f"{trials[4].trial_id}.json"
    assert extra == ("f00d.json", "not in the plan")
    assert results.trials.reason[1] == "ValueError: x"
    assert results.trials.reason[4].startswith("its record cannot be read: ")
    states = trial_states(read_study(folder), *read_trials(folder))
    assert list(states.values()) == list(results.trials.state)


def test_it_reads_a_copy_and_a_uri(make_study: MakeStudy, tmp_path: Path) -> None:
    folder, _ = make_study(records=2)
    shutil.copytree(folder.path, tmp_path / "elsewhere")
    pd.testing.assert_frame_equal(load(folder.path).trials, load(f"file://{tmp_path}/elsewhere").trials)


def test_running_is_a_live_lock(make_study: MakeStudy) -> None:
    folder, _ = make_study()
    lock = DriverLock(folder, lambda: None)
    lock.acquire()
    assert load(folder.path).running
    lock.release()
    assert not load(folder.path).running


def test_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no study"):
        load(str(tmp_path))


def test_a_record_with_an_unknown_setting_is_named_and_the_rest_goes_on(
    make_study: MakeStudy, make_record: Make
) -> None:
    folder, trials = make_study(records=2)
    record = make_record(trials[1])
    write_trial(folder, record.model_copy(update={"config": {**record.config, "bogus": 1}}))
    results = load(folder.path)
    assert list(results.trials.state[:2]) == ["complete", "unreadable"]
    assert "bogus" in results.unreadable[0][1]


def test_a_file_is_no_study(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("text")
    with pytest.raises(InputError, match="is no study"):
        load(str(tmp_path / "README.md"))


JOINT = StudyConfig(
    name="joint",
    arms=(
        Arm(name="baseline"),
        Arm(
            name="search", slots=3,
            search={HIDDEN: Uniform(low=0.0, high=0.5, also=(ATTENTION,)), L2: LogUniform(low=1e-4, high=1.0)},
        ),
    ),
)  # fmt: skip


def test_a_slot_shows_what_was_drawn(make_study: MakeStudy, make_record: Make) -> None:
    folder, trials = make_study(study=JOINT)
    assert [row.slot for row in read_study(folder).plan] == [None, 1, 2, 3]
    assert read_study(folder).planned() == trials
    drawn = [with_values(trial.config, {HIDDEN: 0.25, ATTENTION: 0.25, L2: 0.125}) for trial in trials]
    for trial, config in zip(trials[1:3], drawn[1:3], strict=True):
        write_draw(folder, trial.trial_id, config)
    write_trial(folder, make_record(trials[1], "joint", state="failed", config=drawn[1].model_dump(mode="json")))
    results = load(folder.path)
    assert list(results.trials.state) == ["unfinished", "failed", "unfinished", "unfinished"]
    assert list(results.trials.label[1:]) == ["search#001", "search#002", "search#003"]
    for column in (HIDDEN, ATTENTION):
        assert results.trials[f"config.{column}"].isna().tolist() == [True, False, False, True]
    assert results.trials[f"config.{L2}"].tolist()[1:3] == [0.125, 0.125]
    assert results.configs[trials[2].trial_id] == drawn[2].model_dump(mode="json")
    assert results.configs[trials[3].trial_id] == trials[3].config.model_dump(mode="json")


def test_a_damaged_draw_counts_as_absent(make_study: MakeStudy) -> None:
    folder, trials = make_study(study=JOINT)
    draws = folder.child("draws")
    draws.write(f"{trials[1].trial_id}.json", b"{")
    draws.write(f"{trials[2].trial_id}.json", b'{"colour": 1}')
    draws.write(f".{trials[3].trial_id}.json.1.part", b"")
    assert read_draws(folder) == {}
    assert load(folder.path).trials[f"config.{L2}"].isna().all()


def test_a_list_of_numbers_is_one_value(make_study: MakeStudy) -> None:
    base = with_values(TrialConfig(), {"measure.expansion.sigmas": "1e-3,0.01"})
    folder, _ = make_study(study=StudyConfig(name="listed", base=base, arms=(Arm(name="baseline"),)))
    row = load(folder.path).trials.iloc[0]
    assert row["config.measure.expansion.sigmas"] == "0.001,0.01"
    assert row["config.measure.rivals"].startswith("label_variance,margin,")
