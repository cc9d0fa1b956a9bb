"""Something else than the study that began: another configuration, other weights, data or code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from study.store.records import TrialRecord
from tests.faults.harness import Study, kill, mended, until

pytestmark = pytest.mark.faults


@pytest.fixture
def begun(study: Study, tmp_path: Path) -> Study:
    """A study on copies of model and data whose driver was killed in its last trial."""
    for path in ("model.name", "data.source"):
        copy = tmp_path / path
        shutil.copytree(str(study.settings[path]), copy)
        study.settings[path] = copy
    driver = study.start("run", *study.options, faults={"l2=0.001": "held once"})
    until(driver, (study.notes / "l2=0.001").exists)
    kill(driver)
    return study


def change_weights(study: Study) -> None:
    file = Path(str(study.settings["model.name"])) / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    save_file({**tensors, name: tensors[name] + 0.01}, file, {"format": "pt"})


def change_data(study: Study) -> None:
    file = Path(str(study.settings["data.source"])) / "train-en.tsv"
    lines = file.read_text().splitlines()
    sentence, other, label = lines[0].split("\t")
    file.write_text("\n".join(["\t".join([sentence, other, str(1 - int(label))]), *lines[1:]]) + "\n")


def test_changes_are_refused_until_they_are_undone(begun: Study, whole: Study, tmp_path: Path) -> None:
    kept = begun.records()
    begun.settings["stages.1.epochs"] = 2
    refused = begun.type("run", *begun.options)
    begun.settings["stages.1.epochs"] = 1
    assert refused.code == 2
    assert refused.err == (
        "fisher-study: study pawsx exists with another configuration (there -> asked): stages.1.epochs: 1 -> 2. "
        "Give the new one a name with --name, or continue the old one: "
        f"fisher-study resume pawsx --storage {begun.storage}\n"
    )
    model, data = Path(str(begun.settings["model.name"])), Path(str(begun.settings["data.source"]))
    for changed, said in (
        (lambda: change_weights(begun), f"models {model}: "),
        (lambda: change_data(begun), f"data pawsx from {data}, draw "),
    ):
        shutil.copytree(tmp_path, tmp_path / "before", ignore=shutil.ignore_patterns("studies", "notes", "before"))
        changed()
        refuses(begun, ("resume", "pawsx"), said)
        for folder in (model, data):
            shutil.rmtree(folder)
            shutil.move(tmp_path / "before" / folder.name, folder)
        shutil.rmtree(tmp_path / "before")
    refuses(begun, ("run", *begun.options), "version.code: ", {"FAULTS_CODE": "other"})
    assert begun.records() == kept
    mended(begun, whole, kept)


def refuses(study: Study, words: tuple[str, ...], said: str, changes: dict[str, str] | None = None) -> None:
    refused = study.type(*words, changes=changes)
    assert refused.code == 2
    assert refused.err.startswith(f"fisher-study: since study pawsx began, this changed: {said}")
    assert refused.err.endswith(
        ". Trials of both would be mixed: bring the old state back, start a new study with --name, or go on with: "
        f"fisher-study resume pawsx --storage {study.storage} --concurrency 1 --accept-changes\n"
    )
    assert refused.err.count("\n") == 1


def test_a_change_that_is_accepted_is_in_the_record(begun: Study) -> None:
    kept = begun.records()
    change_weights(begun)
    done = begun.type("resume", "pawsx", "--accept-changes")
    assert (done.code, done.err) == (0, "")
    after = begun.records()
    assert {trial: after[trial] for trial in kept} == kept
    found = {trial: TrialRecord.model_validate_json(content) for trial, (content, _) in after.items()}
    before = {found[trial].provenance["model_fingerprint"] for trial in kept}
    (new,) = set(found) - set(kept)
    assert len(before) == 1
    assert found[new].provenance["model_fingerprint"] not in before
