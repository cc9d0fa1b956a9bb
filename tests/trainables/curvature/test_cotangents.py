from __future__ import annotations

import pytest
import torch

from trainables.curvature.cotangents import label_score, labels_at, softmax_root


def logits_with_gap(gap: float, place: int, classes: int) -> torch.Tensor:
    logits = torch.linspace(0.0, 1.0, classes)
    logits[place] = 1.0 + gap
    return logits


@pytest.mark.parametrize("gap", [0.0, 10.0, 18.0, 25.0, 60.0])
@pytest.mark.parametrize(("classes", "place"), [(c, p) for c in (2, 3, 5) for p in range(c)])
def test_quadratic_form_equals_pair_sums_in_float64(gap: float, classes: int, place: int) -> None:
    logits = logits_with_gap(gap, place, classes)
    p = logits.double().softmax(0)
    vectors = torch.randn(20, classes, generator=torch.Generator().manual_seed(0))
    differences = vectors.double().unsqueeze(2) - vectors.double().unsqueeze(1)
    expected = 0.5 * (p.unsqueeze(1) * p * differences.square()).sum((1, 2))
    root = softmax_root(logits.unsqueeze(0))[0]
    assert root.dtype == torch.float32
    assert root.shape == (classes, classes - 1)
    assert torch.isfinite(root).all()
    # (S^T v) itself cancels where v is nearly constant: compare in the root's own float32 entries.
    found = (vectors.double() @ root.double()).square().sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0.0)


def test_float64_root_is_exact() -> None:
    logits = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 5
    p, root = logits.softmax(1), softmax_root(logits)
    torch.testing.assert_close(root @ root.mT, torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1))
    torch.testing.assert_close(root.sum(1), torch.zeros(7, 4, dtype=torch.float64))


def test_label_score_of_a_certain_float32_model_keeps_its_digits() -> None:
    logits = torch.tensor([[0.0, 20.0, 1.0]])
    labels = torch.tensor([1])
    expected = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64) - logits.double().softmax(1)
    torch.testing.assert_close(label_score(logits, labels).double(), expected, rtol=1e-6, atol=0.0)


def test_sampled_labels_have_the_models_frequencies() -> None:
    logits = torch.tensor([[0.0, 1.0, -2.0]])
    uniforms = torch.rand(1, 40_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = torch.bincount(labels_at(logits, uniforms)[0], minlength=3) / 40_000
    torch.testing.assert_close(found, logits.softmax(1)[0], rtol=0.0, atol=4 * 0.5 / 200)


def test_the_largest_uniform_number_gives_a_label() -> None:
    logits = torch.full((1, 7), 1 / 3)
    assert labels_at(logits, torch.tensor([[1.0 - 2**-53]], dtype=torch.float64)).tolist() == [[6]]
