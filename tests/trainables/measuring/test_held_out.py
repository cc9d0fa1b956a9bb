"""Test scores and kept predictions: what they are, and that nothing else changes by them."""

from __future__ import annotations

import io
import json
import math
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.trainables.measuring.test_evaluation import macro_f1
from tests.trainables.rehearsal.test_timing import watched
from tests.trainables.training.test_checkpoint import Memory, Stopped
from trainables.assets import Assets
from trainables.config.dotted_paths import with_values
from trainables.measuring.measurements import DEFINITIONS, PREDICTIONS
from trainables.measuring.predictions import PredictionFile
from trainables.rehearsal.timing import work
from trainables.training.checkpoint import TrialCheckpoint
from trainables.trial import fine_tune


@pytest.fixture(scope="module")
def tested(tiny_config, tiny_data, tmp_path_factory):
    """The tiny trial with test files: the rows of validation in another order, without the last."""
    folder = tmp_path_factory.mktemp("tested") / "data"
    shutil.copytree(tiny_data, folder)
    for language in ("en", "de", "zh"):
        lines = (folder / f"dev-{language}.tsv").read_text().splitlines()[:-1]
        (folder / f"test-{language}.tsv").write_text("\n".join(reversed(lines)) + "\n")
    config = with_values(tiny_config, {"data.source": str(folder), "data.test": True})
    return config, Assets.resolve([config])


@pytest.fixture(scope="module")
def found(tested):
    """The measurements of the tested trial and its predictions, row by row."""
    files = Memory()
    values = fine_tune(*tested, lambda point: None, None, None, PredictionFile(files, "abc")).values
    return values, pq.read_table(io.BytesIO(files.kept["abc.parquet"]))


def is_test(name):
    return name.startswith("test.") or ".test_" in name


def test_every_test_score_is_there_and_defined_and_no_other_number_changes(tested, found):
    values, _ = found
    config = with_values(tested[0], {"data.test": False})
    without = fine_tune(config, Assets.resolve([config]), lambda point: None).values
    assert {name: value for name, value in values.items() if not is_test(name)} == without
    scores = [name for name in DEFINITIONS if is_test(name)]
    assert {name for name in values if is_test(name)} == {
        name.replace("LANG", language)
        for name in scores
        for language in (["en"] if name.startswith("test.") else []) + ["de", "zh"]
    }


def test_scores_are_those_of_the_kept_predictions_by_their_definitions(tested, found):
    values, table = found
    assert table.column_names == list(PREDICTIONS)
    assert json.loads(table.schema.metadata[b"labels"]) == ["0", "1"]
    rows = table.to_pylist()
    for stage, names in ((0, "test.{}.LANG"), (1, "stage2.LANG.test_{}")):
        for language in ("en", "de", "zh")[stage:]:
            part = [r for r in rows if (r["split"], r["language"], r["stage"]) == ("test", language, stage)]
            assert [r["row"] for r in part] == list(range(39))
            pairs = [(r["probabilities"].index(max(r["probabilities"])), r["label"]) for r in part]
            nll = sum(-math.log(r["probabilities"][r["label"]]) for r in part) / len(part)
            expected = {"accuracy": sum(a == b for a, b in pairs) / 39, "f1": macro_f1(pairs), "nll": nll}
            for name, value in expected.items():
                assert values[names.format(name).replace("LANG", language)] == pytest.approx(value, rel=1e-5)
    kept = [(r["label"], r["row"]) for r in rows if (r["split"], r["language"], r["stage"]) == ("validation", "zh", 0)]
    lines = (Path(tested[0].data.source) / "dev-zh.tsv").read_text().splitlines()
    assert [row for _, row in kept] == list(tested[1].rows(tested[0]).validation_rows["zh"])
    assert all(lines[row].endswith(f"\t{label}") for label, row in kept)


@pytest.mark.parametrize("writes", [3, 4, 5])
def test_predictions_are_whole_after_a_stop(tested, found, writes):
    """Stage 0 is over after two epochs and a checkpoint; stage 1 has one epoch a language."""
    config, assets = tested
    checkpoints, files = Memory(writes), Memory()
    with pytest.raises(Stopped):
        fine_tune(config, assets, lambda point: None, TrialCheckpoint(checkpoints, "abc", "k"), None,
                  PredictionFile(files, "abc"))  # fmt: skip
    checkpoints.left = None
    kept = PredictionFile(files, "abc")
    fine_tune(config, assets, lambda point: None, TrialCheckpoint(checkpoints, "abc", "k"), None, kept)
    assert kept.note is None
    assert pq.read_table(io.BytesIO(files.kept["abc.parquet"])).equals(found[1])


def test_what_was_not_kept_before_a_stop_is_said(tested):
    config, assets = tested
    checkpoints, files = Memory(3), Memory()
    with pytest.raises(Stopped):
        fine_tune(config, assets, lambda point: None, TrialCheckpoint(checkpoints, "abc", "k"))
    checkpoints.left = None
    kept = PredictionFile(files, "abc")
    fine_tune(config, assets, lambda point: None, TrialCheckpoint(checkpoints, "abc", "k"), None, kept)
    assert kept.note == "those of the stages before the trial went on are missing: abc.parquet"
    assert set(pq.read_table(io.BytesIO(files.kept["abc.parquet"]))["stage"].to_pylist()) == {1}


def test_a_folder_that_cannot_be_written_ends_no_trial(tested):
    class Full(Memory):
        def write(self, name, content):
            raise OSError("no space left")

    kept = PredictionFile(Full(), "abc")
    assert fine_tune(*tested, lambda point: None, None, None, kept).values["test.accuracy.en"] >= 0
    assert kept.note == "not saved: no space left"


def test_the_work_of_a_trial_counts_its_test_files(tested, monkeypatch):
    config, assets = tested
    amounts = work(config, assets.rows(config))
    traced = sum(amount for kind, amount in amounts.items() if kind.startswith("trace."))
    plain = Counter({kind: amount for kind, amount in amounts.items() if not kind.startswith("trace.")})
    assert plain + Counter(trace=traced) == watched(config, assets, monkeypatch)
