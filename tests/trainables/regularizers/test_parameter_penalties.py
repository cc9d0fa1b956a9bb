"""L2 and L2-SP against their formulas in float64: value, gradient, exemptions, zero weight, starting point."""

import pytest
import torch

from trainables.regularizers.l2 import L2Config, L2SPConfig
from trainables.seeding import Streams
from trainables.training.micro_batch import MicroBatch
from trainables.training.objective import objective

ROWS = [0, 3, 5, 6]
L2 = "stages__0__penalties__l2__"
L2_SP = "stages__0__penalties__l2_sp__"


def one_dimensional(name):
    """Whether a parameter of BERT is a bias or belongs to a LayerNorm, told by its name."""
    return name.endswith("bias") or "LayerNorm" in name


def moved(build, **values):
    """A float64 model that left its starting point, that point, and the objective there."""
    config, model, examples = build(**values)
    model = model.double()
    generator = torch.Generator().manual_seed(1)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    stage = config.stages[0]
    step = MicroBatch(model, examples, ROWS, stage.terms, Streams(0), "0.en", 0, 0, starting_point=start)
    return objective(step, stage), model, start


def gradients(loss, model):
    loss.total.backward()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()}


def encoder(name):
    return name.startswith("bert.")


@pytest.mark.parametrize("exempt", [False, True])
def test_l2_is_half_the_sum_of_squares_with_and_without_biases_and_norms(build, exempt):
    base, plain, _ = moved(build)
    loss, model, _ = moved(build, **{f"{L2}weight": 0.3, f"{L2}exempt_biases_and_norms": exempt})
    kept = {n: p.detach() for n, p in model.named_parameters() if not (exempt and one_dimensional(n))}
    expected = 0.5 * sum(float((p**2).sum()) for p in kept.values())
    assert loss.penalties["l2"].item() == pytest.approx(expected, rel=1e-12)
    assert loss.total.item() == pytest.approx(base.total.item() + 0.3 * expected, rel=1e-12)
    before, after = gradients(base, plain), gradients(loss, model)
    for name in before:
        wanted = 0.3 * kept[name] if name in kept else torch.zeros_like(before[name])
        torch.testing.assert_close(after[name] - before[name], wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("exempt", [False, True])
def test_l2_sp_draws_the_encoder_to_its_start_and_the_head_to_zero(build, exempt):
    base, plain, _ = moved(build)
    weights = {f"{L2_SP}weight": 0.3, f"{L2_SP}head_weight": 0.07, f"{L2_SP}exempt_biases_and_norms": exempt}
    loss, model, start = moved(build, **weights)
    kept = {n: p.detach() for n, p in model.named_parameters() if not (exempt and one_dimensional(n))}
    near = 0.5 * sum(float(((p - start[n]) ** 2).sum()) for n, p in kept.items() if encoder(n))
    head = 0.5 * sum(float((p**2).sum()) for n, p in kept.items() if not encoder(n))
    assert {n.split(".")[0] for n in kept} == {"bert", "classifier"}
    assert loss.penalties["l2_sp"].item() == pytest.approx(near, rel=1e-12)
    assert loss.penalties["l2_sp_head"].item() == pytest.approx(head, rel=1e-12)
    assert loss.total.item() == pytest.approx(base.total.item() + 0.3 * near + 0.07 * head, rel=1e-12)
    before, after = gradients(base, plain), gradients(loss, model)
    for name in before:
        wanted = torch.zeros_like(before[name])
        if name in kept:
            wanted = 0.3 * (kept[name] - start[name]) if encoder(name) else 0.07 * kept[name]
        torch.testing.assert_close(after[name] - before[name], wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("weight", "head_weight"), [(0.0, 0.0), (0.0, 0.1), (0.1, 0.0)])
def test_each_weight_of_zero_leaves_its_part_out(build, weight, head_weight):
    base, plain, _ = moved(build)
    loss, model, _ = moved(build, **{f"{L2_SP}weight": weight, f"{L2_SP}head_weight": head_weight})
    names = [name for name, w in (("l2_sp", weight), ("l2_sp_head", head_weight)) if w]
    assert list(loss.penalties) == names
    before, after = gradients(base, plain), gradients(loss, model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert all(encoder(name) for name in changed) if not head_weight else all(not encoder(n) for n in changed)
    assert bool(changed) == bool(names)


def test_l2_sp_is_zero_where_it_started(build):
    config, model, examples = build(**{f"{L2_SP}weight": 1})
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    step = MicroBatch(model, examples, ROWS, config.stages[0].terms, Streams(0), "0.en", 0, 0, starting_point=start)
    assert config.stages[0].penalties.l2_sp.penalty(step).item() == 0


def test_the_starting_point_is_that_of_the_stage(build):
    """Heavy L2-SP keeps the encoder at the stage's start; without it the encoder moves."""
    from trainables.training.stage import train_stage

    distances = {}
    for weight in (0, 1e4):
        config, model, examples = build(**{f"{L2_SP}weight": weight, f"{L2_SP}exempt_biases_and_norms": False})
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.05)  # another start than the pretrained weights
        start = {n: p.detach().clone() for n, p in model.named_parameters() if encoder(n)}
        train_stage(model, examples, examples, config.stages[0], Streams(0), 1, "de", lambda point: None)
        distances[weight] = max(
            float((p.detach() - start[n]).abs().max()) for n, p in model.named_parameters() if n in start
        )
    assert distances[1e4] < 0.5 * distances[0]


def test_defaults_say_what_is_exempt():
    assert L2Config().exempt_biases_and_norms is False
    assert L2SPConfig().exempt_biases_and_norms is True


def test_only_biases_and_norms_have_one_dimension(build):
    from trainables.regularizers.parameters import penalised

    _, model, _ = build()
    kept = {name for name, _ in penalised(model, exempt_biases_and_norms=True)}
    assert kept == {name for name, _ in model.named_parameters() if not one_dimensional(name)}
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    assert "bert.embeddings.word_embeddings.weight" not in dict(penalised(model, exempt_biases_and_norms=False))


def test_a_resumed_stage_keeps_its_starting_point_and_sams_steps(build):
    import copy

    from trainables.training.stage import train_stage

    def train(resume=None, on_epoch=None):
        values = {f"{L2_SP}weight": 10, "stages__0__optimizer__sam_rho": 0.05}
        config, model, examples = build(**values)
        stage, nothing = config.stages[0], lambda point: None
        train_stage(model, examples, examples, stage, Streams(0), 1, "de", nothing, resume=resume, on_epoch=on_epoch)
        return {name: p.detach() for name, p in model.named_parameters()}

    states = []
    whole = train(on_epoch=lambda state: states.append(copy.deepcopy(state)))
    assert [state.epoch for state in states] == [1, 2]
    resumed = train(resume=states[0])
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


WEIGHTS = [(L2, {"weight": 0.3}), (L2_SP, {"weight": 0.3, "head_weight": 0.07, "exempt_biases_and_norms": False})]


def step_gradients(build, **values):
    """The gradient of one optimiser step of a float64 model that left its starting point, and that point."""
    from trainables.training.gradient import StageGradient

    config, model, examples = build(**values)
    model = model.double()
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    parts = StageGradient(model, examples, config.stages[0], Streams(0), "0.en", starting_point=start).accumulate(
        ROWS, 0
    )
    found = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()}
    return found, {name: p.detach() for name, p in model.named_parameters()}, start, parts


