"""The RO-Crate of a study, read back with the library."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rocrate.rocrate import ROCrate

from study.browse.ro_crate import PROFILE, export_ro_crate
from study.store.record_files import write_trial
from study.store.records import TrialRecord
from study.store.storage import open_store
from trainables.errors import InputError

if TYPE_CHECKING:
    from tests.study.conftest import MakeStudy

Make = Callable[..., TrialRecord]


def test_every_trial_that_ended_is_an_action(make_study: MakeStudy, make_record: Make, tmp_path: Path) -> None:
    folder, trials = make_study(records=2)
    write_trial(folder, make_record(trials[2], state="failed", reason="OSError: no", measurements={}))
    folder.child("report").write("report.html", b"<html>")
    folder.child("report").child("figures").write("figure-1.png", b"png")
    folder.child("models").write("weights.safetensors", b"big")
    target = tmp_path / "small.zip"
    assert export_ro_crate(folder, target) == "study.json, 3 trials, 2 files of the report"
    with zipfile.ZipFile(target) as archive:
        records = {f"trials/{trial.trial_id}.json" for trial in trials[:3]}
        files = {"study.json", "report/report.html", "report/figures/figure-1.png", *records}
        assert set(archive.namelist()) == {"ro-crate-metadata.json", *files}
        assert archive.read("study.json") == folder.read("study.json")
        archive.extractall(tmp_path / "crate")

    crate = ROCrate(tmp_path / "crate")
    assert crate.root_dataset["conformsTo"].id == PROFILE
    assert {part.id for part in crate.root_dataset["hasPart"]} == files
    actions = crate.root_dataset["mentions"]
    assert len(actions) == 3
    assert all(action.type == "CreateAction" for action in actions)
    assert {action["result"].id if not isinstance(action["result"], list) else action["result"][0].id
            for action in actions} == records  # fmt: skip
    states = [action["actionStatus"].rpartition("/")[2] for action in actions]
    assert states == ["CompletedActionStatus", "CompletedActionStatus", "FailedActionStatus"]
    assert actions[2]["error"] == "OSError: no"
    assert "seconds 2.5" in actions[0]["description"]
    tool = actions[0]["instrument"]
    assert tool.type == "SoftwareApplication"
    needed = tool["softwareRequirements"]
    assert [one["softwareVersion"] for one in (needed if isinstance(needed, list) else [needed])] == ["2.13.0"]


def test_wrong_input_is_one_line(make_study: MakeStudy, tmp_path: Path) -> None:
    folder, trials = make_study(records=1)
    for target, message in (
        ("crate", "--ro-crate takes FILE.zip"),
        ("no/crate.zip", "there is no folder"),
    ):
        with pytest.raises(InputError, match=message):
            export_ro_crate(folder, tmp_path / target)
    (tmp_path / "there.zip").touch()
    with pytest.raises(InputError, match=r"there\.zip exists; export to another file"):
        export_ro_crate(folder, tmp_path / "there.zip")
    with pytest.raises(InputError, match="is no study"):
        export_ro_crate(open_store(str(tmp_path / "none")), tmp_path / "crate.zip")
    folder.child("trials").write(f"{trials[5].trial_id}.json", b"{")
    with pytest.raises(InputError, match="cannot be read .*resume the study first"):
        export_ro_crate(folder, tmp_path / "crate.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["studies", "there.zip"]
