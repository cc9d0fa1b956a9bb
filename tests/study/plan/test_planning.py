from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from study.catalog import sib200
from study.config import Arm, StudyConfig
from study.plan.narrowing import absolute_folders, narrow, parse_settings
from study.plan.planning import differences, draft, identify, plan, probes
from study.search_space import Grid, LogUniform
from trainables.config import ModelConfig, TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.data.task_data import load_task_data
from trainables.errors import InputError

KL = "stages.0.consistency.weight"
L2 = "stages.0.penalties.l2.weight"
HIDDEN, ATTENTION = "model.dropout.hidden", "model.dropout.attention"

STUDY = StudyConfig(
    name="s",
    base=TrialConfig(seed=5),
    seeds=2,
    arms=(
        Arm(name="baseline"),
        Arm(name="kl", search={KL: Grid(values=(0.0, 0.5, 1.0))}),
        Arm(name="l2", search={L2: Grid(values=(0.1, 0.2))}),
        Arm(name="dropout", search={HIDDEN: Grid(values=(0.2,), also=(ATTENTION,))}),
        Arm(name="both", set={"stages.0.epochs": 1}, search={KL: Grid(values=(1,)), L2: Grid(values=(1,))}),
    ),
)


def content(config: TrialConfig) -> tuple[str, str]:
    """A model and a data set that are the same wherever they lie."""
    return "the model", "the data"


def labels(study: StudyConfig) -> list[str]:
    return list(dict.fromkeys(trial.label for trial in draft(study)))


def test_the_plan_is_arm_then_point_then_seed() -> None:
    rows = plan(STUDY, content)
    assert [(row.label, row.seed) for row in rows[:5]] == [
        ("baseline", 5), ("baseline", 6), ("kl=0", 5), ("kl=0", 6), ("kl=0.5", 5),
    ]  # fmt: skip
    assert len(rows) == len({row.trial_id for row in rows}) == 2 * (1 + 3 + 2 + 1 + 1)
    assert all(row.config.seed == row.seed for row in rows)


