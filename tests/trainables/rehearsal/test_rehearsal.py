import json
import shutil

import pytest
import torch

from trainables.assets import Assets
from trainables.config.dotted_paths import with_values
from trainables.errors import InputError
from trainables.models.build import build_model
from trainables.rehearsal import rehearsal
from trainables.rehearsal.check import check
from trainables.seeding import Streams
from trainables.training import gradient


@pytest.fixture
def folder(tiny_model, tmp_path):
    target = tmp_path / "model"
    shutil.copytree(tiny_model, target)
    return target


def edit(folder, file, **changes):
    found = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(found | changes))


def rehearse(*configs):
    return check(Assets.resolve(configs), configs)


def refused(*configs):
    with pytest.raises(InputError) as refusal:
        rehearse(*configs)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def smaller_table(folder, rows):
    """Cut the table of pieces, as in a checkpoint beside another model's tokenizer."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    save_file(tensors | {name: tensors[name][:rows].clone()}, folder / "model.safetensors", {"format": "pt"})
    edit(folder, "config.json", vocab_size=rows)


def test_ids_outside_the_models_tables_are_said_before_the_sweep(folder, tiny_config):
    smaller_table(folder, 60)
    message = refused(with_values(tiny_config, {"model.name": str(folder)}))
    assert "is outside the model's tables, which have 60 pieces" in message
    assert message.startswith(f"model {folder}: the id ")


def test_a_vocabulary_that_is_larger_than_the_table_does_no_harm_where_no_row_uses_the_rest(folder, tiny_config):
    pieces = len((folder / "vocab.txt").read_text().splitlines())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["neverseen"] = pieces
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert rehearse(with_values(tiny_config, {"model.name": str(folder)})) == rehearse(tiny_config)


def test_token_types_that_the_model_lacks(folder, tiny_config):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    name = "embeddings.token_type_embeddings.weight"
    save_file(tensors | {name: tensors[name][:1].clone()}, folder / "model.safetensors", {"format": "pt"})
    edit(folder, "config.json", type_vocab_size=1)
    message = refused(with_values(tiny_config, {"model.name": str(folder)}))
    assert "the token type 1 of a second sentence is outside the model's tables (1 types)" in message


@pytest.mark.parametrize(
    "changes",
    [
        {"problem_type": "multi_label_classification"},
        {"problem_type": "regression", "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}},
    ],
)
def test_a_base_that_had_another_kind_of_head_can_be_measured(folder, tiny_config, changes):
    edit(folder, "config.json", **changes)
    assert rehearse(with_values(tiny_config, {"model.name": str(folder)})) == rehearse(tiny_config)


def failing(*arguments, **options):
    raise RuntimeError("it broke\nin many lines")


@pytest.mark.parametrize(
    ("place", "values", "said"),
    [
        ("fisher_trace", {}, "Tr(F) was tried"),
        ("predict", {}, "a prediction was tried"),
        ("kl_expansion", {"measure.expansion.draws": 1}, "measure.expansion was tried"),
        ("displacement", {"measure.path": True}, "measure.path was tried"),
        ("StageGradient", {}, "a training step was tried"),
        (
            "require_second_derivatives",
            {"stages.0.penalties.fisher.weight": 1.0},
            "step with penalties.fisher was tried",
        ),
        (
            "require_second_derivatives",
            {"stages.1.penalties.fisher.weight": 1.0},
            "step with penalties.fisher was tried",
        ),
    ],
)
def test_whatever_fails_is_one_line_with_the_model_the_term_and_the_cause(
    tiny_config, monkeypatch, place, values, said
):
    monkeypatch.setattr(rehearsal, place, failing)
    message = refused(with_values(tiny_config, values))
    assert message.startswith(f"model {tiny_config.model.name}: ")
    assert f"{said} on two rows before the study and failed: it broke" in message


def test_a_rival_and_a_term_are_named(tiny_config, monkeypatch):
    monkeypatch.setitem(rehearsal.RIVALS, "margin", failing)
    assert "measure.rivals=margin was tried" in refused(tiny_config)


def test_a_twin_that_is_another_function_is_refused(tiny_config, monkeypatch):
    monkeypatch.setattr(rehearsal, "logit_change", lambda before, after: 0.25)
    message = refused(with_values(tiny_config, {"measure.twins": "2"}))
    assert "the twin 2 of measure.twins cannot be done: its logits move by 0.25 of the largest" in message
    assert message.endswith("set measure.twins=")


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_is_no_fault_of_the_model_goes_through(tiny_config, monkeypatch, error):
    def stop(*arguments):
        raise error

    monkeypatch.setattr(rehearsal, "StageGradient", stop)
    with pytest.raises(error):
        rehearse(tiny_config)


def tried(monkeypatch):
    """The stages whose step is tried, in order."""
    stages, original = [], rehearsal.StageGradient
    monkeypatch.setattr(rehearsal, "StageGradient", lambda *args: stages.append(args[2]) or original(*args))
    return stages


def test_weights_of_an_arm_are_one_way_and_zero_is_another(tiny_config, monkeypatch):
    steps = tried(monkeypatch)
    weights = [0.0, 1e-3, 1e-2, 1e-1]
    configs = [with_values(tiny_config, {"stages.0.penalties.fisher.weight": weight}) for weight in weights]
    rehearse(*configs, *(with_values(config, {"seed": 1}) for config in configs))
    # Stage 0 without a term, with weight 0, with one above 0; stage 1.
    assert len(steps) == 4


def test_rates_of_dropout_are_one_way_and_are_not_measured_apart(tiny_config, monkeypatch):
    steps, measured, predict = tried(monkeypatch), [], rehearsal.predict
    monkeypatch.setattr(rehearsal, "predict", lambda *args, **kw: measured.append(args) or predict(*args, **kw))
    rehearse(*(with_values(tiny_config, {"model.dropout.hidden": rate}) for rate in (0.0, 0.1, 0.2)))
    # Both stages, without a rate and with one; stage 0 of the tiny configuration has no term.
    assert (len(steps), len(measured)) == (4, 1)


def test_the_second_pass_of_a_step_rule_is_tried_once_a_rule(tiny_config, monkeypatch):
    steps = tried(monkeypatch)
    rules = [{"sam_rho": 0.05}, {"sam_rho": 0.1, "learning_rate": 1e-4}, {"tram_sigma": 0.1}]
    rehearse(*(with_values(tiny_config, {f"stages.0.optimizer.{k}": v for k, v in rule.items()}) for rule in rules))
    assert [(stage.optimizer.sam_rho, stage.optimizer.tram_sigma) for stage in steps] == [
        (None, None),
        (0.05, None),
        (None, None),  # the second stage
        (None, 0.1),
    ]
    monkeypatch.setattr(gradient, "tram_ascent", failing)
    message = refused(with_values(tiny_config, {"stages.0.optimizer.tram_sigma": 0.1}))
    assert "a training step with optimizer.tram_sigma was tried on two rows before the study and failed" in message


def test_model_and_random_generators_are_left_as_found(tiny_config):
    values = {"stages.0.penalties.fisher.weight": 0.1, "stages.0.consistency.weight": 0.5, "measure.expansion.draws": 1}
    config = with_values(tiny_config, values)
    assets = Assets.resolve([config])
    model = build_model(assets.model(config), config.model, 2, Streams(0))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    rehearsal.Rehearsal(assets).of(config, model)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not any(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_text_that_a_tokenizer_without_an_unknown_piece_cannot_encode(folder, tiny_config):
    """All rows are read, to the last."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["unk_token"] = "[X]"
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    edit(folder, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    config = with_values(tiny_config, {"model.name": str(folder)})
    assets = Assets.resolve([config])
    check(assets, [config])
    assets.rows(config).train.first[-1] = "東京"
    with pytest.raises(InputError) as refusal:
        check(assets, [config])
    message = str(refusal.value)
    assert message.startswith(f"model {folder}: encoding the rows cannot be done: the tokenizer cannot encode '東京' (")
    assert "\n" not in message


def test_draws_that_auto_does_not_make_are_said(tiny_config):
    draws = {"measure.estimator_draws": 16}
    note = "with 2 labels auto is exact and draws nothing: 16 draws need measure.estimator=signs"
    assert note in rehearse(with_values(tiny_config, draws))
    assert note not in rehearse(with_values(tiny_config, draws | {"measure.estimator": "signs"}))
