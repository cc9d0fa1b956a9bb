"""The objective against its formulas, written naively; zero-weight limits; dropout and seeds."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from trainables.config import StageConfig
from trainables.config.dotted_paths import with_values
from trainables.divergences import kl_divergence
from trainables.seeding import Streams
from trainables.training.micro_batch import MicroBatch
from trainables.training.objective import objective

ROWS = [0, 3, 5, 6]


def loss_of(build, index=0, micro_batch=0, seed=0, rows=ROWS, **values):
    config, model, examples = build(**values)
    stage = config.stages[0]
    step = MicroBatch(model, examples, rows, stage.terms, Streams(seed), "0.en", index, micro_batch)
    return objective(step, stage), step, model


def gradient(loss, model):
    loss.total.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def naive_kl(p_logits, q_logits):
    """KL(p || q) from the formula: sum over classes, mean over examples."""
    total = 0.0
    for a, b in zip(p_logits.double(), q_logits.double(), strict=True):
        p, q = a.exp() / a.exp().sum(), b.exp() / b.exp().sum()
        total += sum(pi * (pi / qi).log() for pi, qi in zip(p, q, strict=True))
    return float(total) / len(p_logits)


def test_kl_divergence_is_the_formula_in_the_declared_direction_and_reduction():
    generator = torch.Generator().manual_seed(0)
    p, q = (torch.randn(7, 3, generator=generator, dtype=torch.float64) * 2 for _ in range(2))
    assert kl_divergence(p, q).item() == pytest.approx(naive_kl(p, q), rel=1e-6)
    assert kl_divergence(q, p).item() != pytest.approx(naive_kl(p, q), rel=1e-2)


def test_kl_divergence_has_a_gradient_through_both_arguments():
    p, q = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    divergence = torch.nn.functional.kl_div(
        q.log_softmax(-1), p.log_softmax(-1), log_target=True, reduction="batchmean"
    )
    expected = torch.autograd.grad(divergence, [p, q])
    found = torch.autograd.grad(kl_divergence(p.float(), q.float()).double(), [p, q])
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, atol=1e-6)
        assert a.abs().max() > 1e-3


def test_mvr_is_half_and_half_cross_entropy_plus_weighted_kl(build):
    loss, step, _ = loss_of(build, stages__0__consistency__weight=0.7, stages__0__consistency__view__strength=0.5)
    clean = step.logits("main", 0).detach()
    view = step.logits("view", 1).detach()
    assert not torch.equal(clean, view)
    expected = (
        0.5 * cross_entropy(clean, step.labels) + 0.5 * cross_entropy(view, step.labels) + 0.7 * naive_kl(clean, view)
    )
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert loss.penalties["consistency"].item() == pytest.approx(naive_kl(clean, view), rel=1e-4)


def test_consistency_of_weight_zero_is_the_same_preset_without_its_divergence(build):
    loss, _, model = loss_of(build, stages__0__consistency__weight=0)
    _, other, twin = loss_of(build, stages__0__consistency__weight=0)
    expected = 0.5 * cross_entropy(other.logits("main", 0), other.labels) + 0.5 * cross_entropy(
        other.logits("view", 1), other.labels
    )
    assert torch.equal(loss.total, expected)
    found = gradient(loss, model)
    expected.backward()
    assert all(torch.equal(found[name], p.grad) for name, p in twin.named_parameters() if p.grad is not None)
    assert not loss.penalties["consistency"].requires_grad
    assert loss.penalties["consistency"] > 0


@pytest.mark.parametrize("penalty", ["fisher", "l2"])
def test_a_penalty_of_weight_zero_equals_the_baseline_bit_for_bit(build, penalty):
    base, _, model = loss_of(build)
    zero, _, twin = loss_of(build, **{f"stages__0__penalties__{penalty}__weight": 0})
    assert torch.equal(base.total, zero.total)
    first, second = gradient(base, model), gradient(zero, twin)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_l2_is_half_the_sum_of_squares_and_its_gradient_the_parameter(build):
    base, _, model = loss_of(build)
    loss, _, twin = loss_of(build, stages__0__penalties__l2__weight=0.3)
    squares = sum(float((p.detach().double() ** 2).sum()) for p in model.parameters())
    assert loss.penalties["l2"].item() == pytest.approx(0.5 * squares, rel=1e-5)
    assert loss.total.item() == pytest.approx(base.total.item() + 0.3 * 0.5 * squares, rel=1e-5)
    first, second = gradient(base, model), gradient(loss, twin)
    for name, parameter in model.named_parameters():
        before = first.get(name, torch.zeros_like(parameter))
        assert torch.allclose(second[name] - before, 0.3 * parameter, atol=1e-5)


def test_the_fisher_penalty_is_the_squared_norm_of_the_mean_score_at_sampled_labels(build):
    from trainables.curvature import sample_labels

    rows = [0, 3, 5, 6, 7, 8, 9, 10]
    loss, step, model = loss_of(build, rows=rows, stages__0__penalties__fisher__weight=0.5)
    logits = step.logits("main", 0)
    labels = sample_labels(logits, Streams(0).generator("labels", "0.en", 0, 0))
    mean = torch.zeros(sum(p.numel() for p in model.parameters()), dtype=torch.float64)
    for i, label in enumerate(labels.tolist()):
        score = torch.autograd.grad(
            logits.log_softmax(-1)[i, label], list(model.parameters()), retain_graph=True, allow_unused=True
        )
        mean += torch.cat(
            [
                (torch.zeros_like(p) if g is None else g).double().reshape(-1)
                for g, p in zip(score, model.parameters(), strict=True)
            ]
        ) / len(rows)
    assert loss.penalties["fisher"].item() == pytest.approx(float(mean @ mean), rel=1e-4)
    base = loss_of(build, rows=rows)[0]
    assert loss.total.item() == pytest.approx(base.total.item() + 0.5 * float(mean @ mean), rel=1e-4)


def test_the_fisher_penalty_has_a_gradient_of_its_own(build):
    base, _, model = loss_of(build)
    loss, _, twin = loss_of(build, stages__0__penalties__fisher__weight=10)
    first, second = gradient(base, model), gradient(loss, twin)
    assert max(float((first[n] - second[n]).abs().max()) for n in first) > 1e-3


def test_a_partial_batch_keeps_the_expectation_of_the_full_one(build):
    # Four of eight rows: the penalty of the four alone would be about twice Tr(F)/8.
    half, step, model = loss_of(build, stages__0__penalties__fisher__weight=1)
    config, _, _ = build(stages__0__penalties__fisher__weight=1, stages__0__batch_size=4)
    whole = objective(
        MicroBatch(model, step.examples, ROWS, config.stages[0].terms, Streams(0), "0.en", 0, 0), config.stages[0]
    )
    assert half.penalties["fisher"].item() == pytest.approx(whole.penalties["fisher"].item() / 2, rel=1e-5)


def test_every_k_acts_on_each_kth_step_with_k_times_the_weight(build):
    settings = {"stages__0__penalties__fisher__weight": 0.5, "stages__0__penalties__fisher__every": 3}
    assert "fisher" not in loss_of(build, index=1, **settings)[0].penalties
    acting, base = loss_of(build, index=3, **settings)[0], loss_of(build, index=3)[0]
    expected = base.total.item() + 3 * 0.5 * acting.penalties["fisher"].item()
    assert acting.total.item() == pytest.approx(expected, rel=1e-5)


def test_switching_a_term_on_leaves_the_dropout_of_the_others_alone(build):
    dropout = {"model__dropout__hidden": 0.4}
    base = loss_of(build, **dropout)[1].logits("main", 0)
    for settings in ({"stages__0__consistency__weight": 1}, {"stages__0__penalties__fisher__weight": 1}):
        assert torch.equal(loss_of(build, **dropout, **settings)[1].logits("main", 0), base)
    assert not torch.equal(loss_of(build, index=1, **dropout)[1].logits("main", 0), base)
    assert not torch.equal(loss_of(build, seed=1, **dropout)[1].logits("main", 0), base)


def test_dropout_of_the_two_passes_independent_shared_and_off(build):
    noise = {
        "model__dropout__hidden": 0.4,
        "stages__0__consistency__view__kind": "embedding_gaussian",
        "stages__0__consistency__view__strength": 0,
    }
    # A view without any change isolates the dropout: equal masks give no divergence, other masks some.
    divergence = {
        mode: loss_of(build, **noise, stages__0__consistency__dropout=mode)[0].penalties["consistency"].item()
        for mode in ("independent", "shared", "off")
    }
    assert divergence["independent"] > 1e-6
    assert divergence["shared"] == divergence["off"] == 0


def test_label_smoothing_is_torchs(build):
    loss, step, _ = loss_of(build, stages__0__label_smoothing=0.2)
    expected = cross_entropy(step.logits("main", 0), step.labels, label_smoothing=0.2)
    assert torch.equal(loss.total, expected)


def test_micro_batches_add_up_to_the_full_batch(build):
    from trainables.training.gradient import StageGradient

    gradients = []
    for accumulation in (1, 2, 4):
        config, model, examples = build(stages__0__accumulation=accumulation, model__dropout__hidden=0)
        config = with_values(config, {"model.dropout.attention": 0})
        model.config.attention_probs_dropout_prob = 0
        _, model, _ = build(model__dropout__hidden=0, model__dropout__attention=0)
        parts = StageGradient(model, examples, config.stages[0], Streams(0), "0.en").accumulate(list(range(8)), 0)
        gradients.append((parts["train_loss"], model.classifier.weight.grad.clone()))
    for loss, grad in gradients[1:]:
        assert loss == pytest.approx(gradients[0][0], rel=1e-5)
        assert torch.allclose(grad, gradients[0][1], atol=1e-6)


def test_stage_defaults_are_the_protocol():
    stage = StageConfig()
    assert (stage.epochs, stage.batch_size, stage.clip, stage.selection) == (5, 32, 1.0, "last")
    assert (stage.optimizer.learning_rate, stage.optimizer.weight_decay, stage.optimizer.warmup) == (2e-5, 0.0, 0.0)


def test_noise_and_a_consistency_view_of_equal_settings_are_different_views(build):
    both = {
        f"stages__0__{part}__{name}": value
        for part in ("noise", "consistency__view")
        for name, value in (("kind", "embedding_gaussian"), ("strength", 0.5))
    }
    _, step, _ = loss_of(build, **both, stages__0__consistency__weight=1)
    assert not torch.equal(step.logits("main", None), step.logits("view", None))
