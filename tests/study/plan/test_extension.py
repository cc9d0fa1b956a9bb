from __future__ import annotations

from dataclasses import replace

import pytest

from study.config import Arm, StudyConfig
from study.plan.extension import extend, keep_rows
from study.plan.narrowing import narrow
from study.plan.planning import draft, plan
from study.search_space import Grid, LogUniform, Uniform
from trainables.config import TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.errors import InputError

KL, L2, HIDDEN = "stages.0.consistency.weight", "stages.0.penalties.l2.weight", "model.dropout.hidden"
SOURCE = StudyConfig(
    name="s",
    seeds=2,
    arms=(
        Arm(name="baseline"),
        Arm(name="kl", search={KL: Grid(values=(0.0, 0.5, 1.0))}),
        Arm(name="l2", search={L2: Grid(values=(0.1, 0.2))}),
        Arm(name="drawn", search={HIDDEN: Uniform(low=0.0, high=0.5, samples=2)}),
        Arm(name="search", search={L2: LogUniform(low=1e-4, high=1.0)}, slots=2),
    ),
)
STUDY = narrow(SOURCE, arms="baseline,kl=0.5,drawn,search")


def labels(study: StudyConfig) -> list[str]:
    return list(dict.fromkeys(trial.label for trial in draft(study)))


def content(config: TrialConfig) -> tuple[str, str]:
    return "model", "data"


def added(larger: StudyConfig) -> list[str]:
    """Labels and seeds of the new rows, after the check that every old row stays."""
    old = [replace(row, trial_id=f"old{i}") for i, row in enumerate(plan(STUDY, content))]
    rows = keep_rows(old, plan(larger, content))
    assert [row for row in rows if row.trial_id.startswith("old")] == sorted(old, key=rows.index)
    return [f"{row.label} {row.seed}" for row in rows if not row.trial_id.startswith("old")]


def test_seeds_are_added() -> None:
    larger = extend(STUDY, seeds=3)
    assert added(larger) == [f"{label} 2" for label in labels(STUDY)]
    assert extend(STUDY, seeds=2) == STUDY


def test_values_and_arms_are_added() -> None:
    larger = extend(STUDY, arms="kl=2,kl=0.5,l2=0.1", source=SOURCE)
    assert added(larger) == ["kl=2 0", "kl=2 1", "l2=0.1 0", "l2=0.1 1"]
    assert labels(larger)[:3] == ["baseline", "kl=0.5", "kl=2"]
    assert labels(extend(STUDY, arms="kl=2")) == ["baseline", "kl=0.5", "kl=2", *labels(STUDY)[2:]]
    whole = extend(STUDY, arms="kl", source=SOURCE)
    assert labels(whole)[1:4] == ["kl=0.5", "kl=0", "kl=1"]


def test_what_is_there_already_adds_nothing() -> None:
    assert extend(STUDY, arms="baseline,kl=0.5,drawn,search", source=SOURCE) == STUDY


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ("fpen", "study s has no arm 'fpen'; its arms are baseline, kl, drawn, search, l2"),
        ("drawn=0.3", "arm drawn draws its values or is not what it was when the study began"),
        ("search=0.3", "it cannot be narrowed to search=0.3"),
    ],
)
def test_what_cannot_be_added_is_said(arms: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        extend(STUDY, arms=arms, source=SOURCE)


def test_seeds_may_only_grow() -> None:
    with pytest.raises(InputError, match="study s has 2 seeds; --seeds of resume may only add, got 1"):
        extend(STUDY, seeds=1)


def test_an_arm_that_changed_is_refused() -> None:
    for arm in (
        Arm(name="kl", set={"stages.0.epochs": 9}, search={KL: Grid(values=(2.0,))}),
        Arm(name="kl", search={L2: Grid(values=(2.0,))}),
        Arm(name="drawn", search={HIDDEN: Uniform(low=0.0, high=0.5, samples=3)}),
    ):
        source = SOURCE.model_copy(update={"arms": (arm,)})
        with pytest.raises(InputError, match=f"arm {arm.name} draws its values or is not what it was"):
            extend(STUDY, arms=arm.name, source=source)


def test_an_arm_that_searches_what_the_base_changed_is_refused() -> None:
    base = with_values(STUDY.base, {L2: 0.3})
    with pytest.raises(InputError, match=r"l2\.weight is searched by arm l2; choose its value with --arms l2=VALUE"):
        extend(narrow(SOURCE, arms="baseline").model_copy(update={"base": base}), arms="l2", source=SOURCE)


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"consistency\.weight: .*greater than or equal to 0"):
        extend(STUDY, arms="kl=-1")


def test_a_plan_that_loses_or_changes_a_trial_is_refused() -> None:
    old = plan(STUDY, content)
    with pytest.raises(InputError, match=r"kl=0\.5 with seed 0 is planned and would be removed; resume may only add"):
        keep_rows(old, plan(narrow(STUDY, arms="baseline,drawn,search"), content))
    with pytest.raises(InputError, match="baseline with seed 0 is planned and would be changed"):
        keep_rows(old, plan(narrow(STUDY, values={"stages.1.epochs": "9"}), content))
