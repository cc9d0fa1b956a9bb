"""What every regulariser keeps to. The cases are the tables of presets, views and penalties: a new entry is covered.

A regulariser is what it adds to the objective at weight 1.
"""

import dataclasses

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests import reference
from tests.contracts.conftest import ROWS, pad_more, view_settings
from trainables.config import PenaltiesConfig
from trainables.regularizers.presets import PRESETS
from trainables.views.view import VIEWS

DEFAULT_VIEWS = {name: preset.views[0].kind for name, preset in PRESETS.items()}
CONSISTENCY = [
    *DEFAULT_VIEWS.items(),
    *(("xtune_r1", kind) for kind in VIEWS if kind not in DEFAULT_VIEWS.values()),
]
PENALTIES = list(PenaltiesConfig.model_fields)
CASES = [*CONSISTENCY, *((name, None) for name in PENALTIES)]
# Where each penalty is 0; a consistency loss is 0 at strength 0 under uniform predictions.
ZERO_AT = {"fisher": "certain", "l2": "origin", "l2_sp": "start"}
WITHOUT_DRAWS = ("l2", "l2_sp")


def settings(case, weight=1.0, strength=None):
    name, kind = case
    if kind is None:
        return {f"penalties.{name}.weight": weight}
    view = {f"consistency.view.{field}": value for field, value in view_settings(kind, strength).items()}
    return {"consistency.preset": name, "consistency.weight": weight} | view


def value(loss, case):
    return loss.penalties["consistency" if case[1] else case[0]]


def gradients(loss, model):
    model.zero_grad()
    loss.total.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def name_of(case):
    return "-".join(part for part in case if part)


every = pytest.mark.parametrize("case", CASES, ids=name_of)
every_consistency = pytest.mark.parametrize("case", CONSISTENCY, ids=name_of)


@every
def test_it_is_a_finite_scalar_above_zero(bench, case):
    found = value(bench(settings(case), dropout=0.2).loss(), case)
    assert found.shape == ()
    assert torch.isfinite(found)
    assert found > 0


@every
def test_it_is_zero_where_it_should_be(bench, case):
    made = bench(settings(case, strength=0.0))
    with torch.no_grad():
        made.model.classifier.weight.zero_()
        made.model.classifier.bias.copy_(torch.tensor([1e4 if ZERO_AT.get(case[0]) == "certain" else 0.0, 0.0]))
        if ZERO_AT.get(case[0]) == "origin":
            for parameter in made.model.parameters():
                parameter.zero_()
    made.start = {name: parameter.detach().clone() for name, parameter in made.model.named_parameters()}
    assert case[1] is not None or case[0] in ZERO_AT
    assert value(made.loss(), case).item() == pytest.approx(0, abs=1e-15)


@every
def test_equal_seeds_give_equal_values_and_others_other_ones(bench, case):
    made = bench(settings(case), dropout=0.2)
    first = value(made.loss(), case)
    assert torch.equal(value(made.loss(), case), first)
    differs = [not torch.equal(value(made.loss(seed=seed), case), first) for seed in (1, 2, 3)]
    assert not any(differs) if case[0] in WITHOUT_DRAWS else any(differs)


@every
def test_neither_padding_nor_the_order_of_the_batch_matters(bench, case, monkeypatch):
    if case[1] == "second_dropout":
        pytest.skip("a dropout mask belongs to places of the batch, and without dropout this is 0")
    # Labels are drawn place by place; the likeliest ones stand for them.
    monkeypatch.setattr("trainables.curvature.sample_labels", lambda logits, generator: logits.argmax(1))
    made = bench(settings(case))
    expected = value(made.loss(), case).item()
    assert value(made.loss(rows=ROWS[::-1]), case).item() == pytest.approx(expected, rel=1e-9)
    pad_more(made.examples, monkeypatch)
    assert value(made.loss(), case).item() == pytest.approx(expected, rel=1e-9)


@every
def test_weight_zero_is_the_objective_without_it_bit_for_bit(bench, case):
    made, twin = (bench(settings(case, weight=0.0), dropout=0.2, double=False) for _ in range(2))
    if case[1] is None:
        twin.stage = bench({}).stage
    loss = made.loss()
    step = twin.step()
    expected = cross_entropy(step.logits("main", 0), step.labels)
    if case[1] is not None:
        assert not value(loss, case).requires_grad
        assert value(loss, case) > 0
        resolved = twin.stage.consistency.resolved()
        if share := resolved.view_share:
            view = cross_entropy(step.logits("view", resolved.view_mask), step.labels)
            expected = (1 - share) * expected + share * view
    if case[0] == "l2_sp":  # its head has a weight of its own
        expected = expected + made.stage.penalties.l2_sp.head_weight * loss.penalties["l2_sp_head"]
    assert torch.equal(loss.total, expected)
    if case[0] == "l2_sp":
        return
    expected.backward()
    wanted = {name: p.grad for name, p in twin.model.named_parameters() if p.grad is not None}
    found = gradients(loss, made.model)
    assert set(found) == set(wanted)
    assert all(torch.equal(gradient, wanted[name]) for name, gradient in found.items())


