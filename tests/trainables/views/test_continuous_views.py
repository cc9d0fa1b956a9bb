"""Views of embeddings, states, parameters and substituted tokens against their definitions, written naively."""

import copy

import pytest
import torch
from torch.nn.functional import softmax

from tests import reference
from trainables.assets import Assets
from trainables.config.dotted_paths import with_values
from trainables.errors import InputError
from trainables.regularizers.presets import PRESETS
from trainables.rehearsal.check import check
from trainables.seeding import Streams
from trainables.training.micro_batch import MicroBatch
from trainables.training.objective import objective
from trainables.views.modules import encoder_layers, word_embedding
from trainables.views.perturbation import check_view
from trainables.views.token_substitution import nearest
from trainables.views.vector_noise import add_noise, standard_noise
from trainables.views.view import ViewConfig

ROWS = [0, 3, 5, 6]
OFF = {f"model__dropout__{name}": 0 for name in ("hidden", "attention", "classifier")}


def steps(build, part, **view):
    """A step in float64 with a view as noise or under a consistency loss, and what a naive version needs of it."""
    paths = {f"stages__0__{part}__{name}": value for name, value in view.items()}
    config, model, examples = build(**OFF, **paths)
    model = model.double()
    step = MicroBatch(model, examples, ROWS, config.stages[0].terms, Streams(0), "0.en", 0, 0)
    return step, model, examples.inputs(ROWS, torch.device("cpu")), [len(examples.encoded[row]) for row in ROWS]


def draw(row, role, name="", purpose="view"):
    return Streams(0).generator(purpose, f"0.en/{name}", 0, 2 * row + role)


def embedded(model, inputs, change):
    """The model's own pass from changed word embeddings."""
    given = {name: value for name, value in inputs.items() if name != "input_ids"}
    return model(inputs_embeds=change(model.get_input_embeddings()(inputs["input_ids"])), **given).logits


@pytest.mark.parametrize("kind", ["embedding_gaussian", "embedding_uniform"])
@pytest.mark.parametrize("scale", ["absolute", "relative"])
def test_embedding_noise_is_added_once_to_the_word_embeddings(build, kind, scale):
    step, model, inputs, lengths = steps(build, "noise", kind=kind, strength=0.3, scale=scale)

    def change(vectors):
        vectors = vectors.clone()
        for i, (row, length) in enumerate(zip(ROWS, lengths, strict=True)):
            generator = draw(row, 0)
            if kind == "embedding_gaussian":
                noise = torch.randn(length, 16, generator=generator)
            else:
                noise = torch.rand(length, 16, generator=generator) * 2 - 1
            for t in range(length):
                rms = (sum(vectors[i, t] ** 2) / 16).sqrt() if scale == "relative" else 1.0
                vectors[i, t] = vectors[i, t] + 0.3 * rms * noise[t]
        return vectors

    expected = embedded(model, inputs, change)
    assert torch.allclose(step.logits("main", None), expected, atol=1e-10)


def test_standard_noise_has_the_declared_distributions():
    gaussian, uniform = (standard_noise(kind, 200, 50, torch.Generator()) for kind in ("gaussian", "uniform"))
    assert gaussian.std().item() == pytest.approx(1, rel=0.02)
    assert gaussian.abs().max() > 3
    assert uniform.abs().max() <= 1
    assert uniform.std().item() == pytest.approx(3**-0.5, rel=0.02)
    assert abs(uniform.mean().item()) < 0.02


def test_a_relative_scale_is_a_share_of_the_norm_and_a_constant():
    vectors = torch.randn(300, 64, requires_grad=True)
    noised = add_noise(vectors, torch.randn(300, 64), 0.05, "relative")
    share = (noised - vectors).norm(dim=1) / vectors.norm(dim=1)
    assert share.mean().item() == pytest.approx(0.05, rel=0.02)
    noised.sum().backward()
    assert torch.equal(vectors.grad, torch.ones_like(vectors))


