"""The benchmark of bfloat16: the product's own passes in both formats, and what it says of its bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import precision
from benchmarks.precision import BATCH, Bench, compare, main, table
from trainables.errors import InputError

TINY = {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """On any CPU: without instructions for it autocast is slow, not wrong."""
    monkeypatch.setattr(precision, "training_dtype", lambda *_: torch.bfloat16)
    return Bench(TINY, 1)


def test_every_measurement_is_taken_in_both_formats(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, torch.dtype]] = []
    forward = bench.model.bert.encoder.forward

    def watched(*args: Any, **options: Any) -> Any:
        found = forward(*args, **options)
        narrow = torch.is_autocast_enabled("cpu")
        seen.append((len(found[0]), torch.get_autocast_dtype("cpu") if narrow else torch.float32))
        return found

    monkeypatch.setattr(bench.model.bert.encoder, "forward", watched)
    for measure in bench.measures.values():
        for dtype in precision.FORMATS:
            seen.clear()
            assert measure(dtype) > 0
            assert set(seen) == {(BATCH, dtype)}
    monkeypatch.undo()
    found = compare(bench, 1)
    assert list(found) == list(bench.measures)
    assert 0 < found["evaluation"]["loss_difference"] < 0.1


def test_the_bar_is_met_or_not() -> None:
    row = {"seconds": [3.0, 2.0], "ratio": 1.5, "ratio_range": [1.4, 1.6], "loss_difference": 1e-3}
    lines = table({"slow": {"training step": row}, "fast": {"training step": row | {"ratio": 1.7}}})
    assert lines[2] == "| slow | training step | 3.000 | 2.000 | 1.50 | 1.40 to 1.60 | 1e-03 |"
    assert [line.rsplit(": ", 1)[1] for line in lines[-2:]] == ["NOT MET", "met"]


def test_a_run_of_all_shapes_is_written(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(precision, "SHAPES", {"tiny": TINY})
    monkeypatch.setattr(precision, "RESULTS", tmp_path)
    main(["--shapes", "tiny", "--rounds", "1", "--steps", "1"])
    assert "| tiny | evaluation |" in (tmp_path / "precision.md").read_text(encoding="utf-8")
    assert (tmp_path / "precision.json").exists()


def test_a_cpu_without_it_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("model.precision=bfloat16, but the CPU here does not compute in it")

    monkeypatch.setattr(precision, "SHAPES", {"tiny": TINY})
    monkeypatch.setattr(precision, "training_dtype", refuse)
    with pytest.raises(SystemExit) as exit_:
        main(["--shapes", "tiny"])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
