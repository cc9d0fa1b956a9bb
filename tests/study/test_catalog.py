from __future__ import annotations

from pathlib import Path

import pytest

from analysis.statistics.power import planned_power
from study.catalog import CATALOG
from study.catalog.arms import L2_WEIGHT
from study.plan.loading import load_study
from study.plan.narrowing import narrow
from study.plan.planning import draft
from trainables.config import RIVALS
from trainables.config.dotted_paths import parse as parse_trial
from trainables.config.dotted_paths import with_values
from trainables.errors import InputError

GOOD = '''
from study.config import Arm, StudyConfig

def mine() -> StudyConfig:
    """What I ask."""
    return StudyConfig(name="mine", arms=(Arm(name="baseline"),))

def raises():
    text = "two\\nlines"
    raise RuntimeError(text)

def wrong_path():
    return StudyConfig(name="mine", arms=(Arm(name="a", set={"stages.0.epoch": 1}),))

def wrong_type():
    return 3
'''


@pytest.mark.parametrize("name", CATALOG)
def test_every_study_explains_itself(name: str) -> None:
    study = load_study(name)
    assert study.name == name
    for word in ("ypothes", "Protocol:", "Deviations", "Cost:"):
        assert word in study.description


def test_quick_is_29_configurations_of_one_seed() -> None:
    rows = draft(load_study("quick"))
    counts = {arm: sum(row.arm == arm for row in rows) for arm in dict.fromkeys(row.arm for row in rows)}
    assert counts == {"baseline": 1, "kl": 6, "fpen": 5, "l2": 9, "noise": 8}
    assert rows[1].label == "kl=0"
    assert {row.config.model.dropout.hidden for row in rows} == {0.0}


@pytest.mark.parametrize("name", ["xnli", "pawsx"])
def test_the_papers_studies_have_six_weights_an_arm_and_three_seeds(name: str) -> None:
    rows = draft(load_study(name))
    assert len(rows) == 3 * (1 + 6 * 6)
    assert {row.config.stages[0].optimizer.learning_rate for row in rows} == {2e-5}
    strong = [row.config.model.dropout for row in rows if row.label == "dropout=0.4"]
    assert {(dropout.hidden, dropout.attention) for dropout in strong} == {(0.4, 0.4)}


@pytest.mark.parametrize("name", ["xnli", "pawsx", "equal_fit", "quick"])
def test_the_papers_studies_can_find_a_correlation_of_six_tenths(name: str) -> None:
    groups = [sum(1 for _ in arm.points(load_study(name).base)) for arm in load_study(name).arms]
    assert planned_power([count for count in groups if count > 1])[0.6] >= 0.8


@pytest.mark.parametrize("name", CATALOG)
def test_every_study_runs_on_the_bundled_model_with_the_same_arms(name: str) -> None:
    paper, bundled = load_study(name), load_study(name, bundled=True)
    assert bundled.base.model.name == "mini"
    assert bundled.base.data.source == "bundled"
    assert [arm.name for arm in bundled.arms] == [arm.name for arm in paper.arms]
    assert len(draft(bundled)) == len(draft(paper))


@pytest.mark.parametrize("bundled", [False, True])
@pytest.mark.parametrize("name", CATALOG)
def test_no_configuration_of_a_study_is_there_twice(name: str, bundled: bool) -> None:
    rows = draft(load_study(name, bundled))
    searched = [row for row in rows if "#" not in row.label]  # drawn when they start
    assert len({row.config.model_dump_json() for row in searched}) == len(searched)


@pytest.mark.parametrize("bundled", [False, True])
@pytest.mark.parametrize("name", CATALOG)
def test_l2_has_a_dose_in_every_study(name: str, bundled: bool) -> None:
    study = load_study(name, bundled)
    forms = {row.config.stages[0].penalties.l2.form for row in draft(study) if row.config.stages[0].penalties.l2}
    assert forms <= {"lazy"}
    assert all(arm.set["stages.0.penalties.l2.form"] == "lazy" for arm in study.arms if L2_WEIGHT in arm.search)


