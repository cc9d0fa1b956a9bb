"""Random signs over the directions of the exact trace: one pass for any number of labels."""

from __future__ import annotations

import pytest
import torch

from tests.reference import double, fisher_trace_by_loop, probabilities
from tests.trainables.curvature.cases import make_batch, make_model
from trainables.curvature import Estimator, fisher_trace
from trainables.curvature.cotangents import signed_root
from trainables.curvature.fast_path import ghost
from trainables.errors import InputError


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("gap", [0.0, 5.0, 30.0])
def test_mean_over_all_signs_is_the_fisher_information_of_the_logits(classes: int, gap: float) -> None:
    logits = torch.randn(6, classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits[:, 1] += gap
    p = probabilities(logits)
    expected = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    every = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * classes)
    found = torch.stack([signed_root(logits, signs.expand(6, -1)) for signs in every])
    mean = (found.unsqueeze(3) * found.unsqueeze(2)).mean(0)
    torch.testing.assert_close(mean, expected, rtol=1e-9, atol=1e-15)


def test_two_labels_leave_no_sign_to_draw() -> None:
    model, batch = double(make_model(classes=2)), make_batch()
    found = fisher_trace(model, [batch], estimator="signs").per_example
    torch.testing.assert_close(found, fisher_trace_by_loop(model, batch), rtol=1e-10, atol=0.0)


def test_four_hundred_draws_are_within_two_standard_errors_of_exact() -> None:
    model, batch = make_model(classes=12), make_batch()
    exact = fisher_trace_by_loop(model, batch)
    generator = torch.Generator().manual_seed(3)
    draws = torch.stack([
        fisher_trace(model, [batch], estimator="signs", generator=generator).per_example for _ in range(400)
    ])  # fmt: skip
    mean, error = draws.mean(1).mean(), draws.mean(1).std() / 20
    assert abs(float(mean - exact.mean())) < 2 * float(error)
    # Of each example's ||J^T S e||^2 the relative deviation is below the square root of 2.
    assert (draws.std(0) < 2**0.5 * exact).all()


def test_the_standard_error_has_the_choice_of_examples_and_the_draws() -> None:
    model, batch = make_model(classes=12), make_batch(rows=6)
    exact = fisher_trace_by_loop(model, batch)
    generator = torch.Generator().manual_seed(0)
    runs = [fisher_trace(model, [batch], estimator="signs", generator=generator) for _ in range(100)]
    within = torch.stack([run.per_example for run in runs]).var(0).mean()
    expected = (exact.var() + within) / 6
    found = torch.tensor([run.standard_error**2 for run in runs]).mean()
    assert float(found) == pytest.approx(float(expected), rel=0.15)
    assert float(exact.var() / 6) < 0.95 * float(found)


def test_a_confident_model_keeps_its_relative_deviation() -> None:
    model, batch = double(make_model()), make_batch()
    with torch.no_grad():
        model.classifier.weight.mul_(0.01)
        model.classifier.bias.copy_(torch.tensor([0.0, 12.0, 0.5]))
    exact = fisher_trace(model, [batch], estimator="exact").per_example
    found = fisher_trace(model, [batch], estimator="signs", samples=100).per_example
    assert ((found - exact).abs() < 5 * (2 / 100) ** 0.5 * exact).all()


@pytest.mark.parametrize(("classes", "expected"), [(2, "exact"), (5, "exact"), (6, "signs")])
def test_auto_is_exact_up_to_five_labels(classes: int, expected: str) -> None:
    model, batch = make_model(classes=classes), make_batch()
    found = fisher_trace(model, [batch])
    assert found.estimator == expected
    assert torch.equal(found.per_example, fisher_trace(model, [batch], estimator=expected).per_example)


def test_sixty_labels_take_one_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    backward = ghost.GhostNorms.backward
    model, batch = make_model(classes=60), make_batch()
    fisher_trace(model, [batch])
    monkeypatch.setattr(ghost.GhostNorms, "backward", lambda *a, **k: passes.append(1) or backward(*a, **k))
    fisher_trace(model, [batch])
    assert len(passes) == 1


def test_draws_are_the_same_at_every_measurement_whatever_the_batching() -> None:
    model, batch = double(make_model(classes=7)), make_batch()
    first = fisher_trace(model, [batch], samples=2).per_example
    singles = [{key: value[i : i + 1] for key, value in batch.items()} for i in range(5)]
    torch.testing.assert_close(fisher_trace(model, singles, samples=2).per_example, first, rtol=1e-10, atol=0.0)
    other = fisher_trace(model, [batch], samples=2, generator=torch.Generator().manual_seed(1)).per_example
    assert not torch.equal(other, first)
    # Fewer examples have the draws of the same examples among more.
    few = fisher_trace(model, [{key: value[:3] for key, value in batch.items()}], samples=2).per_example
    torch.testing.assert_close(few, first[:3], rtol=1e-10, atol=0.0)


def test_monte_carlo_has_two_spellings_and_nothing_else() -> None:
    assert Estimator("monte_carlo") is Estimator("monte-carlo") is Estimator.MONTE_CARLO
    with pytest.raises(InputError, match="unknown estimator 'sign'"):
        fisher_trace(make_model(), [make_batch()], estimator="sign")
