"""Quantiles and shares of the largest, against sorting by hand; accuracy on halves."""

from __future__ import annotations

import math

import pytest
import torch

from trainables.measuring.evaluation import halves_right
from trainables.measuring.flatness import QUANTILES, spread


def quantile(values: list[float], level: float) -> float:
    """Linear between order statistics."""
    place = level * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


@pytest.mark.parametrize("count", [1, 2, 19, 100, 101, 500])
def test_a_heavy_tail_is_summed_up(count: int) -> None:
    values = torch.randn(count, dtype=torch.float64, generator=torch.Generator().manual_seed(count)).mul(2).exp()
    ordered = sorted(values.tolist())
    found = spread(values)
    for name, level in QUANTILES.items():
        assert found[name] == pytest.approx(quantile(ordered, level), rel=1e-12)
    for percent in (1, 5):
        largest = ordered[-max(1, -(-percent * count // 100)) :]
        assert found[f"top{percent}"] == pytest.approx(sum(largest) / sum(ordered), rel=1e-12)


def test_no_shares_of_nothing() -> None:
    found = spread(torch.zeros(5, dtype=torch.float64))
    assert found["median"] == 0
    assert "top1" not in found


def test_accuracy_on_halves() -> None:
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    labels = torch.tensor([1, 1, 0, 0, 0])
    assert halves_right(logits, labels, ([0, 1, 3], [2, 4])) == {"half1": 2 / 3, "half2": 0.5}
    assert halves_right(logits, labels, ([0, 1, 2, 3, 4], [])) == {}
