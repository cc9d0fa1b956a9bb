"""Sampled and observed labels: the same sums at other labels, and never the same name."""

from __future__ import annotations

import pytest
import torch

from tests.reference import double, squared_scores_at
from tests.trainables.curvature.cases import FAMILIES, make_batch, make_model, one_at_a_time
from trainables.curvature import Estimator, fisher_trace


@pytest.mark.parametrize("family", FAMILIES)
def test_empirical_fisher_is_the_squared_score_at_the_observed_labels(family: str) -> None:
    model, labels = make_model(family), [2, 0, 1, 1, 0]
    batch = make_batch(family)
    estimate = fisher_trace(double(model), [{**batch, "labels": torch.tensor(labels)}], estimator="empirical")
    torch.testing.assert_close(estimate.per_example, squared_scores_at(model, batch, labels), rtol=1e-10, atol=0.0)
    assert estimate.estimator is Estimator.EMPIRICAL


def test_expectation_over_all_labels_of_the_empirical_fisher_is_the_exact_trace() -> None:
    model, batch = double(make_model()), make_batch()
    p = model(**batch).logits.softmax(1).detach()
    mean = torch.zeros(5, dtype=torch.float64)
    for label in range(3):
        labels = torch.full((5,), label)
        mean += p[:, label] * fisher_trace(model, [{**batch, "labels": labels}], estimator="empirical").per_example
    torch.testing.assert_close(mean, fisher_trace(model, [batch]).per_example, rtol=1e-10, atol=0.0)


def test_exact_ignores_observed_labels() -> None:
    model, batch = make_model(), make_batch()
    labels = {**batch, "labels": torch.tensor([9, 9, 9, 9, 9])}
    assert torch.equal(fisher_trace(model, [labels]).per_example, fisher_trace(model, [batch]).per_example)


def test_monte_carlo_is_unbiased() -> None:
    model, batch = make_model(), make_batch()
    exact = fisher_trace(model, [batch])
    generator = torch.Generator().manual_seed(1)
    estimate = fisher_trace(model, [batch], estimator=Estimator.MONTE_CARLO, samples=60, generator=generator)
    draws = [fisher_trace(model, [batch], estimator="monte-carlo", generator=generator).per_example for _ in range(60)]
    table = torch.stack(draws)
    error = table.std(0) / 60**0.5
    assert ((table.mean(0) - exact.per_example).abs() < 4 * error + 1e-9).all()
    assert ((estimate.per_example - exact.per_example).abs() < 4 * error + 1e-9).all()
    assert estimate.estimator is Estimator.MONTE_CARLO


def test_standard_error_of_monte_carlo_covers_labels_and_examples() -> None:
    model, batch = make_model(), make_batch(rows=6)
    generator = torch.Generator().manual_seed(0)
    runs = [fisher_trace(model, [batch], estimator="monte-carlo", generator=generator) for _ in range(20)]
    errors = torch.tensor([run.standard_error for run in runs])
    expected = torch.tensor([float(run.per_example.std()) / 6**0.5 for run in runs])
    torch.testing.assert_close(errors, expected)
    assert errors.std() > 0


def test_equal_seeds_give_equal_labels_whatever_the_batching_and_the_path() -> None:
    model, batch = double(make_model()), make_batch()
    first = fisher_trace(model, [batch], estimator="monte-carlo", samples=3)
    other = fisher_trace(model, [batch], estimator="monte-carlo", samples=3, generator=torch.Generator().manual_seed(5))
    assert not torch.equal(other.per_example, first.per_example)
    seeded = torch.Generator().manual_seed(0)
    singles = [{key: value[i : i + 1] for key, value in batch.items()} for i in range(5)]
    second = fisher_trace(model, singles, estimator="monte-carlo", samples=3, generator=seeded)
    one_at_a_time(model)
    with pytest.warns(UserWarning, match="slow path"):
        third = fisher_trace(model, [batch], estimator="monte-carlo", samples=3)
    torch.testing.assert_close(second.per_example, first.per_example, rtol=1e-10, atol=0.0)
    torch.testing.assert_close(third.per_example, first.per_example, rtol=1e-10, atol=0.0)
