"""Rows of the paraphrase task, after PAWS: do two sentences with nearly the same words mean the same?"""

from __future__ import annotations

from tools.bundled.data.changes import replaced, swapped
from tools.bundled.data.rows import Row
from tools.bundled.data.sampling import Sampler

LABELS = ("0", "1")


def draw(label: int, sampler: Sampler) -> Row:
    """Draw a row: one meaning in two wordings (label 1), or two meanings (label 0).

    The two sentences differ in every language. Both labels draw styles in the same way, except that a quarter of the
    negatives keep the style, as the swaps in PAWS keep the word order.
    """
    rng = sampler.rng
    while True:
        first = second = sampler.meaning()
        first_style, second_style = sampler.style(), sampler.style()
        if label == 0:
            second = swapped(first, rng) if rng.random() < 0.8 else replaced(first, sampler)
            if rng.random() < 0.25:
                second_style = first_style
        row = Row.say(label, (first, first_style), (second, second_style))
        if row.differs_everywhere():
            return row
