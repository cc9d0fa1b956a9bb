"""The benchmark of curvature: ways agree with the definition, and another library that cannot says so in the table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks import curvature
from benchmarks.curvature import Bench, Case, attempt, table, timings
from benchmarks.peers import PEERS, by_label, difference, with_positions

TINY = Case(2, 16, 2, 12, 5, 3, True, (), 200)


def test_differences_are_by_example_or_of_the_sum() -> None:
    exact = torch.tensor([1.0, 2.0])
    assert difference(torch.tensor([1.1, 2.0]), exact) == pytest.approx(0.1)
    assert difference(torch.tensor(3.3), exact) == pytest.approx(0.1)


def test_a_pass_a_label_is_the_definition() -> None:
    bench = Bench(replace(TINY, batch=1))
    inputs = with_positions(bench.batch)

    def norms() -> torch.Tensor:
        return sum(p.grad.square().sum() for p in bench.model.parameters() if p.grad is not None)

    assert difference(by_label(lambda: bench.model(**inputs), norms, bench.model.zero_grad), bench.loop()) < 1e-5


@pytest.mark.parametrize("name", PEERS)
def test_another_library_agrees_or_says_why_not(name: str) -> None:
    bench = Bench(TINY)
    found = attempt(bench, name)
    if isinstance(found, str):
        assert found.startswith(("not installed: ", "cannot: "))
        return
    assert found is not None
    assert difference(found, bench.loop()) < (1 if "," in name else 1e-5)


def test_the_table_has_a_row_for_what_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: Any) -> Any:
        raise NotImplementedError("no such layer")

    monkeypatch.setitem(PEERS, "opacus", cannot)
    case = replace(TINY, methods=("plain", "exact", "loop", "opacus"))
    monkeypatch.setattr(curvature, "CASES", {"tiny": case})
    found = timings(case, 1)
    assert found["loop"]["worst_example"] < 1e-5
    assert "| opacus | - | - | - | - | cannot: no such layer |" in table({"tiny": found})