@pytest.mark.parametrize(("layer", "spread", "noised"), [(0, "one", [0]), (1, "one", [1]), (0, "up", [0, 1, 2])])
def test_hidden_noise_is_added_to_the_output_of_a_layer_or_of_all_from_it_up(build, layer, spread, noised):
    step, model, inputs, lengths = steps(
        build, "noise", kind="hidden_noise", strength=0.3, scale="absolute", layer=layer, spread=spread
    )

    def noise(states, at):
        if at not in noised:
            return states
        states = states.clone()
        for i, (row, length) in enumerate(zip(ROWS, lengths, strict=True)):
            states[i, :length] += 0.3 * torch.randn(length, 16, generator=draw(row, 0, f"layer {at}"))
        return states

    mask = torch.zeros(4, 1, 1, inputs["input_ids"].shape[1], dtype=torch.float64)
    mask.masked_fill_(inputs["attention_mask"][:, None, None] == 0, torch.finfo(torch.float64).min)
    given = {name: value for name, value in inputs.items() if name != "attention_mask"}
    model.eval()
    states = noise(model.bert.embeddings(**given), 0)
    for number, module in enumerate(model.bert.encoder.layer, start=1):
        states = noise(module(states, mask), number)
    expected = model.classifier(model.bert.pooler(states))
    assert torch.allclose(step.logits("main", None), expected, atol=1e-10)


def test_lnsr_is_the_squared_change_of_the_states_above_the_noised_layer(build):
    view = {"preset": "lnsr", "view__layer": 0, "view__strength": 0.2, "dropout": "off"}
    step, model, inputs, lengths = steps(build, "consistency", **view)
    model.eval()
    clean = model(**inputs, output_hidden_states=True).hidden_states[1:]
    noise = torch.zeros(4, inputs["input_ids"].shape[1], 16, dtype=torch.float64)
    for i, (row, length) in enumerate(zip(ROWS, lengths, strict=True)):
        noise[i, :length] = torch.randn(length, 16, generator=draw(row, 1, "layer 0"))

    def add(module, args, output):
        return output + 0.2 * output.square().mean(-1, keepdim=True).sqrt() * noise

    handle = model.bert.embeddings.register_forward_hook(add)
    noised = model(**inputs, output_hidden_states=True).hidden_states[1:]
    handle.remove()
    expected = reference.squared_change([clean], [noised], [lengths])
    config = with_values_of(build, view)
    assert config.penalty(step).item() == pytest.approx(expected.item(), rel=1e-6)


def with_values_of(build, view):
    paths = {f"stages__0__consistency__{name}": value for name, value in view.items()}
    return build(**OFF, **paths)[0].stages[0].consistency


@pytest.mark.parametrize("scale", ["absolute", "relative"])
def test_parameter_noise_is_a_model_with_other_parameters(build, scale):
    step, model, inputs, _ = steps(build, "noise", kind="parameter_noise", strength=0.02, scale=scale)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    found = step.logits("main", None)
    twin = copy.deepcopy(model).eval()
    table = twin.get_input_embeddings()
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            unit = parameter.square().mean().sqrt() if scale == "relative" else 1.0
            if parameter is table.weight:
                for word in range(len(parameter)):
                    if word != table.padding_idx:
                        generator = Streams(0).generator("view", f"0.en/word {word}", 0, 0)
                        parameter[word] += 0.02 * unit * torch.randn(16, generator=generator).double()
            else:
                generator = Streams(0).generator("view", f"0.en/{name}", 0, 0)
                parameter += 0.02 * unit * torch.randn(parameter.shape, generator=generator).double()
    assert torch.allclose(found, twin(**inputs).logits, atol=1e-10)
    # The gradient with respect to theta is that at theta + eps.
    found.square().sum().backward()
    twin(**inputs).logits.square().sum().backward()
    for (name, parameter), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.allclose(parameter.grad, other.grad, atol=1e-8), name
        assert torch.equal(parameter, before[name])


