"""What lies behind a mean: the spread of Tr(F) over examples, and accuracy on halves of a split."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

QUANTILES = {"median": 0.5, "q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}
TOP_PERCENT = (1, 5)


def spread(values: torch.Tensor) -> dict[str, float]:
    """Quantiles of non-negative values and the share of their sum that the largest hold.

    Args:
        values: float64 ``[examples]``.

    Returns:
        ``median``, ``q05``, ``q25``, ``q75``, ``q95`` (linear between order statistics), and ``top1``, ``top5``: the
        share of the sum in the largest 1 and 5 % of the examples, rounded up; the shares are absent where the sum is 0.

    Example:
        >>> found = spread(torch.tensor([1.0, 2.0, 3.0, 4.0, 90.0], dtype=torch.float64))
        >>> found["median"], found["top1"]
        (3.0, 0.9)
    """
    found = {name: float(values.quantile(level)) for name, level in QUANTILES.items()}
    total = float(values.sum())
    if total > 0:
        largest = values.sort(descending=True).values
        for percent in TOP_PERCENT:
            found[f"top{percent}"] = float(largest[: math.ceil(percent * len(values) / 100)].sum()) / total
    return found


def halves_right(
    logits: torch.Tensor, labels: torch.Tensor, halves: tuple[Sequence[int], Sequence[int]]
) -> dict[str, float]:
    """Accuracy on each half of a split.

    Args:
        logits: ``[examples, num_classes]``.
        labels: ``[examples]``.
        halves: Row numbers of both.

    Returns:
        ``half1`` and ``half2`` to the share of right predictions (fraction); none where a half is empty.
    """
    if not all(halves):
        return {}
    right = (logits.argmax(-1) == labels).double()
    return {f"half{number}": float(right[list(rows)].mean()) for number, rows in enumerate(halves, start=1)}
