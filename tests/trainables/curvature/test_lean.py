from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers.activations import GELUActivation

from trainables.curvature.lean import Gelu, SumOfSquares, lean_gelu, squared_norm


def test_gelu_is_torchs_bit_for_bit_up_to_the_first_derivative() -> None:
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 4
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    left, right = Gelu.apply(a), nn.functional.gelu(b)
    assert torch.equal(left, right)
    left.square().sum().backward()
    right.square().sum().backward()
    assert torch.equal(a.grad, b.grad)


def test_derivatives_agree_with_differences() -> None:
    x = torch.linspace(-5, 5, 41, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Gelu.apply, x)
    assert torch.autograd.gradgradcheck(Gelu.apply, x)
    assert torch.autograd.gradcheck(SumOfSquares.apply, (x, x.detach().clone().requires_grad_()[:7]))


def test_only_the_exact_gelu_is_replaced_and_only_inside() -> None:
    model = nn.Sequential(nn.GELU(), GELUActivation(), nn.GELU("tanh"), GELUActivation(use_gelu_python=True), nn.ReLU())
    with lean_gelu(model):
        assert ["forward" in vars(module) for module in model] == [True, True, False, False, False]
        assert model(torch.ones(2)).shape == (2,)
    assert not any("forward" in vars(module) for module in model)


def test_activations_are_put_back_after_an_exception() -> None:
    model = nn.Sequential(nn.GELU())
    with pytest.raises(KeyError), lean_gelu(model):
        raise KeyError
    assert "forward" not in vars(model[0])


def test_large_float32_tensors_keep_their_norm() -> None:
    tensor = 1e-3 * torch.randn(5_000_000, generator=torch.Generator().manual_seed(0))
    expected = tensor.double().square().sum()
    torch.testing.assert_close(squared_norm(tensor), expected, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(SumOfSquares.apply(tensor, tensor).double(), 2 * expected, rtol=1e-6, atol=0.0)