def test_parameter_noise_leaves_frozen_parameters_alone(build):
    step, model, inputs, _ = steps(build, "noise", kind="parameter_noise", strength=0.5)
    model.requires_grad_(False)
    assert torch.equal(step.logits("main", None), model.eval()(**inputs).logits)


@pytest.mark.parametrize("norm", ["inf", "l2"])
@pytest.mark.parametrize("count", [1, 3])
def test_smart_climbs_the_symmetric_kl_within_the_radius(build, norm, count):
    view = {"strength": 0.03, "steps": count, "norm": norm, "step_size": 0.02, "start": 0.01}
    paths = {"preset": "smart", "dropout": "off"} | {f"view__{name}": value for name, value in view.items()}
    step, model, inputs, lengths = steps(build, "consistency", **paths)
    found = step.logits("view", None)
    model.eval()
    clean = model(**inputs).logits.detach()
    delta = torch.zeros(4, inputs["input_ids"].shape[1], 16, dtype=torch.float64)
    for i, (row, length) in enumerate(zip(ROWS, lengths, strict=True)):
        delta[i, :length] = 0.01 * torch.randn(length, 16, generator=draw(row, 1))
    size = (lambda v: v.abs().max()) if norm == "inf" else (lambda v: v.square().sum().sqrt())
    for _ in range(count):
        delta = delta.detach().requires_grad_()
        q = embedded(model, inputs, lambda e, d=delta: e + d)
        (gradient,) = torch.autograd.grad(reference.kl(clean, q) + reference.kl(q, clean), delta)
        delta = delta.detach()
        for i, length in enumerate(lengths):
            for t in range(length):
                moved = delta[i, t] + 0.02 * gradient[i, t] / size(gradient[i, t])
                if norm == "inf":
                    moved = torch.stack([x.clamp(-0.03, 0.03) for x in moved])
                elif size(moved) > 0.03:
                    moved = moved * 0.03 / size(moved)
                delta[i, t] = moved
    expected = embedded(model, inputs, lambda e: e + delta)
    assert torch.allclose(found, expected, atol=1e-9)
    start = embedded(model, inputs, lambda e: e + 0 * delta)
    assert reference.kl(clean, found) > 10 * reference.kl(clean, start).abs()


def test_smarts_embedding_keeps_its_gradient_and_r3fs_noised_pass_has_none(build):
    for preset, stopped in (("smart", False), ("r3f", True)):
        step, model, _, _ = steps(build, "consistency", preset=preset, view__strength=0.1)
        table = model.get_input_embeddings().weight
        (gradient,) = torch.autograd.grad(step.logits("view", 1).sum(), table, allow_unused=True)
        assert (gradient is None) == stopped
        assert torch.autograd.grad(step.logits("main", 0).sum(), table)[0].abs().sum() > 0


def test_vat_d_replaces_by_the_neighbour_with_the_largest_directional_gain(build):
    paths = {"preset": "vat_d", "view__strength": 0.6, "view__candidates": 4, "dropout": "off"}
    step, model, inputs, lengths = steps(build, "consistency", **paths)
    step.logits("view", None)
    found = step._perturbations["view"].encoded
    table, special = model.get_input_embeddings().weight.detach(), set(step.special_ids)
    vectors = model.eval().get_input_embeddings()(inputs["input_ids"]).detach().requires_grad_()
    logits = embedded(model, inputs, lambda _: vectors)
    sharp = softmax(logits.detach() / 0.5, -1)
    (sharp * (sharp.log() - logits.log_softmax(-1))).sum().backward()
    replaced = 0
    for i, (row, length) in enumerate(zip(ROWS, lengths, strict=True)):
        chosen = torch.rand(length, generator=draw(row, 1)) < 0.6
        for t in range(length):
            piece = int(inputs["input_ids"][i, t])
            if not chosen[t] or piece in special:
                assert found[i].ids[t] == piece
                continue
            others = [v for v in range(len(table)) if v not in special and v != piece]
            near = sorted(others, key=lambda v: float((table[v] - table[piece]).norm()))[:4]
            gains = [
                float(vectors.grad[i, t] @ (table[v] - table[piece]) / (table[v] - table[piece]).norm()) for v in near
            ]
            assert found[i].ids[t] == near[gains.index(max(gains))]
            replaced += 1
    assert replaced > 10


