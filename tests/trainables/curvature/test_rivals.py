"""The rivals of Tr(F) against their formulas, one row and one parameter at a time in float64."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch

from tests.reference import double, squared_scores_at
from tests.trainables.curvature.cases import make_batch, make_model
from tests.trainables.curvature.rivals_by_definition import INVARIANT_OR_SPECTRAL, LABELS
from tests.trainables.curvature.test_left_as_found import same, state
from trainables import config
from trainables.config import USUAL_RIVALS, MeasureConfig
from trainables.curvature import fisher_trace
from trainables.curvature.rivals import RIVALS, FineTuned
from trainables.errors import InputError
from trainables.measuring.measurements import DEFINITIONS

PASSES = {"margin": 2, "sharpness": 4, "fisher_rao": 2, "relative_flatness": 2, "adaptive_sharpness": 42}
"""Forward passes over two batches."""


def halves() -> list[dict[str, torch.Tensor]]:
    """Five rows in batches of two and three, so that a mean of batch means shows."""
    batch = {**make_batch(), "labels": torch.tensor(LABELS)}
    return [{key: value[part] for key, value in batch.items()} for part in (slice(0, 2), slice(2, 5))]


def fine_tuned(model: Any) -> FineTuned:
    generator = torch.Generator().manual_seed(3)
    pretrained = {name: p.detach() + 0.1 * torch.randn(p.shape, generator=generator) for name, p in
                  model.named_parameters()}  # fmt: skip
    return FineTuned(model, halves(), torch.randn(7, 3, generator=generator) * 3, pretrained, halves())


def log_p(model: Any, row: int) -> torch.Tensor:
    """Log probabilities of one row, alone in its batch."""
    return model(**{key: value[row : row + 1] for key, value in make_batch().items()}).logits[0].log_softmax(-1)


def mean_loss(model: Any) -> torch.Tensor:
    return -torch.stack([log_p(model, row)[label] for row, label in enumerate(LABELS)]).mean()


def by_definition(name: str, trained: FineTuned) -> float:
    model = double(trained.model)
    if name == "label_variance":
        rows = [[math.exp(z) for z in row] for row in trained.validation_logits.tolist()]
        return sum(1 - sum((e / sum(row)) ** 2 for e in row) for row in rows) / len(rows)
    if name == "margin":
        found = [log_p(model, row).tolist() for row in range(len(LABELS))]
        margins = [p[y] - max(p[:y] + p[y + 1 :]) for p, y in zip(found, LABELS, strict=True)]
        return sum(margins) / len(margins)
    if name == "sharpness":
        loss = mean_loss(model)
        loss.backward()
        length = math.sqrt(sum(float(p.grad.square().sum()) for p in model.parameters()))
        uphill = copy.deepcopy(model)
        with torch.no_grad():
            for p, start in zip(uphill.parameters(), model.parameters(), strict=True):
                p.add_(0.05 * start.grad / length)
            return float(mean_loss(uphill) - loss)
    if name == "empirical_fisher":
        return float(squared_scores_at(model, make_batch(), LABELS).mean())
    if name == "parameter_norm":
        return math.sqrt(sum(v * v for p in model.parameters() for v in p.flatten().tolist()))
    if name in INVARIANT_OR_SPECTRAL:
        return INVARIANT_OR_SPECTRAL[name](model)
    assert name == "distance_from_pretrained"
    moved = [
        (p - trained.pretrained[key].double()).flatten().tolist()
        for key, p in model.named_parameters()
        if not key.startswith("classifier.")
    ]
    return math.sqrt(sum(v * v for part in moved for v in part))


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_is_its_formula(name: str) -> None:
    trained = fine_tuned(make_model())
    expected = by_definition(name, trained)
    assert RIVALS[name](trained) == pytest.approx(expected, rel=1e-4)
    exact = dataclasses.replace(trained, model=double(trained.model))
    assert RIVALS[name](exact) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_is_deterministic_and_leaves_all_as_found(name: str) -> None:
    model = make_model()
    model(**make_batch(), labels=torch.tensor(LABELS)).loss.backward()
    model.train()
    model.bert.pooler.eval()
    trained, before = fine_tuned(model), state(model)
    assert RIVALS[name](trained) == RIVALS[name](trained)
    assert same(before, state(model))


@pytest.mark.parametrize("name", PASSES)
def test_after_an_exception_in_the_last_pass(name: str) -> None:
    model = make_model().train()
    trained, calls = fine_tuned(model), []
    counter = model.register_forward_pre_hook(lambda *_: calls.append(1))
    RIVALS[name](trained)
    counter.remove()
    passes = len(calls)
    assert passes == PASSES[name]
    calls.clear()

    def fail(*_: Any) -> None:
        calls.append(1)
        if len(calls) == passes:
            raise RuntimeError("in the last pass")

    model.register_forward_pre_hook(fail)
    before = state(model)
    with pytest.raises(RuntimeError, match="in the last pass"):
        RIVALS[name](trained)
    assert same(before, state(model))


def test_a_model_at_rest_has_no_sharpness() -> None:
    model = make_model()
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([1e4, 0.0, 0.0]))
    rows = [batch | {"labels": torch.zeros_like(batch["labels"])} for batch in halves()]
    assert RIVALS["sharpness"](FineTuned(model, rows, torch.zeros(1, 3), {}, rows)) == 0.0


def test_a_model_that_is_not_finite_has_no_finite_margin_or_sharpness() -> None:
    model = make_model()
    with torch.no_grad():
        model.classifier.bias[1] = torch.inf
    trained = fine_tuned(model)
    assert not math.isfinite(RIVALS["margin"](trained))
    assert not math.isfinite(RIVALS["sharpness"](trained))
    assert not math.isfinite(RIVALS["adaptive_sharpness"](trained))


def test_the_parts_by_matrix_change_no_other_part_of_the_trace() -> None:
    trained = fine_tuned(make_model())
    plain, whole = fisher_trace(trained.model, halves()), trained.trace
    assert whole.per_layer == pytest.approx(plain.per_layer, rel=1e-6)
    assert torch.allclose(whole.per_example, plain.per_example, rtol=1e-6)
    matrices = {name for name, parameter in trained.model.named_parameters() if parameter.ndim == 2}
    assert whole.per_matrix.keys() == matrices
    assert 0 < sum(whole.per_matrix.values()) < whole.value
    assert plain.per_matrix == {}


def test_the_noise_scale_of_equal_rows_is_0() -> None:
    model = double(make_model())
    one = {key: value[:1].repeat(2, 1) for key, value in make_batch().items()}
    equal = [{**one, "labels": torch.tensor([1, 1])}]
    trained = fine_tuned(model)
    assert RIVALS["noise_scale"](dataclasses.replace(trained, train=equal)) == pytest.approx(0.0, abs=1e-10)


def test_frozen_parameters_do_not_move_uphill() -> None:
    model = make_model()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("classifier" in name)
    part = RIVALS["sharpness"](fine_tuned(model))
    model.requires_grad_(True)
    assert 0 < part < RIVALS["sharpness"](fine_tuned(model))


def rescaled(model: Any, a: float) -> Any:
    """The same function: the last layer's queries times a, its keys divided by a."""
    other = copy.deepcopy(model)
    attention = other.bert.encoder.layer[1].attention.self
    with torch.no_grad():
        for part, factor in ((attention.query, a), (attention.key, 1 / a)):
            part.weight.mul_(factor)
            part.bias.mul_(factor)
    return other


