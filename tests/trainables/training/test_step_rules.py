"""SAM against its formula, written naively in float64; weight decay and its exemptions against AdamW's."""

import copy
import math

import pytest
import torch

from trainables.config.dotted_paths import with_values
from trainables.errors import Diverged
from trainables.seeding import Streams
from trainables.training.micro_batch import MicroBatch
from trainables.training.objective import objective
from trainables.training.stage import _optimizer, train_stage
from trainables.training.step_rules import sam_ascent

RHO = "stages__0__optimizer__sam_rho"
REGULARISED = {
    "none": {},
    "consistency": {"stages__0__consistency__weight": 1, "stages__0__consistency__view__strength": 0.5},
    "fisher": {"stages__0__penalties__fisher__weight": 0.5},
    "l2": {"stages__0__penalties__l2__weight": 0.1},
    "l2_sp": {"stages__0__penalties__l2_sp__weight": 0.1},
    "noise": {"stages__0__noise__kind": "embedding_gaussian", "stages__0__noise__strength": 0.3},
}


def one_step(build, monkeypatch, **values):
    """Gradient with which the optimiser takes its first step, the weights then, and those before."""
    rows = {"stages__0__batch_size": 36, "stages__0__epochs": 1, "model__dropout__hidden": 0.3}
    config, model, examples = build(**rows, **values)
    model = model.double()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    seen = {}

    def step(self, closure=None):
        seen["gradient"] = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        seen["weights"] = {n: p.detach().clone() for n, p in model.named_parameters()}

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    points = []
    train_stage(model, examples, examples, config.stages[0], Streams(0), 0, "en", points.append)
    return seen["gradient"], seen["weights"], before, points


def naive_sam(build, rho, clip=None, **values):
    """grad L(w + rho grad L(w) / ||grad L(w)||), the objective being a function of the weights alone."""
    rows = {"stages__0__batch_size": 36, "stages__0__epochs": 1, "model__dropout__hidden": 0.3}
    config, model, examples = build(**rows, **values)
    model, stage = model.double(), config.stages[0]
    order = torch.randperm(36, generator=Streams(0).generator("order", "0.en", 1)).tolist()
    start = {name: p.detach().clone() for name, p in model.named_parameters()}

    def gradient(at):
        twin = copy.deepcopy(at)
        size, total = 36 // stage.accumulation, 0
        for number in range(stage.accumulation):
            chunk = order[number * size : (number + 1) * size]
            step = MicroBatch(twin, examples, chunk, stage.terms, Streams(0), "0.en", 0, number, starting_point=start)
            total = total + len(chunk) / 36 * objective(step, stage).total
        total.backward()
        return {n: p.grad for n, p in twin.named_parameters() if p.grad is not None}

    first = gradient(model)
    norm = math.sqrt(sum(float((g**2).sum()) for g in first.values()))
    climbed = copy.deepcopy(model)
    with torch.no_grad():
        for name, p in climbed.named_parameters():
            if name in first:
                p.add_(rho * first[name] / norm)
    second = gradient(climbed)
    if clip is not None:
        norm = math.sqrt(sum(float((g**2).sum()) for g in second.values()))
        second = {n: g * min(1.0, clip / norm) for n, g in second.items()}
    return first, second


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("term", REGULARISED)
def test_the_step_has_the_gradient_at_the_top_of_the_ascent(build, monkeypatch, term, accumulation):
    values = REGULARISED[term] | {"stages__0__accumulation": accumulation, "stages__0__clip": None}
    first, expected = naive_sam(build, 0.05, **values)
    found, weights, before, _ = one_step(build, monkeypatch, **{RHO: 0.05}, **values)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-9)
    # The ascent matters, and the step is taken from where it began, bit for bit.
    assert max(float((found[n] - first[n]).abs().max()) for n in first) > 1e-3
    assert all(torch.equal(weights[name], before[name]) for name in before)


def test_clipping_follows_the_second_gradient(build, monkeypatch):
    _, expected = naive_sam(build, 0.05, clip=0.01)
    found, *_ = one_step(build, monkeypatch, **{RHO: 0.05, "stages__0__clip": 0.01})
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("rho", [None, 0])
def test_without_a_radius_it_is_the_plain_step_bit_for_bit(build, monkeypatch, rho):
    plain = one_step(build, monkeypatch)
    found = one_step(build, monkeypatch, **{RHO: rho})
    assert all(torch.equal(found[0][name], plain[0][name]) for name in plain[0])
    assert found[3] == plain[3]


