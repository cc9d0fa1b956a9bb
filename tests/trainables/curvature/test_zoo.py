"""Every architecture of the zoo: the fast path against the definition, and the penalty against it."""

from __future__ import annotations

import pytest
import torch

from tests.reference import fisher_trace_by_loop, squared_mean_score_at
from tests.zoo import NO_TABLE, SLOW, ZOO, batch, make
from trainables.curvature import (
    SlowPathWarning,
    fisher_penalty,
    fisher_trace,
    require_second_derivatives,
    sample_labels,
)


# The reference is computed in float64, in which the attention of canine gives no number.
@pytest.mark.parametrize("kind", sorted(ZOO.keys() - SLOW.keys() - {"canine"}))
def test_trace_is_that_of_the_loop(kind: str) -> None:
    model, inputs = make(kind), batch(kind)
    found = fisher_trace(model, [inputs], slow="error")
    torch.testing.assert_close(found.per_example, fisher_trace_by_loop(model, inputs), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("kind", SLOW)
def test_architectures_without_rules_are_measured_slowly(kind: str) -> None:
    model, inputs = make(kind), batch(kind)
    with pytest.warns(SlowPathWarning, match=SLOW[kind]):
        found = fisher_trace(model, [inputs])
    torch.testing.assert_close(found.per_example, fisher_trace_by_loop(model, inputs), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("kind", sorted(ZOO.keys() - NO_TABLE))
def test_penalty_is_that_of_the_definition(kind: str) -> None:
    # Eager attention in float64, in which the reference is computed, gives no number where padding is on the left.
    model, inputs = make(kind, attention="eager"), batch(kind, rows=3, left=False)
    require_second_derivatives(model)
    labels = sample_labels(model(**inputs).logits, torch.Generator().manual_seed(0)).tolist()
    expected = squared_mean_score_at(model, inputs, labels)
    penalty = fisher_penalty(model, inputs, generator=torch.Generator().manual_seed(0))
    assert float(penalty.detach()) == pytest.approx(expected, rel=1e-4)
    penalty.backward()
    moved = [p for p in model.parameters() if p.grad is not None]
    square = sum(p.grad.double().square().sum() for p in moved)
    step = 1e-4 / square.sqrt()
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            for p in moved:
                p.add_(sign * step * p.grad)
        values.append(squared_mean_score_at(model, inputs, labels))
        with torch.no_grad():
            for p in moved:
                p.sub_(sign * step * p.grad)
    # The difference quotient along the gradient is its squared norm.
    assert (values[0] - values[1]) / (2 * float(step)) == pytest.approx(float(square), rel=2e-2)
