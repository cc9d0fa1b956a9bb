"""Micro-batches against whole batches and against the definition; the two seeds of a trial."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch

from trainables.assets import Assets
from trainables.dotted_paths import with_values
from trainables.fine_tune import fine_tune
from trainables.objective import objective
from trainables.seeding import Streams
from trainables.stage import _accumulate, train_stage
from trainables.step import Step

OFF = {"model__dropout__hidden": 0, "model__dropout__attention": 0, "model__dropout__classifier": 0}
NOISE = {"stages__0__noise__kind": "embedding_gaussian", "stages__0__noise__strength": 0.3}
VIEW = {
    "stages__0__consistency__weight": 0.7,
    "stages__0__consistency__view__kind": "embedding_gaussian",
    "stages__0__consistency__view__strength": 0.3,
}
FULL, PARTIAL = list(range(8)), [9, 2, 30, 4, 17, 6]


def accumulated(build, rows, accumulation, **values):
    """Gradients in float64 and parts of the loss of one optimiser step."""
    config, model, examples = build(stages__0__accumulation=accumulation, **OFF, **values)
    model.double()
    parts = _accumulate(model, examples, rows, config.stages[0], Streams(0), "0.en", 0)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}, parts


def assert_equal(found, expected, rel=1e-9):
    """Equal up to rounding, measured by the largest entry of the whole gradient."""
    scale = max(float(g.abs().max()) for g in expected.values())
    assert scale > 1e-3
    assert found.keys() == expected.keys()
    for name in expected:
        assert float((found[name] - expected[name]).abs().max()) <= rel * scale, name


@pytest.mark.parametrize("accumulation", [2, 4, 8])
@pytest.mark.parametrize("rows", [FULL, PARTIAL], ids=["full", "partial"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"stages__0__penalties__l2__weight": 0.3},
        {"stages__0__penalties__l2__weight": 0.3, "stages__0__penalties__l2__form": "lazy"},
        {"stages__0__label_smoothing": 0.1},
        NOISE,
        VIEW,
    ],
    ids=["plain", "l2", "lazy l2", "smoothing", "noise", "consistency"],
)
def test_micro_batches_have_the_gradient_of_the_whole_batch(build, rows, accumulation, values):
    whole, one = accumulated(build, rows, 1, **values)
    found, many = accumulated(build, rows, accumulation, **values)
    # Divergences and noise are float32 by design; everything else is float64 here.
    assert_equal(found, whole, 1e-5 if values in (NOISE, VIEW) else 1e-9)
    assert many == pytest.approx(one, rel=1e-5)


def test_the_tolerance_would_see_a_wrong_share(build):
    whole, _ = accumulated(build, PARTIAL, 1)
    config, model, examples = build(stages__0__accumulation=2, **OFF)
    model.double()
    for number, chunk in enumerate((PARTIAL[:4], PARTIAL[4:])):
        step = Step(model, examples, chunk, config.stages[0], Streams(0), "0.en", 0, number)
        (objective(step, config.stages[0]).total / 2).backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    with pytest.raises(AssertionError):
        assert_equal(found, whole, 1e-5)


@pytest.mark.parametrize("rows", [FULL, PARTIAL], ids=["full", "partial"])
def test_the_fisher_penalty_of_micro_batches_is_their_weighted_mean(build, rows):
    """Sum over micro-batches of (b/n) (b/B) ||mean score of the b||^2: each has the mean Tr(F)/B over labels."""
    values = {"stages__0__penalties__fisher__weight": 2.0}
    found, parts = accumulated(build, rows, 2, **values)
    config, model, examples = build(stages__0__accumulation=2, **OFF, **values)
    model.double()
    expected: dict[str, torch.Tensor] = defaultdict(lambda: torch.zeros(()))
    value = 0.0
    for number, chunk in enumerate((rows[:4], rows[4:])):
        step = Step(model, examples, chunk, config.stages[0], Streams(0), "0.en", 0, number)
        labels = _sampled(step)
        parameters = dict(model.named_parameters())
        log_p = step.logits("main", 0).log_softmax(-1)[range(len(chunk)), labels]
        score = torch.autograd.grad(log_p.mean(), list(parameters.values()), create_graph=True, allow_unused=True)
        norm = sum(g.square().sum() for g in score if g is not None)
        penalty = len(chunk) / 8 * norm
        cross_entropy = torch.nn.functional.cross_entropy(step.logits("main", 0), step.labels)
        share = len(chunk) / len(rows)
        value += share * penalty.item()
        gradient = torch.autograd.grad(
            share * (cross_entropy + 2.0 * penalty), list(parameters.values()), allow_unused=True
        )
        for name, part in zip(parameters, gradient, strict=True):
            if part is not None:
                expected[name] = expected[name] + part
    assert parts["penalty.fisher"] == pytest.approx(value, rel=1e-9)
    assert_equal(found, dict(expected))


def _sampled(step):
    from trainables.curvature import sample_labels

    logits = step.logits("main", 0)
    return sample_labels(logits, step.streams.generator("labels", step.stage, step.index, step.micro_batch))


def test_the_last_batch_of_an_epoch_is_a_mean_over_its_own_rows(build, monkeypatch):
    from trainables import stage

    sizes = []
    original = stage._accumulate
    monkeypatch.setattr(stage, "_accumulate", lambda *args: sizes.append(len(args[2])) or original(*args))
    config, model, examples = build(stages__0__epochs=1)
    assert train_stage(model, examples, examples, config.stages[0], Streams(0), 1, "en", lambda p: None).steps == 5
    assert sizes == [8, 8, 8, 8, 4]


@pytest.fixture
def trial(tiny_config):
    def run(**values):
        config = with_values(tiny_config, {key.replace("__", "."): value for key, value in values.items()})
        assets = Assets.resolve([config])
        return assets, assets.rows(config), fine_tune(config, assets, lambda point: None)

    return run


ALL = {
    "model__dropout__hidden": 0.2,
    "stages__0__accumulation": 2,
    "stages__0__consistency__weight": 0.5,
    "stages__0__penalties__fisher__weight": 0.1,
    "stages__0__penalties__l2__weight": 0.01,
    "stages__0__noise__kind": "embedding_gaussian",
    "stages__0__noise__strength": 0.1,
    "measure__trace_every": 3,
}


def test_a_trial_with_every_stream_twice_is_equal_bit_for_bit_and_another_seed_differs(trial):
    first, again, other = (trial(**ALL, seed=seed)[2] for seed in (0, 0, 1))
    assert first == again
    assert set(first.values) == set(other.values)
    assert first.values["train_nll"] != other.values["train_nll"]


def test_the_seed_of_the_data_and_the_trials_seed_are_independent(trial, tiny_config):
    """One changes the rows and not the initial weights, the other the weights and not the rows."""
    from trainables.models.build import build_model

    def head(assets, seed):
        return build_model(assets.model(tiny_config), tiny_config.model, 2, Streams(seed)).classifier.weight

    assets, rows, found = trial(seed=3)
    _, other_seed_rows, other_seed = trial(seed=4)
    _, other_data_rows, other_data = trial(seed=3, data__seed=7)
    assert other_seed_rows.fingerprint == rows.fingerprint != other_data_rows.fingerprint
    assert other_data_rows.train != rows.train
    assert not torch.equal(head(assets, 3), head(assets, 4))
    assert len({result.values["train_nll"] for result in (found, other_seed, other_data)}) == 3


def test_no_stream_of_a_trial_depends_on_the_seed_of_the_data(tiny_config, tiny_assets):
    """The same rows under another data.seed give the same numbers: it draws the rows and nothing else."""
    from trainables.assets import _data_key

    renamed = with_values(tiny_config, {"data.seed": 7})
    assets = Assets(
        models=tiny_assets.models, data=tiny_assets.data | {_data_key(renamed.data): tiny_assets.rows(tiny_config)}
    )
    assert fine_tune(renamed, assets, lambda p: None) == fine_tune(tiny_config, tiny_assets, lambda p: None)
