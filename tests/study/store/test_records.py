from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from study.config import StudyConfig
from study.store.folders import next_run, studies, study_folder
from study.store.record_files import read_study, read_trials, write_trial
from study.store.records import TrialRecord
from study.store.storage import Store, open_store
from trainables.errors import InputError

if TYPE_CHECKING:
    from tests.study.conftest import MakeStudy


def test_a_study_comes_back(make_study: MakeStudy, small_study: StudyConfig) -> None:
    folder, trials = make_study()
    record = read_study(folder)
    assert record.study_config() == small_study
    assert record.planned() == trials
    assert record.versions["version.code"] == "c0de"


def test_a_trial_comes_back_bit_for_bit(make_study: MakeStudy, make_record: Callable[..., TrialRecord]) -> None:
    folder, trials = make_study()
    record = make_record(trials[0], measurements={"nll.en": 0.1 + 0.2, "fisher_trace": 1e-300 / 3})
    write_trial(folder, record)
    records, unreadable = read_trials(folder)
    assert records == {trials[0].trial_id: record}
    assert unreadable == {}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_record_refuses_what_is_not_finite(
    make_study: MakeStudy, make_record: Callable[..., TrialRecord], number: float
) -> None:
    _, trials = make_study()
    with pytest.raises(ValidationError, match="finite number"):
        make_record(trials[0], measurements={"nll.en": number})


def test_damaged_records_are_told_apart(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=3)
    store = folder.child("trials")
    whole = store.read(f"{trials[0].trial_id}.json")
    store.write(f"{trials[0].trial_id}.json", whole[:100])
    store.write(f"{trials[1].trial_id}.json", b'{"schema_version": 0}')
    store.write(".x.json.123.part", whole[:100])
    records, unreadable = read_trials(folder)
    assert list(records) == [trials[2].trial_id]
    assert set(unreadable) == {trials[0].trial_id, trials[1].trial_id}
    assert "schema_version" in unreadable[trials[1].trial_id]


def test_a_damaged_study_says_what_to_do(make_study: MakeStudy) -> None:
    folder, _ = make_study()
    folder.write("study.json", b"{")
    with pytest.raises(InputError, match=r"study\.json is damaged \(.*\); restore it from a copy, or delete"):
        read_study(folder)


def test_what_a_later_version_wrote_is_neither_damaged_nor_written_over(make_study: MakeStudy) -> None:
    folder, trials = make_study(records=1)
    record = json.loads(folder.child("trials").read(f"{trials[0].trial_id}.json"))
    later = json.dumps({**record, "schema_version": 2, "more": "?"}).encode()
    folder.child("trials").write(f"{trials[0].trial_id}.json", later)
    message = r"{}\.json was written by a later version of fisher-study: update this one$"
    with pytest.raises(InputError, match=message.format(trials[0].trial_id)):
        read_trials(folder)
    folder.write("study.json", json.dumps({**json.loads(folder.read("study.json")), "schema_version": 2}).encode())
    with pytest.raises(InputError, match=message.format("study")):
        read_study(folder)


def test_a_trial_id_does_not_lead_out_of_the_folder(make_study: MakeStudy) -> None:
    folder, _ = make_study()
    content = json.loads(folder.read("study.json"))
    content["plan"][0]["trial_id"] = "../../x"
    folder.write("study.json", json.dumps(content).encode())
    with pytest.raises(InputError, match=r"is damaged \(plan\.0\.trial_id: string should match pattern"):
        read_study(folder)


def test_what_may_not_be_read_hides_nothing_else(make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, trials = make_study(records=2)
    storage = open_store(folder.path.rsplit("/", 1)[0])
    storage.child("private").write("study.json", b"{}")
    exists, read = Store.exists, Store.read

    def private(self: Store, name: str = "") -> bool:
        if self.name == "private":
            raise PermissionError(13, "Permission denied")
        return exists(self, name)

    def locked(self: Store, name: str) -> bytes:
        if name == f"{trials[0].trial_id}.json":
            raise PermissionError(13, "Permission denied")
        return read(self, name)

    monkeypatch.setattr(Store, "exists", private)
    monkeypatch.setattr(Store, "read", locked)
    assert studies(storage) == ["small"]
    records, unreadable = read_trials(folder)
    assert list(records) == [trials[1].trial_id]
    assert unreadable == {trials[0].trial_id: "[Errno 13] Permission denied"}


def test_a_study_of_another_version_is_named(make_study: MakeStudy) -> None:
    folder, _ = make_study()
    record = read_study(folder)
    other = record.model_copy(update={"config": {**record.config, "colour": "blue"}})
    with pytest.raises(InputError, match="study small was written by another version: colour: extra inputs"):
        other.study_config()


def test_a_folder_without_study_json_is_no_study(make_study: MakeStudy) -> None:
    folder, _ = make_study()
    with pytest.raises(InputError, match=r"trials is no study: it has no study\.json"):
        read_study(folder.child("trials"))


def test_runs_are_numbered(make_study: MakeStudy) -> None:
    folder, _ = make_study()
    assert next_run(folder) == "0001"
    for name in ("0001", "0009", "notes"):
        folder.child("runs").child(name).write("x", b"")
    assert next_run(folder) == "0010"


def test_unknown_studies_are_answered_with_the_known(make_study: MakeStudy) -> None:
    folder, _ = make_study()
    storage = open_store(folder.path.rsplit("/", 1)[0])
    storage.child("no-study").write("x", b"")
    assert studies(storage) == ["small"]
    assert study_folder(storage, "small").path == folder.path
    for name in ("nope", "../../x", "no-study"):
        with pytest.raises(InputError, match=f"holds no study '{name}'; it holds small"):
            study_folder(storage, name)
    with pytest.raises(InputError, match="it holds no study yet; start one with: fisher-study run quick --storage /"):
        study_folder(open_store(folder.path + "/runs"), "nope")
