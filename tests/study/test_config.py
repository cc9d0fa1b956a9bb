from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from study.config import Arm, StudyConfig, format_value
from study.search_space import Choice, Distribution, Grid, LogUniform, Uniform
from trainables.config import TrialConfig
from trainables.errors import InputError
from trainables.schema import describe

L2 = "stages.0.penalties.l2.weight"
FISHER = "stages.0.penalties.fisher.weight"


def test_a_study_survives_json() -> None:
    study = StudyConfig(
        name="s",
        arms=(
            Arm(name="baseline"),
            Arm(name="noise", set={"stages.0.noise.kind": "embedding_gaussian"}),
            Arm(name="l2", search={L2: Grid(values=(0, 0.1))}),
            Arm(
                name="dropout", search={"model.dropout.hidden": Grid(values=(0.2,), also=("model.dropout.attention",))}
            ),
            Arm(name="drawn", search={L2: LogUniform(low=1e-4, high=1.0, samples=2)}),
            Arm(name="joint", search={L2: LogUniform(low=1e-4, high=1.0)}, slots=3),
        ),
    )
    again = StudyConfig.model_validate_json(study.model_dump_json())
    assert again == study
    assert again.model_dump_json() == study.model_dump_json()


def test_points_take_label_and_values() -> None:
    arm = Arm(name="both", set={"stages.0.epochs": 2}, search={L2: Grid(values=(0.1, 1e-6)), FISHER: Grid(values=(3,))})
    points = dict(arm.points(TrialConfig()))
    assert list(points) == ["both=0.1/3", "both=1e-06/3"]
    config = points["both=1e-06/3"]
    assert config.stages[0].penalties.l2 is not None
    assert config.stages[0].penalties.l2.weight == 1e-6
    assert config.stages[0].epochs == 2


def test_draws_of_an_arm_follow_the_base_seed() -> None:
    arm = Arm(name="drawn", search={L2: LogUniform(low=1e-4, high=1.0, samples=2)})
    labels = [[label for label, _ in arm.points(TrialConfig(seed=seed))] for seed in (0, 0, 1)]
    assert labels[0] == labels[1] != labels[2]


def test_convert_takes_the_type_of_the_path() -> None:
    arm = Arm(name="l2", search={L2: Grid(values=(0.1,))})
    assert arm.convert(TrialConfig(), "1e-3") == 0.001
    with pytest.raises(InputError, match=r"l2\.weight: .*got 'much'"):
        arm.convert(TrialConfig(), "much")


@pytest.mark.parametrize("search", [{}, {L2: Grid(values=(1,)), FISHER: Grid(values=(1,))}])
def test_convert_needs_one_searched_path(search: dict[str, Grid]) -> None:
    with pytest.raises(InputError, match=rf"arm a searches {len(search)} paths.*--arms a"):
        Arm(name="a", search=search).convert(TrialConfig(), "1")


def test_an_arm_refuses_a_misspelt_path() -> None:
    with pytest.raises(
        ValidationError, match=r"unknown configuration path 'stages\.0\.epoch'; did you mean stages\.0\.epochs"
    ):
        Arm(name="a", set={"stages.0.epoch": 3})


def test_an_arm_refuses_a_path_twice() -> None:
    with pytest.raises(ValidationError, match=r"arm a gives a value to stages\.0\.penalties\.l2\.weight twice"):
        Arm(name="a", set={L2: 1.0}, search={L2: Grid(values=(1,))})


def test_an_arm_leaves_the_seed_to_the_study() -> None:
    with pytest.raises(ValidationError, match="arm a changes seed; repeats are the study's field seeds"):
        Arm(name="a", search={"seed": Grid(values=(1, 2))})


def test_a_study_refuses_values_that_do_not_fit() -> None:
    with pytest.raises(ValidationError, match=r"l2\.weight: .*greater than or equal to 0, got -1"):
        StudyConfig(name="s", arms=(Arm(name="l2", search={L2: Grid(values=(-1,))}),))


def test_a_study_refuses_two_arms_of_one_name() -> None:
    with pytest.raises(ValidationError, match="arms take distinct names, got a, a"):
        StudyConfig(name="s", arms=(Arm(name="a"), Arm(name="a")))


HIDDEN, ATTENTION = "model.dropout.hidden", "model.dropout.attention"
JOINT = Arm(
    name="joint",
    set={"stages.0.epochs": 2},
    search={
        L2: LogUniform(low=1e-4, high=1.0),
        HIDDEN: Uniform(low=0.0, high=0.5, also=(ATTENTION,)),
        "stages.0.batch_size": Choice(values=(16, 32)),
    },
    slots=12,
)


