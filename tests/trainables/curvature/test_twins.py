"""Rescaled twins: the same function, and a trace that moves as the chain rule says, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.reference import double, score
from tests.trainables.curvature.cases import make_batch, make_model
from tests.trainables.curvature.test_left_as_found import same, state
from tests.trainables.curvature.test_rivals import fine_tuned
from tests.zoo import batch, make
from trainables.curvature import fisher_trace
from trainables.curvature.rivals import RIVALS
from trainables.curvature.twins import logit_change, twin
from trainables.errors import InputError
from trainables.measuring.measurements import SAME_FUNCTION

# Plain names, grouped keys with a rotary embedding, shared keys, fused rows and fused columns.
FAMILIES = ("bert", "distilbert", "t5", "qwen2", "deberta-v2", "modernbert", "gpt2")
FLOAT32_NORMS = ("t5", "qwen2")  # whatever the model's precision
INVARIANT = ("label_variance", "margin", "fisher_rao", "normalized_trace", "relative_flatness", "adaptive_sharpness")


def trace_by_the_chain_rule(model: Any, scales: dict[str, torch.Tensor], rows: Any) -> float:
    """A parameter that was multiplied by s has its gradient divided by s: each squared score, one by one."""
    count, total = len(rows["input_ids"]), 0.0
    for row in range(count):
        for label in range(model.config.num_labels):
            gradients, p = score(model, rows, row, label)
            total += sum(p * float((g / scales[name]).square().sum()) for name, g in gradients.items()) / count
    return total


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_twin_is_the_same_function_with_another_trace(kind: str) -> None:
    model, rows = double(make(kind)), batch(kind, rows=2, left=False)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    logits, before = model(**rows).logits, fisher_trace(model, [rows]).value
    with twin(model, 2):
        assert torch.equal(model(**rows).logits, logits)
        after = fisher_trace(model, [rows]).value
        scales = {name: p.detach() / start[name] for name, p in model.named_parameters()}
    assert {float(s) for scale in scales.values() for s in scale[scale.isfinite()].unique()} == {0.25, 1.0, 4.0}
    assert all(torch.equal(p, start[name]) for name, p in model.named_parameters())
    scales = {name: scale.nan_to_num(1.0) for name, scale in scales.items()}
    tolerance = 1e-6 if kind in FLOAT32_NORMS else 1e-9
    assert after == pytest.approx(trace_by_the_chain_rule(model, scales, rows), rel=tolerance)
    assert abs(after / before - 1) > 1e-5


@pytest.mark.parametrize("exponent", [-2, 1])
@pytest.mark.parametrize("name", RIVALS)
def test_the_rivals_that_claim_it_stay_and_the_others_move(name: str, exponent: int) -> None:
    model = double(make_model())
    before = RIVALS[name](fine_tuned(model))
    given = fine_tuned(model)
    with twin(model, exponent):
        after = RIVALS[name](given)
    assert (after == pytest.approx(before, rel=1e-9)) == (name in INVARIANT)


def test_the_parameters_come_back_bit_for_bit_also_after_an_exception() -> None:
    model = make_model().train()
    model(**make_batch(), labels=torch.tensor([0, 1, 2, 0, 1])).loss.backward()
    before = state(model)
    inside = []

    def fail() -> None:
        with twin(model, -3):
            inside.append(same(before, state(model)))
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert inside == [False]
    assert same(before, state(model))


def test_low_rank_updates_of_queries_are_scaled_as_a_whole() -> None:
    peft = pytest.importorskip("peft")
    model = make_model()
    settings = peft.LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False)
    peft.inject_adapter_in_model(settings, model)
    model.eval()
    logits = model(**make_batch()).logits
    with twin(model, 1):
        assert torch.equal(model(**make_batch()).logits, logits)


@pytest.mark.parametrize("kind", ["bloom", "xlnet"])
def test_queries_and_keys_that_are_not_found_are_said(kind: str) -> None:
    model = make(kind)
    with pytest.raises(InputError, match=r"its queries and keys are not layers of their own .*: set measure.twins="):
        twin(model, 1).__enter__()


def test_a_convolution_that_reads_the_queries_shows_in_the_logits() -> None:
    model, rows = make("convbert"), batch("convbert")
    logits = model(**rows).logits.detach()
    with torch.no_grad(), twin(model, 2):
        assert logit_change(logits, model(**rows).logits) > SAME_FUNCTION
