"""What bfloat16 touches, seen with autocast on the CPU, and what it must not."""

from __future__ import annotations

import pytest
import torch

from trainables import precision as precision_module
from trainables import trial as fine_tune_module
from trainables.config.dotted_paths import with_values
from trainables.divergences import PREDICTIONS
from trainables.errors import InputError
from trainables.precision import at_least_float32, passes_in, step_dtype, training_dtype
from trainables.seeding import Streams
from trainables.training import micro_batch as micro_batch_module
from trainables.training import objective as objective_module
from trainables.training.micro_batch import MicroBatch
from trainables.training.objective import objective
from trainables.training.stage import train_stage
from trainables.training.step_rules import trust_region
from trainables.trial import fine_tune
from trainables.views.view import VIEWS

BF16 = torch.bfloat16
ROWS = [0, 3, 5, 6]


@pytest.mark.parametrize(
    ("device", "precision", "has_bf16", "expected"),
    [
        ("cuda", "auto", True, torch.bfloat16),
        ("cuda", "auto", False, torch.float32),
        ("cuda", "float32", True, torch.float32),
        ("cuda", "bfloat16", True, torch.bfloat16),
        ("cpu", "auto", True, torch.bfloat16),
        ("cpu", "auto", False, torch.float32),
        ("cpu", "float32", True, torch.float32),
        ("cpu", "bfloat16", True, torch.bfloat16),
    ],
)
def test_bfloat16_is_for_devices_that_have_it_and_configurations_that_allow_it(
    monkeypatch, device, precision, has_bf16, expected
):
    _devices(monkeypatch, has_bf16)
    assert training_dtype(torch.device(device), precision, 384) == expected


def _devices(monkeypatch, has_bf16, onednn=True):
    # An older GPU says yes unless emulation is excluded.
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation | has_bf16
    )
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bf16})
    monkeypatch.setattr(precision_module, "_onednn_has_bfloat16", lambda: onednn)


@pytest.mark.parametrize(("hidden_size", "expected"), [(96, torch.float32), (128, torch.bfloat16)])
def test_a_narrow_encoder_does_not_gain_on_a_cpu(monkeypatch, hidden_size, expected):
    _devices(monkeypatch, True)
    assert training_dtype(torch.device("cpu"), "auto", hidden_size) == expected
    assert training_dtype(torch.device("cuda"), "auto", hidden_size) == torch.bfloat16


def test_a_cpu_whose_bfloat16_onednn_must_not_use_has_none(monkeypatch):
    _devices(monkeypatch, True, onednn=False)
    assert training_dtype(torch.device("cpu"), "auto", 384) == torch.float32


@pytest.mark.parametrize(("device", "kind"), [("cpu", "CPU"), ("cuda", "GPU")])
def test_bfloat16_asked_for_where_there_is_none_is_one_line(monkeypatch, device, kind):
    _devices(monkeypatch, False)
    with pytest.raises(InputError, match=f"model.precision=bfloat16, but the {kind} here .*; set model.precision=auto"):
        training_dtype(torch.device(device), "bfloat16", 384)


def test_logits_keep_float64_and_lose_bfloat16():
    for dtype, expected in ((BF16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)):
        assert at_least_float32(torch.zeros(2, dtype=dtype)).dtype == expected


@pytest.fixture
def formats(monkeypatch):
    """The formats of all matrix products so far, in order."""
    seen: list[torch.dtype] = []
    linear = torch.nn.Linear.forward

    def spy(self, x):
        out = linear(self, x)
        seen.append(out.dtype)
        return out

    monkeypatch.setattr(torch.nn.Linear, "forward", spy)
    return seen


def step_of(build, dtype, **values):
    config, model, examples = build(**values)
    stage = config.stages[0]
    return MicroBatch(model, examples, ROWS, stage.terms, Streams(0), "0.en", 0, 0, dtype), stage


def test_a_training_pass_computes_in_bfloat16_and_its_loss_parameters_and_gradients_are_float32(build, formats):
    step, stage = step_of(build, BF16, stages__0__penalties__l2__weight=0.1, model__dropout__hidden=0.0)
    loss = objective(step, stage)
    assert set(formats) == {BF16}
    assert step.logits("main", 0).dtype == torch.float32
    assert loss.total.dtype == loss.cross_entropy.dtype == loss.penalties["l2"].dtype == torch.float32
    loss.total.backward()
    for parameter in step.model.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.grad is None or parameter.grad.dtype == torch.float32
    exact, stage = step_of(build, torch.float32, stages__0__penalties__l2__weight=0.1, model__dropout__hidden=0.0)
    assert loss.cross_entropy.item() == pytest.approx(objective(exact, stage).cross_entropy.item(), abs=0.05)
    assert not torch.equal(step.logits("main", 0), exact.logits("main", 0))


def test_a_consistency_loss_gets_float32_logits_of_both_passes(build, monkeypatch):
    given = []

    def spy(divergence):
        return lambda p, q, *rest: given.append((p.dtype, q.dtype)) or divergence(p, q, *rest)

    for name, divergence in PREDICTIONS.items():
        monkeypatch.setitem(PREDICTIONS, name, spy(divergence))
    objective(*step_of(build, BF16, stages__0__consistency__weight=1))
    assert given == [(torch.float32, torch.float32)]


def test_every_pass_of_a_step_of_tram_is_float32(build, formats):
    step, stage = step_of(build, BF16, stages__0__optimizer__tram_sigma=0.1)
    objective(step, stage)
    assert float(trust_region(step, 0.1)) > 0
    assert set(formats) == {torch.float32}


