import math

import pytest
import torch

from trainables.evaluation import score


def naive(logits, labels):
    """Accuracy, NLL and ECE by their definitions, one example at a time."""
    rows = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(v) for v in row)
        p = [math.exp(v) / total for v in row]
        rows.append((max(p), p.index(max(p)) == label, -math.log(p[label])))
    n = len(rows)
    ece = 0.0
    for b in range(15):
        inside = [r for r in rows if b / 15 < r[0] <= (b + 1) / 15]
        if inside:
            confidence = sum(r[0] for r in inside) / len(inside)
            accuracy = sum(r[1] for r in inside) / len(inside)
            ece += len(inside) / n * abs(accuracy - confidence)
    return sum(r[1] for r in rows) / n, sum(r[2] for r in rows) / n, ece


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_scores_equal_their_definitions(classes):
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(200, classes, generator=generator, dtype=torch.float64) * 2
    labels = torch.randint(classes, (200,), generator=generator)
    found = score(logits, labels)
    assert (found.accuracy, found.nll, found.ece) == pytest.approx(naive(logits, labels), abs=1e-12)