def test_a_vanishing_radius_approaches_the_plain_step(build, monkeypatch):
    plain, *_ = one_step(build, monkeypatch)
    found, *_ = one_step(build, monkeypatch, **{RHO: 1e-8})
    assert any(not torch.equal(found[name], plain[name]) for name in plain)
    assert all(torch.allclose(found[name], plain[name], atol=1e-6) for name in plain)


def test_the_reported_loss_is_that_of_the_weights_themselves(build, monkeypatch):
    plain = {p.name: p.value for p in one_step(build, monkeypatch)[3]}
    sam = {p.name: p.value for p in one_step(build, monkeypatch, **{RHO: 0.1})[3]}
    assert sam["train_loss"] == plain["train_loss"]


def test_equal_seeds_give_equal_sam_trials(build):
    values = {RHO: 0.05, "stages__0__epochs": 1}
    weights = []
    for seed in (0, 0, 1):
        config, model, examples = build(**values)
        train_stage(model, examples, examples, config.stages[0], Streams(seed), 0, "en", lambda point: None)
        weights.append(model.classifier.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_weights_come_back_when_the_second_pass_fails():
    parameter = torch.nn.Parameter(torch.tensor([0.1, 0.2]))
    parameter.grad = torch.tensor([3.0, 4.0])
    idle = torch.nn.Parameter(torch.tensor([7.0]))
    before = parameter.detach().clone()

    def climb():
        with sam_ascent([parameter, idle], 0.5, torch.tensor(5.0)):
            torch.testing.assert_close(parameter.detach(), before + torch.tensor([0.3, 0.4]))
            assert parameter.grad is None
            raise Diverged("loss is nan")

    with pytest.raises(Diverged, match="loss is nan"):
        climb()
    assert torch.equal(parameter.detach(), before)
    assert idle.item() == 7


def test_a_zero_gradient_climbs_nowhere():
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.zeros(2)
    with sam_ascent([parameter], 0.5, torch.tensor(0.0)):
        assert torch.equal(parameter.detach(), torch.ones(2))


def test_a_gradient_that_is_not_finite_ends_the_trial(build, monkeypatch):
    monkeypatch.setattr(torch.nn.utils, "get_total_norm", lambda gradients: torch.tensor(float("nan")))
    config, model, examples = build()
    with pytest.raises(Diverged, match="gradient is not finite at stage 0.en, step 0"):
        train_stage(model, examples, examples, config.stages[0], Streams(0), 0, "en", lambda point: None)


@pytest.mark.parametrize("exempt", [True, False])
def test_decoupled_decay_shrinks_what_it_may(build, exempt):
    """Without a gradient a step of AdamW multiplies by 1 - rate * decay, and does nothing else."""
    config, model, _ = build(
        stages__0__optimizer__weight_decay=0.5,
        stages__0__optimizer__learning_rate=0.1,
        stages__0__optimizer__exempt_biases_and_norms=exempt,
    )
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer, _ = _optimizer(model, config.stages[0], 10)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in model.named_parameters():
        kept = exempt and (name.endswith("bias") or "LayerNorm" in name)
        torch.testing.assert_close(p.detach(), before[name] * (1.0 if kept else 0.95), rtol=1e-6, atol=1e-8)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(before)


def test_label_smoothing_is_a_mixture_with_the_uniform_distribution(build):
    config, model, examples = build(stages__0__label_smoothing=0.2)
    stage = config.stages[0]
    step = MicroBatch(model.double(), examples, [0, 3, 5], stage.terms, Streams(0), "0.en", 0, 0)
    loss = objective(step, stage).total.item()
    expected = 0.0
    for logits, label in zip(step.logits("main", 0).tolist(), step.labels.tolist(), strict=True):
        log_p = [x - math.log(sum(math.exp(y) for y in logits)) for x in logits]
        target = [0.2 / 2 + (0.8 if c == label else 0.0) for c in range(2)]
        expected -= sum(t * lp for t, lp in zip(target, log_p, strict=True)) / 3
    assert loss == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("value", [-0.1, "nan"])
def test_the_radius_is_a_finite_number_of_at_least_zero(tiny_config, value):
    from trainables.errors import InputError

    with pytest.raises(InputError, match="stages.0.optimizer.sam_rho"):
        with_values(tiny_config, {"stages.0.optimizer.sam_rho": value})


SIGMA = "stages__0__optimizer__tram_sigma"


def naive_tram(build, sigma, **values):
    """grad L(w + d w^2 g / ||w g||), d the mean KL(p(. | x + z) || p(. | x)), z on the word embeddings."""
    rows = {"stages__0__batch_size": 36, "stages__0__epochs": 1, "model__dropout__hidden": 0.3}
    config, model, examples = build(**rows, **values)
    model, stage = model.double(), config.stages[0]
    order = torch.randperm(36, generator=Streams(0).generator("order", "0.en", 1)).tolist()
    size = 36 // stage.accumulation

    def steps(twin):
        for number in range(stage.accumulation):
            chunk = order[number * size : (number + 1) * size]
            yield MicroBatch(twin, examples, chunk, stage.terms, Streams(0), "0.en", 0, number)

    def gradient(at):
        twin = copy.deepcopy(at)
        sum(objective(step, stage).total / stage.accumulation for step in steps(twin)).backward()
        return {n: p.grad for n, p in twin.named_parameters() if p.grad is not None}

    distance = 0.0
    for step in steps(model):
        noise = [torch.randn(len(step.clean()[i]), 16, generator=_draws(step).example(i)) for i in range(size)]

        def noised(module, inputs, output, step=step, noise=noise):
            (ids,) = inputs
            for position, encoded in enumerate(step.clean()):
                row = next(i for i, one in enumerate(ids.tolist()) if one[: len(encoded)] == list(encoded.ids))
                output[row, : len(encoded)] += sigma * noise[position]
            return output

        p = step.logits("main", 0).detach().softmax(-1)
        with torch.no_grad():
            handle = model.get_input_embeddings().register_forward_hook(noised)
            q = MicroBatch(model, examples, step.indices, stage.terms, Streams(0), "0.en", 0, step.micro_batch).logits(
                "main", 0
            )
            handle.remove()
        q = q.softmax(-1)
        distance += float((q * (q / p).log()).sum(-1).mean()) / stage.accumulation

    first = gradient(model)
    weights = dict(model.named_parameters())
    norm = math.sqrt(sum(float(((weights[n].detach() * g) ** 2).sum()) for n, g in first.items()))
    climbed = copy.deepcopy(model)
    with torch.no_grad():
        for name, p in climbed.named_parameters():
            if name in first:
                p.add_(distance * p**2 * first[name] / norm)
    return first, gradient(climbed), distance


def _draws(step):
    from trainables.views.hooks import Draws

    return Draws(step.streams, step.stage, step.index, 0, step.indices)


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("term", ["none", "consistency", "l2"])
def test_trams_ascent_is_as_long_as_the_divergence_of_a_noised_input(build, monkeypatch, term, accumulation):
    values = REGULARISED[term] | {"stages__0__accumulation": accumulation, "stages__0__clip": None}
    first, expected, distance = naive_tram(build, 3.0, **values)
    found, weights, before, points = one_step(build, monkeypatch, **{SIGMA: 3.0}, **values)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-8)
    assert max(float((found[n] - first[n]).abs().max()) for n in first) > 1e-4
    assert all(torch.equal(weights[name], before[name]) for name in before)
    assert next(p.value for p in points if p.name == "trust_region") == pytest.approx(distance, rel=1e-5)


def test_without_a_noise_tram_is_the_plain_step_bit_for_bit(build, monkeypatch):
    plain = one_step(build, monkeypatch)
    found = one_step(build, monkeypatch, **{SIGMA: 0})
    assert all(torch.equal(found[0][name], plain[0][name]) for name in plain[0])
    assert found[3] == plain[3]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer.sam_rho": 0.1}, "sam_rho and tram_sigma are two ascents"),
        ({"noise.kind": "embedding_gaussian"}, "optimizer.tram_sigma puts a noise of its own on the input"),
    ],
)
def test_tram_stands_alone(tiny_config, values, message):
    from trainables.errors import InputError

    with pytest.raises(InputError, match=message):
        with_values(tiny_config, {f"stages.0.{k}": v for k, v in {"optimizer.tram_sigma": 0.1, **values}.items()})
