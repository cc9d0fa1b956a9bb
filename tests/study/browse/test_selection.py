"""Rows and columns of the trials table, on a table small enough to see."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from study.browse.selection import check_options, select
from trainables.errors import InputError

NOTHING: dict[str, Any] = {
    "sort": None, "descending": False, "where": None, "columns": None, "json": False, "csv": False,
}  # fmt: skip


@pytest.fixture
def trials() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "trial_id": ["a", "b", "c", "d"],
            "arm": ["kl", "kl", "fpen", "baseline"],
            "seed": [0, 1, 10, 2],
            "accuracy.en": [0.5, 0.75, None, 0.5],
            "config.stages.0.clip": [1.0, None, 1.0, 1.0],
            "config.measure.trace_train": [True, False, True, True],
            "reason": [None, None, "OSError: a = b", None],
            "seconds": [None, None, None, None],
        }
    )


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ([], "abcd"),
        (["arm=kl"], "ab"),
        (["arm!=kl"], "cd"),
        ([" arm = kl ", "seed>=1"], "b"),
        (["seed<10"], "abd"),  # as numbers: as text "10" is below "2"
        (["seed<=2.0"], "abd"),
        (["seed>2"], "c"),
        (["seed=1e0"], "b"),
        (["accuracy.en=0.50"], "ad"),
        (["accuracy.en!=0.5"], "bc"),
        (["accuracy.en<1"], "abd"),
        (["accuracy.en=null"], "c"),
        (["accuracy.en!=null"], "abd"),
        (["config.stages.0.clip=null"], "b"),
        (["config.measure.trace_train=false"], "b"),
        (["reason!=null"], "c"),
        (["reason=OSError: a = b"], "c"),
        (["reason="], ""),
        (["arm=nobody"], ""),
        (["seconds>5"], ""),  # nothing is known of any trial yet
    ],
)
def test_where(trials: pd.DataFrame, where: list[str], kept: str) -> None:
    assert "".join(select(trials, where=where).trial_id) == kept


@pytest.mark.parametrize(
    ("sort", "descending", "order"),
    [
        ("seed", False, "abdc"),
        ("seed", True, "cdba"),
        ("-seed", False, "cdba"),
        ("accuracy.en", False, "adbc"),  # equal values keep the plan's order, missing ones come last
        ("-accuracy.en", False, "badc"),
        ("arm", False, "dcab"),
    ],
)
def test_sort(trials: pd.DataFrame, sort: str, descending: bool, order: str) -> None:
    assert "".join(select(trials, sort=sort, descending=descending).trial_id) == order


def test_columns_keep_their_order(trials: pd.DataFrame) -> None:
    assert list(select(trials, columns="seed, arm,").columns) == ["seed", "arm"]


def test_rows_may_be_chosen_by_columns_that_are_not_shown(trials: pd.DataFrame) -> None:
    chosen = select(trials, where=["arm=kl"], sort="-seed", columns="trial_id")
    assert chosen.to_dict("list") == {"trial_id": ["b", "a"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": ["accuracy=1"]}, "no column 'accuracy'; did you mean accuracy.en?"),
        ({"where": ["stages.0.clip=1"]}, "no column 'stages.0.clip'; did you mean config.stages.0.clip?"),
        ({"sort": "-sed"}, "no column 'sed'; did you mean seed?"),
        ({"columns": "arm,xyzzy"}, "no column 'xyzzy'; --csv begins with all of them"),
        ({"columns": ","}, "--columns takes names of columns with commas, got none"),
        ({"where": ["arm"]}, "--where takes COLUMN, one of = != < <= > >=, and a value, got 'arm'"),
        ({"where": ["arm==kl"]}, "--where takes COLUMN, one of = != < <= > >=, and a value, got 'arm==kl'"),
        ({"where": ["seed=one"]}, "--where seed=one: column seed holds numbers, got 'one'"),
        ({"where": ["arm<kl"]}, "--where arm<kl: column arm holds no numbers; compare it with = or !="),
    ],
)
def test_what_cannot_be_understood_is_said(trials: pd.DataFrame, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        select(trials, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("trial", "given", "message"),
    [
        ("kl=1", {"sort": "seed"}, "choose among the trials of a study; leave them or 'kl=1' out"),
        ("kl=1", {"where": ["seed=1"]}, "leave them or 'kl=1' out"),
        ("kl=1", {"columns": "seed"}, "leave them or 'kl=1' out"),
        (None, {"json": True, "csv": True}, "choose one of --json and --csv"),
        (None, {"descending": True}, "--descending needs --sort COLUMN"),
    ],
)
def test_no_option_is_ignored(trial: str | None, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        check_options(trial, **(NOTHING | given))
    assert message in str(error.value)


def test_options_that_go_together() -> None:
    check_options("kl=1", **NOTHING)
    check_options(None, **(NOTHING | {"sort": "seed", "descending": True, "json": True, "where": ["seed=1"]}))
