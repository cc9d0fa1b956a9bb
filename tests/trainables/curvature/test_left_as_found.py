"""Whatever happens during a measurement, the model and the process are as before."""

from __future__ import annotations

import random
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from tests.trainables.curvature.cases import make_batch, make_model, one_at_a_time
from trainables.curvature import NonFiniteLogits, fisher_penalty, fisher_trace, kl_expansion
from trainables.errors import InputError


def state(model: Any) -> dict[str, Any]:
    modules = dict(model.named_modules())
    return {
        "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
        "values": {name: p.detach().clone() for name, p in model.named_parameters()},
        "grad": {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        "training": {name: m.training for name, m in modules.items()},
        "hooks": {
            name: (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for name, m in modules.items()
        },
        "replaced": [name for name, m in modules.items() if "forward" in vars(m)],
        "attention": model.config._attn_implementation,
        "rng": torch.random.get_rng_state(),
        "python": random.getstate(),
        "precision": torch.get_float32_matmul_precision(),
        "grad_mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.fixture
def model() -> Any:
    """In training mode in part, with gradients, a frozen parameter, sdpa, and an unusual precision."""
    model = make_model()
    model(**make_batch(), labels=torch.tensor([0, 1, 2, 0, 1])).loss.backward()
    model.train()
    model.bert.pooler.eval()
    model.bert.encoder.layer[0].output.dense.bias.requires_grad_(False)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield model
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("estimator", ["exact", "monte-carlo", "empirical"])
@pytest.mark.parametrize("slow", [False, True])
def test_after_a_measurement(model: Any, estimator: str, slow: bool) -> None:
    if slow:
        one_at_a_time(model)
    batch = {**make_batch(), "labels": torch.tensor([0, 1, 2, 0, 1])}
    before = state(model)
    if slow:
        with pytest.warns(UserWarning, match="slow path"):
            fisher_trace(model, [batch], estimator=estimator)
    else:
        fisher_trace(model, [batch], estimator=estimator)
    assert same(before, state(model))


@pytest.mark.parametrize("slow", [False, True])
def test_after_an_exception_in_the_model(model: Any, slow: bool) -> None:
    if slow:
        one_at_a_time(model)
    batch = make_batch()
    batch["input_ids"][2, 1] = 10_000
    before = state(model)
    warned = pytest.warns(UserWarning, match="slow path") if slow else nullcontext()
    with warned, pytest.raises(InputError, match="outside the model's tables"):
        fisher_trace(model, [batch])
    assert same(before, state(model))


def test_after_logits_that_are_not_finite(model: Any) -> None:
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[29] = float("inf")
    batch = make_batch()
    batch["input_ids"][3, 1] = 29
    batch["input_ids"][:3][batch["input_ids"][:3] == 29] = 5
    before = state(model)
    with pytest.raises(NonFiniteLogits, match="not finite at example 3") as error:
        fisher_trace(model, [batch])
    assert error.value.example == 3
    del before["values"]
    after = state(model)
    del after["values"]
    assert same(before, after)


def test_measurement_inside_no_grad_inference_mode_and_autocast(model: Any) -> None:
    expected = fisher_trace(model, [make_batch()]).per_example
    with torch.no_grad():
        assert torch.equal(fisher_trace(model, [make_batch()]).per_example, expected)
    with torch.inference_mode():
        assert torch.equal(fisher_trace(model, [make_batch()]).per_example, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(fisher_trace(model, [make_batch()]).per_example, expected)


def test_slow_path_inside_inference_mode() -> None:
    model = make_model()
    expected = fisher_trace(model, [make_batch()]).per_example
    one_at_a_time(model)
    with torch.inference_mode(), pytest.warns(UserWarning, match="slow path"):
        found = fisher_trace(model, [make_batch()]).per_example
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0.0)


def test_after_a_penalty_and_an_expansion(model: Any) -> None:
    before = state(model)
    torch.random.set_rng_state(before["rng"])
    model.eval()
    fisher_penalty(model, make_batch(), generator=torch.Generator())
    kl_expansion(model, [make_batch()], [1e-4], draws=2)
    model.train()
    model.bert.pooler.eval()
    assert same(before, state(model))