def test_every_pass_of_a_step_in_which_the_fisher_penalty_acts_is_float32(build, formats):
    both = {"stages__0__penalties__fisher__weight": 0.5, "stages__0__consistency__weight": 1}
    step, stage = step_of(build, BF16, **both)
    loss = objective(step, stage)
    assert set(formats) == {torch.float32}
    exact, stage = step_of(build, torch.float32, **both)
    assert torch.equal(loss.total, objective(exact, stage).total)


def test_a_consistency_loss_with_a_continuous_view_makes_its_step_float32():
    assert {kind for kind in VIEWS if step_dtype(BF16, False, kind) == torch.float32} == {
        "embedding_gaussian",
        "embedding_uniform",
        "hidden_noise",
        "parameter_noise",
        "adversarial_embedding",
    }
    assert step_dtype(BF16, False, None) == BF16
    assert step_dtype(BF16, True, "subword") == torch.float32
    assert step_dtype(torch.float32, False, "subword") == torch.float32


def test_a_small_divergence_is_that_of_float32_and_would_be_rounding_in_bfloat16(build, monkeypatch):
    small = {
        "stages__0__consistency__weight": 1,
        "stages__0__consistency__view__kind": "embedding_gaussian",
        "stages__0__consistency__view__strength": 1e-3,
        "model__dropout__hidden": 0,
        "model__dropout__attention": 0,
        "model__dropout__classifier": 0,
    }

    def divergence(dtype):
        return objective(*step_of(build, dtype, **small)).penalties["consistency"].item()

    exact = divergence(torch.float32)
    assert divergence(BF16) == exact
    monkeypatch.setattr(micro_batch_module, "step_dtype", lambda dtype, *rest: dtype)
    assert divergence(BF16) > 2 * exact


def test_noise_without_a_consistency_loss_stays_in_bfloat16(build, formats):
    noise = {"stages__0__noise__kind": "embedding_gaussian", "stages__0__noise__strength": 0.1}
    objective(*step_of(build, BF16, **noise))
    assert set(formats) == {BF16}


def test_a_fisher_penalty_of_weight_zero_equals_the_baseline_under_bfloat16_too(build):
    base = objective(*step_of(build, BF16))
    zero = objective(*step_of(build, BF16, stages__0__penalties__fisher__weight=0))
    assert torch.equal(base.total, zero.total)


def test_float32_leaves_a_float64_model_alone(build):
    step, stage = step_of(build, torch.float32)
    step.model.double()
    assert objective(step, stage).total.dtype == torch.float64
    with passes_in(torch.device("cpu"), torch.float32):
        assert not torch.is_autocast_enabled("cpu")


def test_a_stage_keeps_float32_master_weights_and_optimiser_state(build, monkeypatch):
    from trainables.training import stage as stage_module

    optimizers = []
    original = stage_module._optimizer
    monkeypatch.setattr(stage_module, "_optimizer", lambda *args: optimizers.append(original(*args)) or optimizers[-1])
    config, model, examples = build(stages__0__epochs=1)
    train_stage(model, examples, examples, config.stages[0], Streams(0), 0, "en", lambda point: None, dtype=BF16)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    states = [value for state in optimizers[0][0].state.values() for value in state.values()]
    assert states
    assert {value.dtype for value in states} == {torch.float32}


def test_only_training_and_evaluation_passes_of_a_trial_are_bfloat16(tiny_config, tiny_assets, monkeypatch):
    """Tr(F), scores and losses see no autocast; passes of training, in both stages, and evaluation nothing else."""
    seen: dict[str, set[bool]] = {}

    def watch(module, name):
        original = getattr(module, name)

        def spy(*args, **kwargs):
            seen.setdefault(name, set()).add(torch.is_autocast_enabled("cpu"))
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, spy)

    from trainables.measuring import evaluation, flatness
    from trainables.training import gradient

    for module, name in (
        (flatness, "fisher_trace"),
        (evaluation, "score"),
        (fine_tune_module, "predict"),
        (objective_module, "cross_entropy"),
        (gradient, "objective"),
    ):
        watch(module, name)
    passes: set[tuple[str, bool]] = set()
    original = MicroBatch._logits

    def logits(self, *args):
        passes.add((self.stage, torch.is_autocast_enabled("cpu")))
        return original(self, *args)

    monkeypatch.setattr(MicroBatch, "_logits", logits)
    evaluated: set[torch.dtype] = set()
    monkeypatch.setattr(evaluation, "passes_in", lambda device, dtype: evaluated.add(dtype) or passes_in(device, dtype))
    exact = fine_tune(tiny_config, tiny_assets, lambda point: None)
    assert {autocast for _, autocast in passes} == {False}
    assert evaluated == {torch.float32}
    passes.clear()
    evaluated.clear()
    monkeypatch.setattr(fine_tune_module, "training_dtype", lambda *device_and_model: BF16)
    rounded = fine_tune(tiny_config, tiny_assets, lambda point: None)
    assert passes == {(name, True) for name in ("0.en", "1.de", "1.zh")}
    assert evaluated == {BF16}
    assert seen == {name: {False} for name in seen}
    assert len(seen) == 5
    assert rounded.values["nll.en"] != exact.values["nll.en"]
    assert rounded.values["nll.en"] == pytest.approx(exact.values["nll.en"], rel=0.05)
    config = with_values(tiny_config, {"model.precision": "float32"})
    assert config.model.precision == "float32"