@pytest.mark.parametrize("bundled", [False, True])
def test_equal_fit_is_xnli_with_another_end(bundled: bool) -> None:
    rows, plain = draft(load_study("equal_fit", bundled)), draft(load_study("xnli", bundled))
    assert all(row.config.stages[0].until is not None for row in rows)
    without = [with_values(row.config, {"stages.0.until.train_nll": 1}) for row in plain]
    assert [row.label for row in rows] == [row.label for row in plain]
    for row, other in zip(rows, without, strict=True):
        stage = row.config.stages[0].model_copy(update={"until": other.stages[0].until})
        assert row.config.model_copy(update={"stages": (stage, row.config.stages[1])}) == other


def test_invariance_measures_every_rival_on_four_twins() -> None:
    rows = draft(load_study("invariance"))
    assert [row.label for row in rows[::3]] == ["baseline", "kl=0.6", "fpen=0.01"]
    assert {row.config.measure.twins for row in rows} == {(-2, -1, 1, 2)}
    assert {row.config.measure.rivals for row in rows} == {RIVALS}


def test_the_learning_rates_are_multiples_of_the_bases() -> None:
    rows = draft(load_study("learning_rate"))
    rates = {
        arm: sorted({r.config.stages[0].optimizer.learning_rate for r in rows if r.arm == arm}) for arm in ("lr", "kl")
    }
    assert rates == {"lr": [5e-6, 1e-5, 4e-5, 8e-5, 1.6e-4], "kl": [1e-5, 2e-5, 4e-5]}


def test_the_readmes_selection_works() -> None:
    study = narrow(load_study("xnli"), arms="baseline,kl=0.6,fpen=0.01,l2=0.0001", seeds=1)
    assert [row.label for row in draft(study)] == ["baseline", "kl=0.6", "fpen=0.01", "l2=0.0001"]
    assert parse_trial(draft(study)[3].config.model_dump(mode="json")).stages[0].penalties.l2 is not None


def test_unknown_studies_are_answered_with_the_known() -> None:
    with pytest.raises(
        InputError, match=r"unknown study 'nope'; known are quick, xnli, pawsx, .*, and FILE\.py:FUNCTION"
    ):
        load_study("nope")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_study.py"
    path.write_text(GOOD)
    return path


def test_a_users_file_is_a_study(file: Path) -> None:
    study = load_study(f"{file}:mine")
    assert study.name == "mine"
    assert study.description == "What I ask."


def test_a_users_file_may_import_its_neighbour(file: Path) -> None:
    (file.parent / "my_neighbour.py").write_text("ARMS = ('a', 'b')\n")
    file.write_text(
        "from my_neighbour import ARMS\nfrom study.config import Arm, StudyConfig\n"
        "def mine():\n    return StudyConfig(name='mine', arms=tuple(Arm(name=n) for n in ARMS))\n"
    )
    assert len(load_study(f"{file}:mine").arms) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", r"my_study\.py, line 10: RuntimeError: two$"),
        ("wrong_path", r"my_study\.py, line 13: unknown configuration path 'stages\.0\.epoch'"),
        ("wrong_type", "returned int, not a StudyConfig"),
        ("nothing", "has no function 'nothing'; it has mine, raises, wrong_path, wrong_type"),
    ],
)
def test_a_users_mistake_is_one_line(file: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_study(f"{file}:{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", r"my_study\.py, line 1: SyntaxError"),
        ("x = 1\nimport no_such_module_at_all\n", r"line 2: ModuleNotFoundError: No module named"),
        ("raise ValueError\n", "line 1: ValueError: no message"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        load_study(f"{file}:mine")


def test_a_study_without_a_bundled_form_says_so(file: Path) -> None:
    with pytest.raises(InputError, match=r"my_study\.py:mine has no argument 'bundled', so --bundled cannot change it"):
        load_study(f"{file}:mine", bundled=True)


def test_a_missing_file_or_function_is_named(tmp_path: Path, file: Path) -> None:
    with pytest.raises(InputError, match="there is no file .*absent.py"):
        load_study(f"{tmp_path}/absent.py:f")
    with pytest.raises(InputError, match=r"which study of .*my_study\.py\? name its function"):
        load_study(str(file))
    other = tmp_path / "study.txt"
    other.write_text("")
    with pytest.raises(InputError, match="is not a Python file"):
        load_study(f"{other}:f")