def test_arms_select_whole_arms_and_values() -> None:
    assert labels(narrow(STUDY, arms="l2,baseline")) == ["baseline", "l2=0.1", "l2=0.2"]
    chosen = narrow(STUDY, arms="baseline, kl=0.6,kl=2,dropout=0.3")
    assert labels(chosen) == ["baseline", "kl=0.6", "kl=2", "dropout=0.3"]
    assert labels(narrow(STUDY, arms=" baseline , kl = 0.6, kl= 2,dropout=0.3,")) == labels(chosen)
    dropout = draft(chosen)[-1].config.model.dropout
    assert (dropout.hidden, dropout.attention) == (0.3, 0.3)


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ("baseline,kll=1", "study s has no arm 'kll'; its arms are baseline, kl, l2, dropout, both"),
        ("", "study s has no arm ''"),
        ("kl,kl=1", "takes arm kl either whole or with values"),
        ("kl=1,kl=1.0", "names a value of arm kl twice"),
        ("baseline=3", "arm baseline searches 0 paths, so it cannot be narrowed to baseline=3"),
        ("both=1", "arm both searches 2 paths"),
        ("kl=much", r"consistency\.weight: .*, got 'much'"),
        ("kl=-1", r"consistency\.weight: .*greater than or equal to 0"),
    ],
)
def test_arms_that_make_no_sense_are_refused(arms: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        narrow(STUDY, arms=arms)


def test_set_changes_the_base_of_every_arm() -> None:
    study = narrow(STUDY, values={"stages.1.epochs": "7", "data.languages": "de,es"})
    assert {row.config.stages[1].epochs for row in draft(study)} == {7}
    assert {row.config.data.languages for row in draft(study)} == {("de", "es")}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({KL: "1"}, r"weight is searched by arm kl; choose its value with --arms kl=VALUE, or leave the arm out to"),
        ({ATTENTION: "0.1"}, r"attention is searched by arm dropout"),
        ({"stages.0.epochs": "3"}, r"stages\.0\.epochs is fixed by arm both; leave the arm out"),
        ({"stages.0.epoch": "3"}, r"did you mean stages\.0\.epochs\?"),
        ({"stages.1.epochs": "three"}, r"stages\.1\.epochs: .*, got 'three'"),
    ],
)
def test_set_is_checked(values: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        narrow(STUDY, values=values)


def test_a_path_is_free_when_its_arm_is_left_out() -> None:
    study = narrow(STUDY, arms="baseline,l2", values={KL: "2"})
    assert all(row.config.stages[0].consistency is not None for row in draft(study))


def test_a_setting_of_a_part_that_the_base_lacks_is_for_the_arms_that_have_it(tmp_path: Path) -> None:
    words = tmp_path / "words.tsv"
    values = {
        "stages.0.penalties.l2.exempt_biases_and_norms": "true",
        "stages.0.consistency.view.kind": "code_switch",
        "stages.0.consistency.view.files": f"de={words.parent / '.' / words.name}",
    }
    trials = {row.label: row.config.stages[0] for row in draft(narrow(STUDY, values=values))}
    assert trials["baseline"].penalties.l2 is trials["baseline"].consistency is trials["kl=1"].penalties.l2 is None
    assert all(trials[name].penalties.l2.exempt_biases_and_norms for name in ("l2=0.1", "both=1/1"))  # type: ignore[union-attr]
    assert trials["l2=0.1"].consistency is None
    assert trials["kl=1"].consistency.view.files == f"de={words}"  # type: ignore[union-attr]
    assert [row.trial_id for row in plan(narrow(STUDY, values=values), content)][:2] == [
        row.trial_id for row in plan(STUDY, content)
    ][:2]


@pytest.mark.parametrize(
    ("arms", "values", "message"),
    [
        (None, {"stages.0.penalties.fisher.every": "2"}, r"no trial here has .*fisher; set .*fisher\.weight, too"),
        ("baseline,kl", {"stages.0.penalties.l2.form": "lazy"}, r"no trial here has stages\.0\.penalties\.l2;"),
        ("baseline", {"stages.0.consistency.view.kind": "subword"}, r"consistency\.weight or .*\.preset, too"),
        (None, {"stages.0.until.every": "5"}, r"no trial here has stages\.0\.until; set .*train_nll, too"),
        (None, {"model.lora.alpha": "4"}, r"no trial here has model\.lora; set model\.lora\.rank, too"),
        (None, {"stages.0.penalties.l2.form": "lasy"}, r"l2\.form: .*'lazy' or 'plain', got 'lasy'"),
    ],
)
def test_a_setting_alone_switches_no_part_on(arms: str | None, values: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        narrow(STUDY, arms=arms, values=values)


def test_a_part_is_switched_on_in_the_base_by_its_weight() -> None:
    fisher = "stages.0.penalties.fisher"
    study = narrow(STUDY, values={f"{fisher}.every": "2", f"{fisher}.weight": "0.1"})
    assert {(f.weight, f.every) for row in draft(study) if (f := row.config.stages[0].penalties.fisher)} == {(0.1, 2)}
    assert narrow(STUDY, values={"measure.expansion.draws": "3"}).base.measure.expansion is not None


def test_seeds_and_name() -> None:
    study = narrow(STUDY, seeds=1, name="other")
    assert study.name == "other"
    assert {row.seed for row in draft(study)} == {5}
    with pytest.raises(InputError, match=r"a name takes letters.*'\.\./\.\./x'"):
        narrow(STUDY, name="../../x")


def test_settings_are_path_and_value() -> None:
    assert parse_settings(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    assert parse_settings([" a =1"]) == {"a": "1"}
    with pytest.raises(InputError, match="--set takes PATH=VALUE, got 'a'"):
        parse_settings(["a"])
    with pytest.raises(InputError, match="a is set twice, to '1' and to '2'"):
        parse_settings(["a=1", "a=2"])


def test_the_same_content_elsewhere_gives_the_same_ids(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    ids = []
    for name in ("here", "there"):
        values = {"model.name": str(tmp_path / name), "data.source": str(tmp_path / name)}
        ids.append([row.trial_id for row in plan(narrow(STUDY, values=values), content)])
    assert ids[0] == ids[1]


def test_a_data_set_that_a_file_describes_is_found_from_anywhere_and_elsewhere_gives_the_same_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = with_values(TrialConfig(), {"data.name": "my_set.py:SET"})
    found = absolute_folders(config)
    assert found.data.name == f"{tmp_path.resolve()}/my_set.py:SET"
    assert identify(found, "m", "d") == identify(config, "m", "d")


def test_a_custom_task_elsewhere_gives_the_same_ids_and_another_draw_others(tmp_path: Path) -> None:
    def ids(folder: Path, **values: str) -> list[str]:
        study = StudyConfig(name="s", arms=(Arm(name="baseline"),), seeds=2)
        base = {"data.name": "custom", "data.source": str(folder), "data.languages": "de", "data.train_examples": "4"}
        own = narrow(study, values=base | {f"data.{name}": value for name, value in values.items()})
        return [row.trial_id for row in plan(own, lambda c: ("the model", load_task_data(c.data).fingerprint))]

    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        for name in ("train-en", "dev-en", "dev-de"):
            lines = "".join(f"sentence {name} {i}\t{'yes' if i % 2 else 'no'}\n" for i in range(9))
            (folder / f"{name}.tsv").write_text(lines)
    assert ids(here) == ids(there)
    assert not set(ids(here)) & set(ids(here, seed="1"))
    (there / "dev-de.tsv").write_text((there / "dev-de.tsv").read_text().replace("sentence", "Satz"))
    assert not set(ids(here)) & set(ids(there))


def test_other_content_or_another_number_gives_another_id() -> None:
    config = TrialConfig()
    first = identify(config, "m", "d")
    assert identify(config, "m", "d") == first
    assert identify(config, "n", "d") != first
    assert identify(config, "m", "e") != first
    assert identify(config.model_copy(update={"seed": 1}), "m", "d") != first
    assert identify(with_values(config, {L2: 0.0}), "m", "d") != first
    assert identify(config.model_copy(update={"model": ModelConfig(revision="v2")}), "m", "d") == first


def test_ids_are_those_of_earlier_versions() -> None:
    parts = {
        KL: 0.5, "stages.0.penalties.fisher.weight": 0.1, "stages.1.penalties.l2.weight": 1e-5,
        "stages.0.noise.kind": "code_switch", "stages.0.noise.files": "bundled", "measure.expansion.draws": 3,
    }  # fmt: skip
    assert identify(TrialConfig(), "m", "d") == "281efa704271"
    assert identify(with_values(TrialConfig(), parts), "m", "d") == "3191efb14d86"


def test_arm_and_label_are_not_in_the_id() -> None:
    other = StudyConfig(name="t", base=STUDY.base, arms=(Arm(name="renamed", search={L2: Grid(values=(0.2,))}),))
    ids = {row.trial_id for row in plan(STUDY, content)}
    assert {row.trial_id for row in plan(other, content)} <= ids


def test_one_trial_twice_is_refused() -> None:
    study = StudyConfig(name="s", arms=(Arm(name="baseline"), Arm(name="few", set={"stages.0.epochs": 5})))
    with pytest.raises(InputError, match=r"baseline and few are the same trial \(seed 0\)"):
        plan(study, content)


def test_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("model", "mini"):
        Path(name).mkdir()
    study = narrow(STUDY, values={"model.name": "model"})
    assert study.base.model.name == str(tmp_path / "model")
    assert narrow(STUDY, values={"model.name": "mini"}).base.model.name == "mini"
    assert narrow(STUDY, values={"model.name": "org/model"}).base.model.name == "org/model"


SEARCH = Arm(name="search", search={L2: LogUniform(low=1e-4, high=1.0)}, slots=3)
JOINT = StudyConfig(name="j", seeds=2, arms=(Arm(name="baseline"), SEARCH))


def test_slots_are_planned_before_they_are_drawn() -> None:
    rows = plan(JOINT, content)[2:]
    assert [(row.label, row.seed, row.slot) for row in rows] == [
        ("search#001", 0, 1), ("search#001", 1, 1), ("search#002", 0, 2), ("search#002", 1, 2), ("search#003", 0, 3),
        ("search#003", 1, 3),
    ]  # fmt: skip
    assert {row.slot for row in plan(STUDY, content)} == {None}
    assert len({row.trial_id for row in rows}) == 6


def test_the_id_of_a_slot_is_made_of_space_set_base_slot_and_seed() -> None:
    ids = {row.trial_id for row in plan(JOINT, content)}

    def others(arm: Arm, **base: Any) -> set[str]:
        study = StudyConfig(name="other", seeds=2, base=TrialConfig(**base), arms=(arm,))
        return {row.trial_id for row in plan(study, content)}

    assert others(SEARCH.model_copy(update={"name": "renamed", "slots": 2})) < ids
    wider = {L2: LogUniform(low=1e-4, high=2.0)}
    for arm in (SEARCH.model_copy(update={"search": wider}), SEARCH.model_copy(update={"set": {KL: 1.0}})):
        assert not others(arm) & ids
    assert not others(SEARCH, measure={"trace_examples": 7}) & ids
    assert not {row.trial_id for row in plan(JOINT, lambda config: ("other", "the data"))} & ids


def test_a_joint_search_is_selected_whole() -> None:
    assert labels(narrow(JOINT, arms="search")) == ["search#001", "search#002", "search#003"]
    with pytest.raises(InputError, match="it cannot be narrowed to search=1; select it whole: --arms search"):
        narrow(JOINT, arms="search=1")
    with pytest.raises(InputError, match=r"l2\.weight is searched by arm search; leave the arm out to set it"):
        narrow(JOINT, values={L2: "1"})


def test_the_bounds_of_a_joint_space_can_be_tried() -> None:
    assert probes(STUDY) == []
    weights = [row.config.stages[0].penalties.l2 for row in probes(JOINT)]
    assert {None if weight is None else weight.weight for weight in weights} >= {1e-4, 1.0}


def test_differences_of_a_joint_space_are_said() -> None:
    changed = JOINT.model_copy(update={"arms": (JOINT.arms[0], SEARCH.model_copy(update={"slots": 4}))})
    space = f"slots, drawn by Optuna from {L2}: 0.0001 to 1 (log scale)"
    assert differences(JOINT, changed) == [f"arm search: 3 {space} -> 4 {space}"]


def test_differences_name_what_changed() -> None:
    assert differences(STUDY, STUDY.model_copy(update={"description": "other words"})) == []
    changed = narrow(STUDY, seeds=3, arms="baseline,kl=0.5,l2", values={"stages.1.epochs": "7"})
    assert differences(STUDY, changed) == [
        "stages.1.epochs: 3 -> 7",
        "seeds: 2 -> 3",
        "arm kl: kl=0 kl=0.5 kl=1 -> kl=0.5",
        "arm dropout: dropout=0.2 -> absent",
        "arm both: both=1/1 -> absent",
    ]
    fixed = STUDY.model_copy(update={"arms": (*STUDY.arms[1:], Arm(name="baseline", set={"stages.1.epochs": 4}))})
    assert differences(STUDY, fixed) == [
        'arm baseline: {"set": {}, "search": {}} -> {"set": {"stages.1.epochs": 4}, "search": {}}'
    ]
    reordered = STUDY.model_copy(update={"arms": STUDY.arms[::-1]})
    assert differences(STUDY, reordered) == [
        "order of arms: baseline, kl, l2, dropout, both -> both, dropout, l2, kl, baseline"
    ]


def test_the_share_of_a_fitted_model_is_the_studys_own_and_changes_no_trial() -> None:
    changed = narrow(STUDY, values={"answer.fit": "0.9"})
    assert changed.answer.fit == 0.9
    assert [row.trial_id for row in plan(changed, content)] == [row.trial_id for row in plan(STUDY, content)]
    assert narrow(changed, seeds=2).answer.fit == 0.9
    with pytest.raises(InputError, match="answer.fit: input should be less than or equal to 1, got '1.5'"):
        narrow(STUDY, values={"answer.fit": "1.5"})
    with pytest.raises(InputError, match="answer.fits"):
        narrow(STUDY, values={"answer.fits": "0.9"})


def test_a_pattern_of_files_on_the_hub_is_no_file_of_this_machine() -> None:
    place = {"data.repository": "me/mine", "data.files": "{language}/{split}-*.parquet", "data.columns": "text,label"}
    config = with_values(TrialConfig(), {"data.name": "custom", "data.source": "hub", **place})
    assert absolute_folders(config) == config


def test_other_languages_narrow_the_second_stages_of_a_study() -> None:
    assert narrow(sib200(), values={"data.languages": "de,fr,zh"}).base.data.stage2_languages == ("de", "zh")
    assert narrow(sib200(), values={"data.languages": "fr,ar"}).base.data.second_stages == ("fr", "ar")
    chosen = narrow(sib200(), values={"data.languages": "fr,ar", "data.stage2_languages": "ar"})
    assert chosen.base.data.second_stages == ("ar",)
    with pytest.raises(InputError, match=r"'sw' is not among data.languages, de; set data.stage2_languages, too"):
        narrow(sib200(), values={"data.languages": "de", "data.stage2_languages": "sw"})
