"""The last layer at one position: the same values, and only where nothing else reads the others."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.reference import fisher_trace_by_loop
from tests.zoo import batch, make
from trainables.curvature import fisher_trace
from trainables.curvature.forward_mode import forward_mode, product
from trainables.curvature.last_layer import last_layer_to_shorten, shortened

KNOWN = (
    "bert", "camembert", "distilbert", "electra", "ernie", "modernbert", "rembert", "roberta", "xlm-roberta",
    "xlm-roberta-xl",
)  # fmt: skip


def known(kind: str, **settings: Any) -> Any:
    return make(kind, **({"classifier_pooling": "cls"} if kind == "modernbert" else {}), **settings)


@pytest.mark.parametrize("attention", ["eager", None])
@pytest.mark.parametrize("kind", KNOWN)
def test_logits_and_trace_are_those_of_the_whole_layer(kind: str, attention: str | None) -> None:
    model, inputs = known(kind, attention=attention), batch(kind)
    found = last_layer_to_shorten(model)
    assert found is not None
    whole = model(**inputs).logits
    with shortened(model):
        assert "forward" in vars(found[0])
        torch.testing.assert_close(model(**inputs).logits, whole, rtol=1e-5, atol=1e-5)
    assert "forward" not in vars(found[0])
    estimate = fisher_trace(model, [inputs], slow="error")
    if attention is None:
        torch.testing.assert_close(estimate.per_example, fisher_trace_by_loop(model, inputs), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("kind", KNOWN)
def test_a_forward_mode_product_is_that_of_the_whole_layer(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = known(kind).double(), batch(kind)
    layer, _ = last_layer_to_shorten(model) or (None, None)
    whole_layer, ran = type(layer).forward, []

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        ran.append(self)
        return whole_layer(self, *args, **kwargs)

    monkeypatch.setattr(type(layer), "forward", noted)
    at = {name: p.detach() for name, p in model.named_parameters()}
    along = {name: torch.randn_like(p) for name, p in at.items()}

    def whole(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        logits: torch.Tensor = torch.func.functional_call(model, parameters, kwargs=inputs).logits
        return logits

    with forward_mode():
        logits, change = product(model, at, along, inputs)
        assert layer not in ran
        expected: Any = torch.func.jvp(whole, (at,), (along,))
    torch.testing.assert_close((logits, change), expected, rtol=1e-9, atol=1e-9 * float(expected[1].abs().max()))


@pytest.mark.parametrize("kind", ["modernbert", "mpnet", "deberta-v2", "llama"])
def test_other_poolings_and_classes_keep_the_whole_layer(kind: str) -> None:
    assert last_layer_to_shorten(make(kind)) is None
