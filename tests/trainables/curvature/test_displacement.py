"""1/2 Delta^T F Delta and KL(p_before || p_after) of a displacement, against their definitions in float64."""

from __future__ import annotations

import copy

import pytest
import torch

from tests.reference import double, score
from tests.trainables.curvature.cases import FAMILIES, make_batch, make_model
from trainables.curvature import fisher_trace
from trainables.curvature.displacement import Displacement, displacement
from trainables.divergences import kl_divergence
from trainables.errors import InputError


def moved(model, size):
    """A copy with all parameters displaced, and the displacement without the padding rows."""
    generator = torch.Generator().manual_seed(3)
    after, along = copy.deepcopy(model), {}
    padding = {
        f"{name}.weight": module.padding_idx
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None
    }
    with torch.no_grad():
        for name, parameter in after.named_parameters():
            step = size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if name in padding:
                step[padding[name]] = 0
            parameter += step
            along[name] = step
    return after, along


def state(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def brute_force(model, batch, along):
    """Mean over examples of sum_y p(y) (Delta . grad log p(y))^2, by a backward pass a label."""
    rows, total = len(batch["input_ids"]), 0.0
    for row in range(rows):
        for label in range(model.config.num_labels):
            gradients, p = score(model, batch, row, label)
            total += p * float(sum((g * along[name]).sum() for name, g in gradients.items())) ** 2
    return total / rows


@pytest.mark.parametrize("family", FAMILIES)
def test_the_quadratic_form_by_definition(family):
    model, batch = double(make_model(family)), make_batch(family)
    after, along = moved(model, 0.01)
    found = displacement(after, state(model), [batch])
    assert found.quadratic == pytest.approx(brute_force(model, batch, along), rel=1e-10)
    assert found.curvature == found.quadratic / 2
    assert found.squared_length == pytest.approx(sum(float((d**2).sum()) for d in along.values()), rel=1e-10)
    assert found.parameters == sum(int((d != 0).sum()) for d in along.values())
    assert found.examples == 5


def test_both_sides_of_the_equation_meet_for_a_short_displacement():
    model, batch = double(make_model()), make_batch()
    after, _ = moved(model, 1e-6)
    logits = [m(**batch).logits.detach() for m in (model, after)]
    assert float(kl_divergence(*logits)) / displacement(after, state(model), [batch]).curvature == pytest.approx(
        1, abs=1e-3
    )


def test_the_direction_is_relative_to_a_random_one():
    model, batch = double(make_model()), make_batch()
    after, along = moved(model, 0.01)
    trace = fisher_trace(model, [batch]).value
    squared = sum(float((d**2).sum()) for d in along.values())
    count = sum(int((d != 0).sum()) for d in along.values())
    expected = brute_force(model, batch, along) / squared / (trace / count)
    found = displacement(after, state(model), [batch])
    assert found.direction(trace) == pytest.approx(expected, rel=1e-10)
    assert found.direction(0.0) is None
    assert Displacement(0.0, 0.0, 7, 1).direction(trace) is None


def test_a_padding_row_and_frozen_parameters_do_not_count():
    model, batch = double(make_model()), make_batch()
    after, along = moved(model, 0.01)
    before = state(model)
    with torch.no_grad():
        after.bert.embeddings.word_embeddings.weight[0] += 1
    whole = displacement(after, before, [batch])
    assert whole.quadratic == pytest.approx(brute_force(model, batch, along), rel=1e-10)
    for name, parameter in after.named_parameters():
        parameter.requires_grad_("classifier" in name)
    head = displacement(after, before, [batch])
    assert head.parameters == sum(d.numel() for name, d in along.items() if "classifier" in name)


def test_batching_does_not_matter_and_everything_is_left_as_found():
    model, batch = make_model(), {**make_batch(), "labels": torch.zeros(5, dtype=torch.long)}
    after = make_model(seed=1).train()
    before, kept, random = state(model), state(after), torch.get_rng_state()
    whole = displacement(after, before, [batch])
    parts = [{key: value[part] for key, value in batch.items()} for part in (slice(0, 2), slice(2, 5))]
    assert displacement(after, before, parts).quadratic == pytest.approx(whole.quadratic, rel=1e-5)
    assert all(torch.equal(value, kept[name]) for name, value in after.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert after.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in after.parameters())


def test_no_example_is_refused():
    model = make_model()
    with pytest.raises(InputError, match="at least one example"):
        displacement(model, state(model), [])
