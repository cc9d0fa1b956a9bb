"""The benchmark of regularisers covers everything that there is, and says of each bar whether it was met."""

from __future__ import annotations

import pytest

from benchmarks import regularizers
from benchmarks.regularizers import BARS, Bench, bars, methods, sampling_speed, table, timings
from trainables.config import PenaltiesConfig
from trainables.models.files import load_model_files
from trainables.regularizers.presets import PRESETS
from trainables.views.view import VIEWS


def test_every_preset_penalty_and_noise_is_a_method() -> None:
    found = methods()
    assert {*PRESETS, *PenaltiesConfig.model_fields, *BARS} <= set(found)
    assert {f"noise: {kind}" for kind, view in VIEWS.items() if view.alone} <= set(found)


@pytest.mark.slow
def test_every_method_trains_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regularizers, "BATCH", 8)
    bench = Bench("mini", 1)
    assert set(bench.configs) == set(methods())
    found = timings(bench, 1)
    assert found["plain"]["time"] == 1
    assert found["plain"]["growth_of_pieces"] > 1
    assert all(row["time"] > 0 for row in found.values())
    assert "| mvr |" in "\n".join(table({"mini": found}))


def test_words_a_second_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    from trainables.config import ModelConfig

    monkeypatch.setattr(regularizers, "E5", tmp_path / "absent")
    assert list(regularizers.vocabularies()) == ["WordPiece, mini"]
    assert regularizers.cases() == ["mini"]
    speed = sampling_speed(load_model_files(ModelConfig(name="mini")).tokenizer, 1)
    assert speed["words"] > 10_000
    assert speed["cold"] > 0
    assert speed["warm"] > 0


def test_bars_are_met_or_not() -> None:
    steps = {name: {"time": 2.2} for name in BARS} | {"plain": {"growth_of_pieces": 1.1, "sampling_share": 0.06}}
    lines = bars({"real": steps}, {"Unigram": {"cold": 29_000.0, "warm": 90_000.0}})
    verdicts = {line.split(":")[0].removeprefix("- "): line.rsplit(": ", 1)[1] for line in lines}
    assert verdicts == {
        "real, r_drop": "NOT MET",
        "real, r3f": "NOT MET",
        "real, mvr": "met",
        "real, smart": "met",
        "real, sam": "NOT MET",
        "real, subword sampling, share of a plain step": "NOT MET",
        "subword sampling, Unigram": "NOT MET",
    }
