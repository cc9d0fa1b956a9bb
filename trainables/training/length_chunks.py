"""Parts of a batch with examples of similar length, so that a pass computes less padding.

The parts' logits are joined again before any loss is computed, so the objective is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

# The fixed cost of one more pass, in tokens of an encoder one unit wide: measured on one CPU thread, 220 tokens at a
# width of 96.
PASS_COST = 2_000_000
MOST_PARTS = 8


def length_chunks(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Divide a batch, by ascending length, into the number of equal parts that costs least.

    Args:
        lengths: Pieces of each example.
        width: Hidden size of the encoder; a token costs its square.

    Returns:
        Positions in the batch, part by part; a single part in the given order where dividing does not pay.

    Example:
        >>> length_chunks([9, 100, 10, 98], width=768), length_chunks([9, 100, 10, 98], width=96)
        ([[0, 2], [3, 1]], [[0, 1, 2, 3]])
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    best = [list(range(len(lengths)))]
    least = len(lengths) * max(lengths) + PASS_COST / width**2
    parts = 2
    while parts <= min(MOST_PARTS, len(lengths)):
        bounds = [round(i * len(order) / parts) for i in range(parts + 1)]
        chunks = [order[a:b] for a, b in pairwise(bounds)]
        cost = sum(len(chunk) * lengths[chunk[-1]] for chunk in chunks) + parts * PASS_COST / width**2
        if cost < least:
            best, least = chunks, cost
        parts *= 2
    return best
