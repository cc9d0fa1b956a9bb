"""An arm of dropout on a model without any is left out; the others stay."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from study.catalog import xnli
from study.plan.narrowing import narrow
from study.plan.planning import draft
from study.sweep.inputs import left_out, resolve, without
from trainables.config import TrialConfig

LINE = "arm dropout is left out: model mini has none of the dropout that it sets"


class FakeAssets:
    """Assets whose only model is of one type."""

    def __init__(self, model_type: str) -> None:
        self.config = {"model_type": model_type}
        self.notes: list[str] = []
        self.checked: list[TrialConfig] = []

    def model(self, config: TrialConfig) -> Any:
        return SimpleNamespace(config=self.config)

    def check(self, configs: list[TrialConfig]) -> None:
        self.checked = configs
        self.notes[:] = ["a note"]


@pytest.mark.parametrize("bundled", [True, False])
def test_a_model_without_dropout_loses_the_arm(bundled: bool) -> None:
    study = xnli(bundled)
    assets: Any = FakeAssets("mpt")
    lines = left_out(draft(study), assets)
    assert list(lines) == ["dropout"]
    possible = without(study, lines)
    assert [arm.name for arm in possible.arms] == ["baseline", "kl", "fpen", "l2", "decay", "noise"]


@pytest.mark.parametrize("kind", ["bert", "modernbert", "eurobert", "llama", "gemma3_text", "t5"])
def test_a_model_with_some_of_it_keeps_the_arm(kind: str) -> None:
    study = xnli(True)
    assets: Any = FakeAssets(kind)
    assert left_out(draft(study), assets) == {}
    assert without(study, ()) == study


@pytest.mark.parametrize(("arms", "values"), [("dropout", {}), ("baseline,l2", {"model.dropout.classifier": "0.1"})])
def test_where_no_arm_would_remain_none_is_left_out(arms: str, values: dict[str, str]) -> None:
    study = narrow(xnli(True), arms=arms, values=values)
    assets: Any = FakeAssets("mpt")
    assert left_out(draft(study), assets) == {}


def test_it_is_said_and_the_others_are_checked(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assets = FakeAssets("mpt")
    monkeypatch.setattr("trainables.assets.Assets.resolve", lambda configs: assets)
    monkeypatch.setattr("trainables.rehearsal.check.check", FakeAssets.check)
    study = xnli(True)
    rows = draft(study)
    assert resolve(study, rows, Console(file=io.StringIO())) == (assets, without(study, ["dropout"]))
    assert assets.notes == [LINE, "a note"]
    assert f"note: {LINE}\n" in capsys.readouterr().err
    assert assets.checked == [row.config for row in rows if row.arm != "dropout"]