@pytest.mark.parametrize("name", ["fisher_rao", "normalized_trace", "relative_flatness", "adaptive_sharpness"])
def test_what_claims_to_be_invariant_is_where_the_trace_is_not(name: str) -> None:
    model = double(make_model())
    other = rescaled(model, 3.0)
    torch.testing.assert_close(other(**make_batch()).logits, model(**make_batch()).logits, rtol=1e-10, atol=1e-12)
    assert RIVALS[name](fine_tuned(other)) == pytest.approx(RIVALS[name](fine_tuned(model)), rel=1e-10)
    before, after = (fisher_trace(m, halves()).value for m in (model, other))
    assert abs(after / before - 1) > 0.01


def test_relative_flatness_needs_a_last_layer_that_makes_the_logits() -> None:
    model = make_model()
    model.register_forward_hook(lambda module, args, output: (2 * output.logits,))
    trained, before = fine_tuned(model), state(model)
    with pytest.raises(InputError, match="measure.relative_flatness needs logits that a linear layer makes"):
        RIVALS["relative_flatness"](trained)
    assert same(before, state(model))


def test_the_table_the_configuration_and_the_definitions_agree() -> None:
    assert tuple(RIVALS) == config.RIVALS
    assert MeasureConfig().rivals == USUAL_RIVALS == tuple(RIVALS)[:6]
    assert [name for name in DEFINITIONS if name.startswith("measure.")] == [f"measure.{name}" for name in RIVALS]
