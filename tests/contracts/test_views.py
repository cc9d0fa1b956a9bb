"""What every kind of view keeps to. The cases are the table of kinds, so a new kind is covered by being in it."""

import pytest
import torch
from pydantic import ValidationError

from tests.contracts.conftest import ROWS, pad_more, view_settings
from trainables.config import StageConfig
from trainables.views.perturbation import ATTACKS, NOISES
from trainables.views.view import VIEWS, ViewConfig, noise

ALONE = [kind for kind, view in VIEWS.items() if view.alone]


def as_noise(kind, strength=None):
    return {f"noise.{name}": value for name, value in view_settings(kind, strength).items()}


def prediction(step, role="main"):
    return step.logits(role, None).detach()


def test_every_kind_that_keeps_tokens_has_an_implementation():
    assert {*NOISES, *ATTACKS, "second_dropout"} == {kind for kind, view in VIEWS.items() if view.keeps_tokens}


@pytest.mark.parametrize("kind", ALONE)
def test_it_changes_the_prediction_to_other_finite_numbers(bench, kind):
    step = bench(as_noise(kind)).step()
    assert torch.isfinite(prediction(step)).all()
    assert (prediction(step) - prediction(step, "clean")).abs().max() > 1e-6


@pytest.mark.parametrize("kind", ALONE)
def test_strength_zero_is_the_clean_input(bench, kind):
    step = bench(as_noise(kind, 0.0)).step()
    assert torch.equal(prediction(step), prediction(step, "clean"))


@pytest.mark.parametrize("kind", ALONE)
def test_equal_seeds_give_equal_views_and_others_other_ones(bench, kind):
    made = bench(as_noise(kind))
    first = prediction(made.step())
    assert torch.equal(prediction(made.step()), first)
    assert any(not torch.equal(prediction(made.step(seed=seed)), first) for seed in (1, 2, 3))
    assert any(not torch.equal(prediction(made.step(index=index)), first) for index in (1, 2, 3))


@pytest.mark.parametrize("kind", ALONE)
def test_labels_special_tokens_and_in_place_all_lengths_are_kept(bench, kind):
    step = bench(as_noise(kind)).step()
    prediction(step)
    clean = [step.examples.encoded[row] for row in ROWS]
    assert torch.equal(step.labels, step.examples.labels[list(ROWS)])
    for before, after in zip(clean, step._perturbations["main"].encoded, strict=True):
        special = [[piece for piece in encoded.ids if piece in step.special_ids] for encoded in (before, after)]
        assert special[0] == special[1]
        if VIEWS[kind].keeps_tokens:
            assert before.types == after.types
            places = [[i for i, piece in enumerate(e.ids) if piece in step.special_ids] for e in (before, after)]
            assert places[0] == places[1]


@pytest.mark.parametrize("kind", ALONE)
def test_an_example_does_not_depend_on_the_batch_its_order_or_its_parts(bench, kind):
    made = bench(as_noise(kind))
    whole = prediction(made.step())
    order = [2, 0, 3, 1]
    shuffled = prediction(made.step(rows=[ROWS[i] for i in order]))
    assert torch.allclose(shuffled, whole[order], atol=1e-10)
    halves = [made.step(rows=rows, micro_batch=i) for i, rows in enumerate((ROWS[:2], ROWS[2:]))]
    assert torch.allclose(torch.cat([prediction(step) for step in halves]), whole, atol=1e-10)


@pytest.mark.parametrize("kind", ALONE)
def test_padding_does_not_matter(bench, kind, monkeypatch):
    made = bench(as_noise(kind))
    expected = prediction(made.step())
    pad_more(made.examples, monkeypatch)
    assert torch.allclose(prediction(made.step()), expected, atol=1e-10)


@pytest.mark.parametrize("kind", ALONE)
def test_the_model_is_left_as_it_was(bench, kind):
    made = bench(as_noise(kind))
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in made.model.modules()]
    made.loss().total.backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.model.state_dict().items())
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in made.model.modules()] == hooks
    assert all("forward" not in vars(module) for module in made.model.modules())


@pytest.mark.parametrize("kind", ALONE)
def test_the_fisher_penalty_differentiates_the_noised_pass(bench, kind):
    from trainables.curvature import sample_labels

    made = bench(as_noise(kind) | {"penalties.fisher.weight": 1})
    step = made.step()
    found = made.loss().penalties["fisher"].item()
    logits = bench(as_noise(kind)).step().logits("main", 0)  # a model of equal weights, an ordinary pass
    labels = sample_labels(logits, step.streams.generator("labels", "0.en", 0, 0))
    gradients = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, labels), parameters_behind(logits))
    expected = len(ROWS) / step.batch_size * sum(g.square().sum().item() for g in gradients)
    assert found == pytest.approx(expected, rel=1e-8)


def parameters_behind(output):
    """The leaves of an output's graph."""
    found, seen, stack = [], set(), [output.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        stack += [following for following, _ in node.next_functions]
    return found


@pytest.mark.parametrize("kind", VIEWS)
def test_its_defaults_are_explicit_and_belong_to_it(kind):
    explicit = ViewConfig(**view_settings(kind)).explicit()
    assert set(explicit) == {"kind", *VIEWS[kind].fields}
    assert VIEWS[kind].summary
    assert VIEWS[kind].source
    needed = [name for name, value in VIEWS[kind].fields.items() if value is None]
    if needed:
        with pytest.raises(ValueError, match=f"view {kind} needs {', '.join(needed)}: there is no default"):
            ViewConfig(kind=kind).resolved()


@pytest.mark.parametrize("kind", [kind for kind in VIEWS if kind not in ALONE])
def test_what_is_no_noise_alone_is_refused(kind):
    with pytest.raises(ValueError, match=f"noise.kind={kind} would change nothing"):
        noise(ViewConfig(**view_settings(kind)))
    with pytest.raises(ValidationError, match=f"noise.kind={kind} would change nothing"):
        StageConfig(noise=view_settings(kind))
