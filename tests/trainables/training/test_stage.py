"""Micro-batches against whole batches and against the definition; the two seeds of a trial."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch

from trainables.assets import Assets
from trainables.config.dotted_paths import with_values
from trainables.seeding import Streams
from trainables.training.gradient import StageGradient
from trainables.training.micro_batch import MicroBatch
from trainables.training.objective import objective
from trainables.training.stage import train_stage
from trainables.trial import fine_tune

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
    parts = StageGradient(model, examples, config.stages[0], Streams(0), "0.en").accumulate(rows, 0)
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
        step = MicroBatch(model, examples, chunk, config.stages[0].terms, Streams(0), "0.en", 0, number)
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
        step = MicroBatch(model, examples, chunk, config.stages[0].terms, Streams(0), "0.en", 0, number)
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
    sizes = []
    original = StageGradient.accumulate
    monkeypatch.setattr(
        StageGradient, "accumulate", lambda *args, **rule: sizes.append(len(args[1])) or original(*args, **rule)
    )
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
    """The same rows under another data.seed give the same numbers: it draws rows and their halves, and nothing else."""
    from trainables.assets import data_key

    renamed = with_values(tiny_config, {"data.seed": 7})
    assets = Assets(
        models=tiny_assets.models, data=tiny_assets.data | {data_key(renamed.data): tiny_assets.rows(tiny_config)}
    )
    one, other = fine_tune(renamed, assets, lambda p: None), fine_tune(tiny_config, tiny_assets, lambda p: None)
    for found in (one, other):
        for name in [name for name in found.values if ".half" in name]:
            del found.values[name]
    assert one == other


def until(build, nll, every=3, max_epochs=4, **run):
    """A stage that ends at a training loss: its result, curves, weights and the steps that it called out."""
    config, model, examples = build(
        stages__0__until__train_nll=nll, stages__0__until__every=every, stages__0__until__max_epochs=max_epochs,
        stages__0__until__examples=20, stages__0__optimizer__warmup=0.3,
    )  # fmt: skip
    points, steps = [], []
    found = train_stage(
        model, examples, examples, config.stages[0], Streams(0), 0, "en", points.append, steps.append, **run
    )
    return found, points, {name: p.detach().clone() for name, p in model.named_parameters()}, steps


def looks(points):
    return [(point.step, point.value) for point in points if point.name == "train_nll"]


def reference_nll(model, examples, rows):
    """The mean NLL of the first rows in evaluation mode, one row at a time, in float64."""
    model.eval()
    total = 0.0
    for row in range(rows):
        logits = model(**examples.inputs([row], model.device)).logits.detach().double()[0]
        total += float(logits.logsumexp(0) - logits[examples.labels[row]])
    return total / rows


def test_a_stage_ends_at_the_first_look_below_the_training_loss(build):
    never, points, _, steps = until(build, 1e-9)
    seen = looks(points)
    assert [step for step, _ in seen] == [3, 6, 9, 12, 15, 18, 20]  # 5 steps an epoch; the last step is a look, too
    assert never.steps == 20
    assert never.train_nll == seen[-1][1] >= 1e-9
    assert steps == list(range(1, 21))
    values = [value for _, value in seen]
    target = (min(values[:3]) + min(values)) / 2
    first = next(step for step, value in seen if value < target)
    assert 3 < first < 20
    found, points, _, steps = until(build, target)
    assert (found.steps, looks(points)) == (first, [look for look in seen if look[0] <= first])
    assert found.train_nll < target
    assert steps == list(range(1, first))
    assert points[-1].name == "accuracy.en"
    assert points[-1].epoch == pytest.approx(first / 5)


def test_what_is_looked_at_is_the_mean_nll_of_a_fixed_draw_in_evaluation_mode(build):
    _, model, examples = build()
    found, _, weights, _ = until(build, 1e-9)
    model.load_state_dict(weights, strict=False)
    assert found.train_nll == pytest.approx(reference_nll(model, examples, 20), rel=1e-5)


def test_the_rate_is_constant_after_the_warm_up_of_the_number_of_epochs(build):
    from trainables.training.stage import _optimizer

    config, model, _ = build(stages__0__until__train_nll=0.1, stages__0__optimizer__warmup=0.3)
    optimizer, schedule = _optimizer(model, config.stages[0], 10)
    rates = []
    for _ in range(30):
        rates.append(optimizer.param_groups[0]["lr"] / config.stages[0].optimizer.learning_rate)
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0, 1 / 3, 2 / 3, *[1.0] * 27])


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_stage_that_ends_at_a_loss_goes_on_bit_for_bit(build, epoch):
    import copy

    states = []
    _, points, _, _ = until(build, 1e-9)
    target = sorted(value for _, value in looks(points))[1] * 1.0000001
    whole = until(build, target, on_epoch=lambda state: states.append(copy.deepcopy(state)))
    resumed = until(build, target, resume=states[epoch - 1])
    assert whole[0] == resumed[0]
    assert all(torch.equal(whole[2][name], resumed[2][name]) for name in whole[2])


def test_a_stage_that_stopped_after_its_last_epoch_still_knows_its_loss(build):
    import copy

    states = []
    whole = until(build, 1e-9, on_epoch=lambda state: states.append(copy.deepcopy(state)))
    assert until(build, 1e-9, resume=states[-1])[0] == whole[0]


@pytest.mark.parametrize(("every", "epochs"), [(1, [1, 2, 3, 4]), (2, [2, 4]), (None, [])])
def test_english_accuracy_is_looked_at_as_often_as_asked(build, every, epochs):
    config, model, examples = build(stages__0__epochs=4)
    points = []
    train_stage(model, examples, examples, config.stages[0], Streams(0), 0, "en", points.append, accuracy_every=every)
    assert [point.epoch for point in points if point.name == "accuracy.en"] == epochs