@pytest.mark.parametrize(("prefix", "weights"), WEIGHTS, ids=["l2", "l2_sp"])
def test_the_lazy_form_acts_on_the_rows_that_have_another_gradient(build, prefix, weights):
    weights = {f"{prefix}{name}": value for name, value in weights.items()}
    before, values, start, _ = step_gradients(build)
    after, _, _, parts = step_gradients(build, **weights, **{f"{prefix}form": "lazy"})
    _, _, _, plain = step_gradients(build, **weights)
    words = "bert.embeddings.word_embeddings.weight"
    rows = before[words].abs().sum(1) > 0
    assert 0 < int(rows.sum()) < len(rows)  # some words of the vocabulary are in the batch
    for name, p in values.items():
        origin = start[name] if prefix == L2_SP and encoder(name) else torch.zeros_like(p)
        weight = 0.07 if prefix == L2_SP and not encoder(name) else 0.3
        expected = before[name].clone()
        for index in range(len(p)):  # row by row, from the definition
            if bool((before[name][index] != 0).any()):
                expected[index] += weight * (p[index] - origin[index])
        torch.testing.assert_close(after[name], expected, rtol=1e-9, atol=1e-9)
    assert parts == pytest.approx(plain, rel=1e-9)  # the reported penalty is that of all parameters in both forms


@pytest.mark.parametrize(("form", "moves"), [("lazy", False), ("plain", True)])
def test_only_the_plain_form_moves_words_that_no_sentence_has(build, form, moves):
    from trainables.training.stage import train_stage

    config, model, examples = build(**{f"{L2}weight": 1e-6, f"{L2}form": form})
    words = model.bert.embeddings.word_embeddings.weight
    seen = sorted(
        {int(i) for row in range(len(examples)) for i in examples.inputs([row], model.device)["input_ids"][0]}
    )
    unseen = [i for i in range(len(words)) if i not in seen]
    before = words.detach()[unseen].clone()
    train_stage(model, examples, examples, config.stages[0], Streams(0), 1, "de", lambda point: None)
    assert unseen
    assert torch.equal(words.detach()[unseen], before) is not moves
