"""Equation 1: KL(p_theta || p_{theta + sigma eps}) ~ 1/2 sigma^2 eps^T F eps, whose mean is Tr(F)."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from tests.reference import double, score
from tests.trainables.curvature.cases import FAMILIES, make_batch, make_model
from trainables.curvature import fisher_trace, kl_expansion
from trainables.errors import InputError


@pytest.mark.parametrize("family", FAMILIES)
def test_ratio_is_one_for_small_noise_and_leaves_it_for_large(family: str) -> None:
    expansion = kl_expansion(make_model(family), [make_batch(family)], [1.0, 1e-7, 1e-5], draws=10)
    assert expansion.sigmas == (1e-7, 1e-5, 1.0)
    assert ((expansion.ratio[:, 0] - 1).abs() < 1e-4).all()
    assert ((expansion.ratio[:, 1] - 1).abs() < 0.02).all()
    assert expansion.leaves(0.05) == 1.0
    assert expansion.leaves(1e9) is None
    assert expansion.ratio_mean[0] == pytest.approx(1, abs=1e-4)
    assert expansion.ratio_standard_error[0] < 1e-4


def test_mean_quadratic_form_is_the_trace() -> None:
    model, batch = make_model(), make_batch()
    expansion = kl_expansion(model, [batch], [1e-5], draws=60)
    exact = fisher_trace(double(model), [batch])
    assert expansion.trace.value == pytest.approx(exact.value, rel=1e-12)
    assert abs(expansion.quadratic_mean - exact.value) < 3 * expansion.quadratic_standard_error
    assert expansion.quadratic_standard_error < 0.3 * exact.value


def test_quadratic_form_and_divergence_by_definition() -> None:
    model, batch, sigma = double(make_model(classes=3)), make_batch(rows=2), 0.01
    expansion = kl_expansion(model, [batch], [sigma], draws=1, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(7)
    epsilon = {n: torch.randn(p.shape, generator=generator, dtype=torch.float64) for n, p in model.named_parameters()}
    epsilon["bert.embeddings.word_embeddings.weight"][0] = 0
    quadratic = 0.0
    for row in range(2):
        for label in range(3):
            gradients, p = score(model, batch, row, label)
            quadratic += p * float(sum((g * epsilon[n]).sum() for n, g in gradients.items())) ** 2 / 2
    assert expansion.quadratic[0].item() == pytest.approx(quadratic, rel=1e-9)
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in moved.named_parameters():
            parameter += sigma * epsilon[name]
        log_p, log_q = (m(**batch).logits.log_softmax(1) for m in (model, moved))
    kl = (log_p.exp() * (log_p - log_q)).sum(1).mean().item()
    assert expansion.kl[0, 0].item() == pytest.approx(kl, rel=1e-9)


def test_frozen_parameters_do_not_move() -> None:
    model, batch = make_model(), make_batch()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("classifier" in name)
    expansion = kl_expansion(model, [batch], [1e-6], draws=80)
    exact = fisher_trace(model, [batch]).value
    assert abs(expansion.quadratic_mean - exact) < 4 * expansion.quadratic_standard_error


def test_equal_seeds_give_equal_directions() -> None:
    model, batch = make_model(), {**make_batch(), "labels": torch.zeros(5, dtype=torch.long)}
    seen: list[tuple[int, int]] = []
    first = kl_expansion(model, [batch], [1e-4], draws=2, progress=lambda *a: seen.append(a))
    second = kl_expansion(model, [batch], [1e-4], draws=2, generator=torch.Generator().manual_seed(0))
    third = kl_expansion(model, [batch], [1e-4], draws=2, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first.kl, second.kl)
    assert not torch.equal(first.kl, third.kl)
    assert seen == [(1, 2), (2, 2)]


def test_batching_does_not_matter() -> None:
    model, batch = make_model(), make_batch()
    whole = kl_expansion(model, [batch], [1e-3], draws=2)
    halves = [{key: value[part] for key, value in batch.items()} for part in (slice(0, 2), slice(2, 5))]
    parts = kl_expansion(model, halves, [1e-3], draws=2)
    torch.testing.assert_close(parts.kl, whole.kl, rtol=1e-8, atol=0.0)
    torch.testing.assert_close(parts.quadratic, whole.quadratic, rtol=1e-10, atol=0.0)


def test_models_of_other_kinds() -> None:
    class Bag(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(30, 3)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return self.table(input_ids).mean(1)

    expansion = kl_expansion(Bag(), [{"input_ids": make_batch()["input_ids"]}], [1e-5], draws=3)
    assert ((expansion.ratio - 1).abs() < 1e-3).all()


def test_one_draw_has_no_standard_error() -> None:
    expansion = kl_expansion(make_model(), [make_batch()], [1e-4], draws=1)
    assert math.isnan(expansion.quadratic_standard_error)
    assert math.isnan(expansion.ratio_standard_error[0])


@pytest.mark.parametrize(("sigmas", "draws"), [([], 1), ([0.0], 1), ([-1.0], 1), ([1e-3], 0)])
def test_wrong_input(sigmas: list[float], draws: int) -> None:
    with pytest.raises(InputError, match="needs sigmas above 0 and at least one draw, got sigmas="):
        kl_expansion(make_model(), [make_batch()], sigmas, draws)
