import math

import pytest
import torch

from trainables.measuring.evaluation import score


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


def macro_f1(pairs):
    """Mean over the classes that occur of the harmonic mean of precision and recall, from (predicted, label)."""
    scores = []
    for c in {number for pair in pairs for number in pair}:
        hits = sum(pair == (c, c) for pair in pairs)
        precision = hits / max(1, sum(a == c for a, _ in pairs))
        recall = hits / max(1, sum(b == c for _, b in pairs))
        scores.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return sum(scores) / len(scores)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_scores_equal_their_definitions(classes):
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(200, classes, generator=generator, dtype=torch.float64) * 2
    labels = torch.randint(classes, (200,), generator=generator)
    found = score(logits, labels)
    assert (found.accuracy, found.nll, found.ece) == pytest.approx(naive(logits, labels), abs=1e-12)
    pairs = list(zip(logits.argmax(-1).tolist(), labels.tolist(), strict=True))
    assert found.f1 == pytest.approx(macro_f1(pairs), abs=1e-12)


def test_a_class_that_occurs_nowhere_is_no_part_of_macro_f1():
    logits = torch.tensor([[3.0, 0.0, 0.0, 0.0], [0.0, 3.0, 0.0, 0.0], [0.0, 3.0, 0.0, 0.0]])
    assert score(logits, torch.tensor([0, 1, 2])).f1 == pytest.approx((1 + 2 / 3 + 0) / 3)
