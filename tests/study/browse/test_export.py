"""The Optuna study that a study is exported as, read back with Optuna."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import optuna
import pytest
import sqlalchemy
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from study.browse.export import export_optuna, opened
from study.config import Arm, StudyConfig
from study.search_space import Grid, LogUniform, Uniform
from study.store.record_files import write_trial
from study.store.records import TrialRecord
from study.store.results import load
from study.store.working_files import write_draw
from trainables.config.dotted_paths import flatten, with_values
from trainables.errors import InputError

if TYPE_CHECKING:
    from tests.study.conftest import MakeStudy

Make = Callable[..., TrialRecord]
KL, L2, LR, EPOCHS = (
    "stages.0.consistency.weight", "stages.0.penalties.l2.weight", "stages.0.optimizer.learning_rate",
    "stages.0.epochs",
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "optuna.db"


def read(file: Path, name: str = "small") -> Any:
    url = sqlalchemy.URL.create("sqlite", database=str(file))
    with opened(url.render_as_string()) as storage:
        study = optuna.load_study(study_name=name, storage=storage)
        # The study itself reads its parts when it is asked for them.
        return SimpleNamespace(**{name: getattr(study, name) for name in ("trials", "directions", "metric_names")})


@pytest.mark.parametrize(
    "name", ["a?b.db", "a#b.db", "a b.db", "100%.db", "a%20b.db", "{SCHEMA}.db", "é&'\".db", "a+b"]
)
def test_a_file_may_have_any_name(make_study: MakeStudy, tmp_path: Path, name: str) -> None:
    url = export_optuna(make_study(records=1)[0], str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]
    with opened(url) as storage:
        assert len(optuna.load_study(study_name="small", storage=storage).trials) == 6
    # The URL that is printed may be given back, and names the same file.
    with pytest.raises(InputError, match="holds a study small already"):
        export_optuna(make_study(records=1)[0], url)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not list open files")
def test_the_file_is_closed_in_the_end(make_study: MakeStudy, file: Path) -> None:
    export_optuna(make_study(records=1)[0], str(file))
    assert str(file) not in [os.path.realpath(f"/proc/self/fd/{entry}") for entry in os.listdir("/proc/self/fd")]


def test_a_url_with_a_question_mark_is_a_file_with_one(make_study: MakeStudy, tmp_path: Path) -> None:
    export_optuna(make_study()[0], f"sqlite:///{tmp_path}/why?#.db")
    assert (tmp_path / "why?#.db").is_file()


def test_one_trial_for_each_planned_one(make_study: MakeStudy, make_record: Make, file: Path) -> None:
    folder, trials = make_study(records=3)
    write_trial(folder, make_record(trials[3], state="failed", reason="OSError: no", measurements={}))
    write_trial(folder, make_record(trials[4], measurements={"accuracy.en": 0.7, "fisher_trace": 0.0}))
    write_trial(folder, make_record(trials[1], measurements={"accuracy.en": 0.0, "fisher_trace": 10.0}))
    assert export_optuna(folder, str(file)) == f"sqlite:///{file}"
    study = read(file)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy.en", "log10 fisher_trace"]
    complete, fail, waiting = TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING
    assert [trial.state for trial in study.trials] == [complete, complete, complete, fail, fail, waiting]
    assert [trial.values for trial in study.trials[:2]] == [[0.7, math.log10(0.1 + 0.2)], [0.0, 1.0]]
    assert [trial.params for trial in study.trials] == [{}, {}, {KL: 0.0}, {KL: 0.0}, {KL: 0.5}, {KL: 0.5}]
    assert study.trials[2].distributions == {KL: FloatDistribution(0.0, 0.5)}
    assert study.trials[3].user_attrs["reason"] == "OSError: no"


def test_everything_of_the_trials_table_is_an_attribute(make_study: MakeStudy, file: Path) -> None:
    folder, trials = make_study(records=3)
    export_optuna(folder, f"sqlite:///{file}")
    found = read(file).trials[2].user_attrs
    row = load(folder.path).trials.iloc[2].dropna().to_dict()
    assert found == row
    assert found["fisher_trace"] == 0.1 + 0.2
    assert found["config.data.languages"] == "de,es,zh"
    assert found["version.torch"] == "2.13.0"
    assert found["trial_id"] == trials[2].trial_id


def study_of(*arms: Arm) -> StudyConfig:
    return StudyConfig(name="small", arms=arms)


@pytest.mark.parametrize(
    ("arms", "path", "distribution"),
    [
        ([Arm(name="a", search={L2: Grid(values=(1e-4, 1e-2))})], L2, FloatDistribution(1e-4, 1e-2, log=True)),
        ([Arm(name="a", search={L2: Grid(values=(1e-4, 5e-4))})], L2, FloatDistribution(1e-4, 5e-4)),
        ([Arm(name="a", search={EPOCHS: Grid(values=(2, 5))})], EPOCHS, IntDistribution(2, 5)),
        (
            [Arm(name="a", search={L2: LogUniform(low=1e-6, high=5e-6, samples=2)})],
            L2,
            FloatDistribution(1e-6, 5e-6, log=True),
        ),
        ([Arm(name="a", search={L2: Uniform(low=1e-6, high=1.0, samples=2)})], L2, FloatDistribution(1e-6, 1.0)),
        (  # two arms with the same path: Optuna wants one distribution
            [
                Arm(name="a", search={L2: Grid(values=(1e-3, 2e-3))}),
                Arm(name="b", set={EPOCHS: 1}, search={L2: Grid(values=(1e-5, 2e-5))}),
            ],
            L2,
            FloatDistribution(1e-5, 2e-3, log=True),
        ),
        (
            [Arm(name="a", search={"stages.0.clip": Grid(values=(1.0, None))})],
            "stages.0.clip",
            CategoricalDistribution((1.0, None)),
        ),
        (
            [Arm(name="a", search={"stages.0.selection": Grid(values=("last", "best_english"))})],
            "stages.0.selection",
            CategoricalDistribution(("last", "best_english")),
        ),
        (
            [Arm(name="a", search={"measure.trace_train": Grid(values=(True, False))})],
            "measure.trace_train",
            CategoricalDistribution((True, False)),
        ),
    ],
)
def test_distributions_fit(make_study: MakeStudy, file: Path, arms: list[Arm], path: str, distribution: object) -> None:
    folder, trials = make_study(study=study_of(*arms))
    export_optuna(folder, str(file))
    for exported, planned in zip(read(file).trials, trials, strict=True):
        assert exported.params == {path: flatten(planned.config)[path]}
        found = exported.distributions[path]
        if isinstance(distribution, CategoricalDistribution):
            assert set(found.choices) == set(distribution.choices)
        else:
            assert found == distribution


def test_a_slot_has_its_draw_once_it_is_drawn(make_study: MakeStudy, make_record: Make, file: Path) -> None:
    arm = Arm(name="search", search={LR: LogUniform(low=1e-5, high=1e-3), L2: Uniform(low=0.0, high=1.0)}, slots=3)
    folder, trials = make_study(study=study_of(arm))
    drawn = with_values(trials[0].config, {LR: 2e-5, L2: 0.25})
    write_trial(folder, make_record(trials[0], config=drawn.model_dump(mode="json")))
    write_draw(folder, trials[1].trial_id, with_values(trials[1].config, {LR: 3e-5, L2: 0.5}))
    export_optuna(folder, str(file))
    study = read(file)
    assert [trial.params for trial in study.trials] == [{LR: 2e-5, L2: 0.25}, {LR: 3e-5, L2: 0.5}, {}]
    assert study.trials[0].distributions[LR] == FloatDistribution(1e-5, 1e-3, log=True)


def test_a_study_is_not_written_twice(make_study: MakeStudy, file: Path) -> None:
    folder, _ = make_study(records=1)
    export_optuna(folder, str(file))
    with pytest.raises(InputError, match=r"optuna\.db holds a study small already; export to another file"):
        export_optuna(folder, str(file))
    assert len(read(file).trials) == 6


def test_other_studies_of_the_file_stay(make_study: MakeStudy, small_study: StudyConfig, file: Path) -> None:
    export_optuna(make_study()[0], str(file))
    export_optuna(make_study(study=small_study.model_copy(update={"name": "other"}))[0], str(file))
    assert len(read(file).trials) == len(read(file, "other").trials) == 6


def test_a_study_is_whole_or_absent(make_study: MakeStudy, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = make_study(records=1)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(optuna.Study, "add_trials", stop)
        with pytest.raises(KeyboardInterrupt):
            export_optuna(folder, str(file))
    with opened(f"sqlite:///{file}") as storage:
        assert optuna.get_all_study_names(storage) == []
    export_optuna(folder, str(file))


def test_files_that_cannot_be_used(make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = make_study()
    (tmp_path / "text").write_text("no database")
    for target, message in {
        "mysql://host/db": r"--optuna takes sqlite:///FILE or a file, got 'mysql://host/db'",
        str(tmp_path): "--optuna takes a file, and .* is a folder",
        "sqlite:///": "--optuna takes a file, and sqlite:/// is a folder",
        f"{tmp_path}/nowhere/file.db": "there is no folder .*/nowhere",
        f"{tmp_path}/text": "text is no SQLite file; choose another",
    }.items():
        with pytest.raises(InputError, match=message):
            export_optuna(folder, target)
    monkeypatch.setattr("os.access", lambda *_: False)  # the superuser may write everywhere
    with pytest.raises(InputError, match=r"cannot write .*new\.db; choose another file"):
        export_optuna(folder, f"{tmp_path}/new.db")