def test_neighbours_are_the_nearest_by_distance_and_never_special():
    table = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.1, 0.0], [3.0, 0.0], [1.0, 0.3], [9.0, 9.0]])
    assert nearest(table, torch.tensor([1, 3]), 2, [0, 2]).tolist() == [[4, 3], [1, 4]]
    assert nearest(table, torch.tensor([1]), 10, [0, 2]).shape == (1, 3)


# Forward passes, and gradients of embeddings beside the one backward pass through all of them but the ascent's. With
# dropout off the divergence has two passes of its own, since the cross-entropy keeps its dropout.
COSTS = {"parameter_noise": (3, 0), "smart": (3, 1), "vat_d": (2, 1)}


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_makes_a_pass_twice(build, monkeypatch, preset):
    config, model, examples = build(stages__0__consistency__preset=preset)
    step = MicroBatch(model, examples, ROWS, config.stages[0].terms, Streams(0), "0.en", 0, 0)
    forwards, ascents, gradient = [], [], torch.autograd.grad

    def counted(*args, **kwargs):
        ascents.append(args)
        return gradient(*args, **kwargs)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    model.bert.encoder.layer[0].register_forward_hook(lambda *_: forwards.append(1))
    objective(step, config.stages[0]).total.backward()
    assert (len(forwards), len(ascents)) == COSTS.get(preset, (2, 0))


def test_an_adversary_found_first_leaves_the_main_pass_its_gradient(build):
    # The view's own cross-entropy comes before the divergence, whose clean pass is another one with dropout off.
    paths = {"preset": "mvr", "view__kind": "adversarial_embedding", "dropout": "off"}
    step, _, _, _ = steps(build, "consistency", **paths)
    step.logits("view", 1)
    assert step.logits("main", None).requires_grad


class WithoutTable(torch.nn.Module):
    """A model whose input embeddings are no table of words."""

    config = type("Config", (), {"num_hidden_layers": 2})

    def get_input_embeddings(self):
        raise NotImplementedError


class WithAnotherTable(WithoutTable):
    def get_input_embeddings(self):
        return torch.nn.Linear(2, 2)


@pytest.mark.parametrize("kind", ["embedding_uniform", "adversarial_embedding", "token_substitution"])
@pytest.mark.parametrize("model", [WithoutTable, WithAnotherTable])
def test_a_model_without_word_embeddings_is_refused(kind, model):
    with pytest.raises(InputError, match=f"{model.__name__} has no table of word embeddings, which the view perturbs"):
        check_view(model(), ViewConfig(kind=kind).resolved(), compares_states=False)


def test_a_model_without_a_list_of_layers_is_refused():
    with pytest.raises(InputError, match="WithoutTable has no list of encoder layers, whose states the view needs"):
        check_view(WithoutTable(), ViewConfig(kind="hidden_noise").resolved(), compares_states=False)
    check_view(WithoutTable(), ViewConfig(kind="subword").resolved(), compares_states=False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"stages.0.noise.kind": "hidden_noise", "stages.0.noise.layer": 3},
            "view.layer=3, but the model has 2 layers",
        ),
        ({"stages.0.consistency.preset": "lnsr", "stages.0.consistency.view.layer": 2}, "with one above it to compare"),
    ],
)
def test_a_layer_that_the_model_does_not_have_is_found_before_any_trial(tiny_config, values, message):
    config = with_values(tiny_config, values)
    with pytest.raises(InputError, match=message):
        check(Assets.resolve([config]), [config])


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "distilbert", "electra"])
def test_the_families_have_a_table_and_layers(family):
    from tests.trainables.curvature.cases import make_model

    model = make_model(family)
    assert word_embedding(model).num_embeddings == 30
    assert len(encoder_layers(model)) == 2
