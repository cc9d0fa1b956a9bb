"""A finished study's trials run again: equal here, and what is said where they are not."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from study.browse.verify import Comparison, compare, draw, verify
from study.config import Arm, StudyConfig
from study.plan.planning import plan
from study.store.record_files import write_study, write_trial
from study.store.records import TrialRecord, new_study
from study.store.storage import Store, open_store
from trainables.assets import Assets
from trainables.config import TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.errors import InputError
from trainables.trial import fine_tune

Make = Callable[..., TrialRecord]


@pytest.fixture(scope="module")
def base(tiny_model: Path, tiny_data: Path) -> TrialConfig:
    return with_values(
        TrialConfig(),
        {
            "model.name": str(tiny_model), "data.name": "pawsx", "data.source": str(tiny_data), "data.languages": "de",
            "data.train_examples": 16, "data.stage2_examples": 8, "data.validation_examples": 8,
            "data.max_length": 24, "stages.0.epochs": 1, "stages.0.batch_size": 8, "stages.1.epochs": 1,
            "stages.1.batch_size": 8, "measure.trace_examples": 4,
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(base: TrialConfig, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A study of one trial, run as its record says."""
    from tests.study.conftest import record_of

    study = StudyConfig(name="small", base=base, seeds=1, arms=(Arm(name="baseline"),))
    assets = Assets.resolve([base])
    (trial,) = plan(study, assets.fingerprints)
    folder = open_store(str(tmp_path_factory.mktemp("studies"))).child("small")
    write_study(folder, new_study(study, [trial], {"models": {}, "data": {}}, {}))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of the one CPU that the record names: their number decides how sums are split
    try:
        found = fine_tune(trial.config, assets, lambda point: None)
    finally:
        torch.set_num_threads(threads)
    curves = [point.as_dict() for point in found.curves if math.isfinite(point.value)]
    provenance = {"cpus": 1.0, "seconds": 1.0, "device": "cpu", "version.torch": "0.1"}
    write_trial(
        folder, record_of(trial, measurements=dict(found.values), curves=curves, provenance=provenance)
    )  # fmt: skip
    return folder


@pytest.fixture
def edited(finished: Store) -> Iterator[Callable[[Callable[[dict[str, Any]], None]], None]]:
    """Edits the only record; it is as before afterwards."""
    (name,) = finished.child("trials").names()
    before = finished.child("trials").read(name)

    def edit(change: Callable[[dict[str, Any]], None]) -> None:
        record = json.loads(before)
        change(record)
        finished.child("trials").write(name, json.dumps(record).encode())

    yield edit
    finished.child("trials").write(name, before)


def run(folder: Store, tolerance: float = 1e-6, **settings: str) -> tuple[bool, str]:
    console = Console(file=io.StringIO(), width=200)
    agrees = verify(folder, console, 2, 0, tolerance, {path.replace("__", "."): v for path, v in settings.items()})
    assert isinstance(console.file, io.StringIO)
    return agrees, console.file.getvalue()


def test_here_every_number_is_equal_and_nothing_is_written(finished: Store) -> None:
    files = {path: path.stat().st_mtime_ns for path in Path(finished.path).rglob("*")}
    agrees, out = run(finished, tolerance=0.0)
    assert agrees
    assert "recorded numbers are equal bit for bit" in out
    assert "1 of 1 trials agree with their records bit for bit" in out
    assert "version.torch 0.1 -> " in out
    assert "relative difference" not in out
    assert {path: path.stat().st_mtime_ns for path in Path(finished.path).rglob("*")} == files


def test_what_differs_is_named_with_its_size(
    finished: Store, edited: Callable[[Callable[[dict[str, Any]], None]], None]
) -> None:
    def change(record: dict[str, Any]) -> None:
        record["measurements"]["fisher_trace"] *= 1.001
        record["measurements"]["gone"] = 1.0
        del record["measurements"]["nll.en"]

    edited(change)
    agrees, out = run(finished)
    assert not agrees
    assert "0 of 1 trials agree" in out
    assert "1 numbers are not in the record" in out
    assert "largest relative difference: 0.001, of fisher_trace" in out
    assert "absent" in out

    edited(lambda record: record["measurements"].update(fisher_trace=record["measurements"]["fisher_trace"] * 1.001))
    assert not run(finished)[0]
    assert run(finished, tolerance=0.01)[0]


def test_the_draw_is_the_seeds(make_study: Callable[..., Any], make_record: Make) -> None:
    folder, trials = make_study(records=5)
    write_trial(folder, make_record(trials[5], state="failed", reason="OSError: no", measurements={}))
    drawn = [record.trial_id for record in draw(folder, 2, seed=0)]
    assert drawn == [record.trial_id for record in draw(folder, 2, seed=0)]
    assert {tuple(record.trial_id for record in draw(folder, 2, seed=seed)) for seed in range(9)} > {tuple(drawn)}
    assert {record.trial_id for record in draw(folder, 99, seed=1)} == {trial.trial_id for trial in trials[:5]}


def test_numbers_are_compared_by_name_and_place(make_study: Callable[..., Any], make_record: Make) -> None:
    record = make_record(make_study()[1][0], measurements={"a": 1.0, "b": 0.0, "c": -2.0})
    found = {number.name: number for number in compare(record, {"a": 1.0, "b": 0.0, "c": 2.0, "d": 1.0}, [])}
    assert [found[name].difference for name in "abcd"] == [0.0, 0.0, 2.0, math.inf]
    assert found["curve train_loss, stage 0, en, step 3"] == Comparison(
        "curve train_loss, stage 0, en, step 3", 0.1 + 0.2, None
    )


def test_wrong_input_is_one_line(
    finished: Store, make_study: Callable[..., Any],
    edited: Callable[[Callable[[dict[str, Any]], None]], None], tiny_model: Path,
) -> None:  # fmt: skip
    with pytest.raises(InputError, match="has no finished trial to run again"):
        run(make_study()[0])
    with pytest.raises(InputError, match="verify runs what was recorded: --set takes model.name"):
        run(finished, data__train_examples="4")
    edited(lambda record: record["config"]["model"].update(name="/nowhere/model"))
    with pytest.raises(InputError, match=r"/nowhere/model.*say where it lies here: --set model.name=FOLDER"):
        run(finished)
    assert run(finished, model__name=str(tiny_model))[0]
    with pytest.raises(InputError, match="is no study"):
        run(open_store("/nowhere"))