@pytest.mark.parametrize("name", PENALTIES)
def test_the_gradient_of_a_penalty_is_that_of_finite_differences(bench, name):
    case = (name, None)
    made, base = bench(settings(case), dropout=0.2), bench(settings(case, weight=0.0), dropout=0.2)
    with_term, without = gradients(made.loss(), made.model), gradients(base.loss(), base.model)
    direction = random_direction(made.model)
    slope = sum(((with_term[n] - without[n]) * d).sum() for n, d in direction.items() if n in with_term).item()
    values = [value(moved(made, direction, h).loss(), case).item() for h in (1e-5, -1e-5)]
    assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)
    assert abs(slope) > 1e-6


@every_consistency
def test_the_gradient_of_a_divergence_is_that_of_finite_differences_of_its_formula(bench, case):
    # Dropout masks are the same at every point, so they may be on. A relative scale is a constant under
    # differentiation, and an adversarial view too: what finite differences must not see is held fixed.
    given = settings(case)
    if "scale" in VIEWS[case[1]].fields:
        given["consistency.view.scale"] = "absolute"
    made = bench(given, dropout=0.2)
    config, base = made.stage.consistency, made.step()
    loss = config.resolved()
    parameters = dict(made.model.named_parameters())
    penalty = config.penalty(base)
    found = torch.autograd.grad(penalty, list(parameters.values()), allow_unused=True)
    fixed = [base.logits(role, mask).detach() for role, mask in zip(("main", "view"), loss.masks, strict=True)]

    def formula(step):
        if loss.divergence == "hidden_squared_error":
            passes = [step.run_once(role, mask) for role, mask in zip(("main", "view"), loss.masks, strict=True)]
            return reference.squared_change(*(p.hidden for p in passes), [part.lengths for part in passes[0].parts])
        clean, view = step.logits("main", loss.masks[0]), step.logits("view", loss.masks[1])
        return reference.consistency(loss, clean, view, *fixed)

    assert penalty.item() == pytest.approx(formula(base).item(), rel=1e-9)
    direction = random_direction(made.model)
    if loss.stop_gradient == "embedding":
        direction[table_name(made.model)].zero_()
    slope = sum((g * direction[n]).sum().item() for n, g in zip(parameters, found, strict=True) if g is not None)
    values = []
    for h in (1e-5, -1e-5):
        step = moved(made, direction, h).step()
        adversarial = {role: p for role, p in base._perturbations.items() if p.parameters is None}
        step._perturbations.update(adversarial)
        values.append(formula(step).item())
    assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-9)
    assert abs(slope) > 1e-6


def random_direction(model):
    generator = torch.Generator().manual_seed(4)
    return {n: torch.randn(p.shape, generator=generator, dtype=torch.float64) for n, p in model.named_parameters()}


def table_name(model):
    table = model.get_input_embeddings().weight
    return next(name for name, parameter in model.named_parameters() if parameter is table)


def moved(made, direction, h):
    """The bench with its model moved along a direction, in place of where it was moved before."""
    if not hasattr(made, "origin"):
        made.origin = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    with torch.no_grad():
        for name, parameter in made.model.named_parameters():
            parameter.copy_(made.origin[name] + h * direction[name])
    return made


@every_consistency
@pytest.mark.parametrize("dropout", ["independent", "shared", "off"])
def test_the_fisher_penalty_is_the_same_beside_it(bench, case, dropout):
    other_tokens, only_dropout = not VIEWS[case[1]].keeps_tokens, case[1] == "second_dropout"
    if (dropout == "shared" and other_tokens) or (dropout != "independent" and only_dropout):
        pytest.skip("the configuration refuses it")
    given = settings(case) | {"consistency.dropout": dropout}
    fisher = {"penalties.fisher.weight": 0.5}
    alone, plain, both = (bench(s, dropout=0.2) for s in (fisher, given, given | fisher))
    found = both.loss()
    assert found.penalties["fisher"].item() == pytest.approx(alone.loss().penalties["fisher"].item(), rel=1e-10)
    assert found.penalties["consistency"].item() == pytest.approx(
        plain.loss().penalties["consistency"].item(), rel=1e-9
    )
    parts = plain.loss().total + 0.5 * found.penalties["fisher"]
    assert found.total.item() == pytest.approx(parts.item(), rel=1e-10)
    separate = [gradients(made.loss(), made.model) for made in (plain, alone, bench({}, dropout=0.2))]
    for name, gradient in gradients(both.loss(), both.model).items():
        expected = separate[0][name] + separate[1][name] - separate[2][name]
        assert torch.allclose(gradient, expected, atol=1e-9), name


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_what_it_is(name):
    preset = PRESETS[name]
    texts = (preset.source, preset.formula, preset.deviation)
    assert all(texts)
    assert preset.search[0] <= preset.weight <= preset.search[1]
    assert [field.name for field in dataclasses.fields(preset) if getattr(preset, field.name) is None] == []
