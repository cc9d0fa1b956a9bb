"""Divergences against their formulas, their precision near equality, and where gradients stop."""

import pytest
import torch

from tests import reference
from trainables.divergences import PREDICTIONS, divergence, hidden_squared_error, kl_divergence


class Loss:
    def __init__(self, divergence, temperature, stop_gradient):
        self.divergence, self.temperature, self.stop_gradient = divergence, temperature, stop_gradient


def logits(count=5, scale=2.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(count, 3, generator=generator, dtype=torch.float64) for _ in range(2)]


@pytest.mark.parametrize("name", PREDICTIONS)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("stop", [False, True])
def test_value_and_gradient_are_the_formulas(name, temperature, stop):
    found, naive = ([t.clone().requires_grad_() for t in logits()] for _ in range(2))
    value = PREDICTIONS[name](*found, temperature, stop)
    loss = Loss(name, temperature, "target" if stop else "none")
    expected = reference.consistency(loss, *naive, *(t.detach() for t in naive))
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    value.backward()
    expected.backward()
    for a, b in zip(found, naive, strict=True):
        assert torch.allclose(torch.zeros_like(a) if a.grad is None else a.grad,
                              torch.zeros_like(b) if b.grad is None else b.grad, atol=1e-9)  # fmt: skip


@pytest.mark.parametrize("gap", [1e-5, 1e-3, 0.099, 0.101, 1.0])
def test_kl_keeps_its_digits_in_float32_however_near_the_predictions_are(gap):
    p = torch.tensor([[0.5, -1.0, 0.25]])
    q = p + gap * torch.tensor([[1.0, -2.0, 0.5]])
    exact = kl_divergence(p.double(), q.double()).item()
    # What is left is the rounding of the log probabilities themselves; sum p d is off by a factor of 100 at 1e-5.
    assert kl_divergence(p, q).item() == pytest.approx(exact, rel=max(1e-5, 3e-7 / gap))
    log_p, log_q = p.double().log_softmax(-1), q.double().log_softmax(-1)
    if gap > 1e-4:
        assert exact == pytest.approx((log_p.exp() * (log_p - log_q)).sum().item(), rel=1e-7)


def test_divergence_of_distant_and_of_near_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 4, dtype=torch.float64, generator=generator) * 5
    other = torch.randn(50, 4, dtype=torch.float64, generator=generator) * 5
    log_p, log_q = logits.log_softmax(1), other.log_softmax(1)
    torch.testing.assert_close(divergence(log_p, log_q), (log_p.exp() * (log_p - log_q)).sum(1))
    for scale in (1e-3, 1e-5, 1e-7):
        near = (logits + scale * other).log_softmax(1)
        p = log_p.exp()
        variance = (p * other.square()).sum(1) - (p * other).sum(1).square()
        torch.testing.assert_close(divergence(log_p, near), 0.5 * scale**2 * variance, rtol=20 * scale + 1e-7, atol=0.0)
    assert (divergence(log_p, log_p) == 0).all()


def test_divergence_is_finite_beyond_the_range_of_the_exponential() -> None:
    p, q = (torch.tensor([row], dtype=torch.float64).log_softmax(1) for row in ([0.0, 800.0], [800.0, 0.0]))
    assert divergence(p, q).item() == pytest.approx(800)


def test_kl_is_finite_with_its_gradient_where_probabilities_underflow():
    p, q = (torch.tensor([row], requires_grad=True) for row in ([-300.0, 0.0, 5.0], [300.0, 0.0, 5.0]))
    value = kl_divergence(p, q)
    value.backward()
    assert value.item() == pytest.approx(295, rel=0.01)
    assert torch.isfinite(p.grad).all()
    assert torch.isfinite(q.grad).all()


def test_divergences_are_zero_at_equality_and_bfloat16_is_taken_as_float32():
    (p, q), half = logits(), torch.bfloat16
    for form in PREDICTIONS.values():
        assert form(p, p, 1.0, False).item() == 0
        found = form(p.to(half), q.to(half), 1.0, False)
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(form(p.to(half).double(), q.to(half).double(), 1.0, False).item())


def test_hidden_states_are_averaged_over_units_then_tokens_then_examples():
    generator = torch.Generator().manual_seed(0)
    shapes, lengths = [(2, 5, 4), (1, 3, 4)], [[5, 2], [1]]
    clean, view = (
        [[torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2)] for shape in shapes]
        for _ in range(2)
    )
    masks = [
        (torch.arange(shape[1]) < torch.tensor(part).unsqueeze(1)).float()
        for shape, part in zip(shapes, lengths, strict=True)
    ]
    expected = reference.squared_change(clean, view, lengths).item()
    assert hidden_squared_error(clean, view, masks).item() == pytest.approx(expected, rel=1e-12)
    ones, twos = [[torch.ones(1, 2, 3)]], [[torch.full((1, 2, 3), 3.0)]]
    assert hidden_squared_error(ones, twos, [torch.ones(1, 2)]).item() == 4