def test_slots_are_points_that_their_draws_will_change() -> None:
    points = JOINT.points(TrialConfig())
    assert [label for label, _ in points] == [f"joint#{slot:03d}" for slot in range(1, 13)]
    assert {config.stages[0].epochs for _, config in points} == {2}
    assert Arm(name="a", search=JOINT.search, slots=1200).points(TrialConfig())[0][0] == "a#0001"


def test_a_joint_space_is_said() -> None:
    assert JOINT.space_text() == (
        f"12 slots, drawn by Optuna from {L2}: 0.0001 to 1 (log scale); {HIDDEN} = {ATTENTION}: 0 to 0.5; "
        f"stages.0.batch_size: one of 16, 32"
    )


def test_probes_try_the_bounds_in_pairs() -> None:
    found = JOINT.probes(TrialConfig())
    seen = {
        (config.stages[0].penalties.l2.weight, config.model.dropout.hidden, config.stages[0].batch_size)
        for config in found
        if config.stages[0].penalties.l2 is not None
    }
    for bounds in ((1.0, 0.5, 16), (1.0, 0.0, 32), (1e-4, 0.5, 32)):
        assert bounds in seen
    assert all(config.model.dropout.hidden == config.model.dropout.attention for config in found)
    assert Arm(name="baseline").probes(TrialConfig()) == []


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({}, "arm a has slots but searches nothing"),
        ({L2: Grid(values=(0, 1))}, rf"arm a has slots, so {L2} takes a Choice, Uniform or LogUniform, not a Grid"),
        ({L2: Uniform(low=0, high=1, samples=3)}, rf"arm a has slots, so {L2} takes no number of samples of its own"),
        ({"data.seed": Choice(values=(0, 1))}, r"it cannot search data\.seed: all of its trials share model and data"),
        ({"model.name": Choice(values=("x", "y"))}, r"it cannot search model\.name"),
    ],
)
def test_slots_take_distributions_of_one_model_and_data(search: dict[str, Distribution], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Arm(name="a", search=search, slots=3)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({L2: Uniform(low=-1.0, high=1.0)}, r"l2\.weight: .*greater than or equal to 0, got -1"),
        ({"stages.0.epochs": Uniform(low=1, high=5)}, r"stages\.0\.epochs: .*got 3\.47"),
        (
            {"stages.0.batch_size": Choice(values=(8, 32)), "stages.0.accumulation": Choice(values=(1, 16))},
            "accumulation must divide batch_size, got batch_size=8, accumulation=16",
        ),
    ],
)
def test_a_study_refuses_draws_that_would_not_fit(search: dict[str, Distribution], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StudyConfig(name="s", arms=(Arm(name="a", search=search, slots=3),))


def test_slots_cannot_be_narrowed_to_a_value() -> None:
    message = "arm a is a joint search of 3 slots, so it cannot be narrowed to a=0.5; select it whole: --arms a"
    with pytest.raises(InputError, match=message):
        Arm(name="a", search={L2: LogUniform(low=1e-4, high=1.0)}, slots=3).convert(TrialConfig(), "0.5")


@pytest.mark.parametrize("name", ["../../x", "", ".hidden", "a/b", "a b", "x" * 101, "a=b", "a,b"])
def test_names_cannot_leave_a_folder(name: str) -> None:
    with pytest.raises(ValidationError, match="a name takes letters, digits"):
        StudyConfig(name=name, arms=(Arm(name="a"),))


def test_describe_is_one_line() -> None:
    with pytest.raises(ValidationError) as caught:
        StudyConfig.model_validate({"name": "s", "arms": [{"name": "a"}], "seeds": 0, "colour": "blue"})
    text = describe(caught.value)
    assert "\n" not in text
    assert "seeds: input should be greater than or equal to 1, got 0" in text
    assert "colour: extra inputs are not permitted, got 'blue'" in text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_label_holds_the_whole_value(value: float) -> None:
    assert float(format_value(value)) == value


def test_draws_that_come_out_the_same_are_one_configuration() -> None:
    arm = Arm(name="a", search={"stages.0.batch_size": Choice(values=(8, 16, 32), samples=20)})
    assert sorted(config.stages[0].batch_size for _, config in arm.points(TrialConfig())) == [8, 16, 32]
