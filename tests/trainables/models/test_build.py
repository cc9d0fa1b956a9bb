import json
import shutil

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tests.trainables.hub_cache import COMMIT, snapshot
from trainables.config import DropoutConfig, ModelConfig
from trainables.errors import InputError
from trainables.models.build import build_classifier, build_model
from trainables.models.files import load_model_files
from trainables.models.settings import encoder_settings
from trainables.seeding import Streams


def build(folder, labels=3, seed=0, **changes):
    config = ModelConfig(name=str(folder), **changes)
    return build_model(load_model_files(config), config, labels, Streams(seed))


def test_the_encoder_is_the_folders_and_the_head_is_the_seeds(tiny_model):
    first, again, other = build(tiny_model), build(tiny_model), build(tiny_model, seed=1)
    stored = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=3).base_model.state_dict()
    for name, tensor in first.base_model.state_dict().items():
        assert torch.equal(tensor, stored[name])
        assert torch.equal(tensor, other.base_model.state_dict()[name])
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert first.config._attn_implementation == "eager"
    assert not first.training


def test_a_classifier_without_a_head_gets_the_same_one_in_every_run(tiny_model):
    files = load_model_files(ModelConfig(name=str(tiny_model)))
    state = torch.get_rng_state()
    (first, new_head), (again, _) = build_classifier(files), build_classifier(files)
    assert new_head
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_first_k_layers_are_kept_and_dropout_is_set(tiny_model):
    model = build(tiny_model, num_hidden_layers=1, dropout=DropoutConfig(hidden=0.3, attention=0.2, classifier=0.1))
    assert len(model.bert.encoder.layer) == 1
    whole = build(tiny_model)
    assert torch.equal(model.bert.encoder.layer[0].output.dense.weight, whole.bert.encoder.layer[0].output.dense.weight)
    assert model.bert.embeddings.dropout.p == 0.3
    assert model.bert.encoder.layer[0].attention.self.dropout.p == 0.2
    assert model.dropout.p == 0.1


def test_more_layers_than_there_are(tiny_model):
    with pytest.raises(InputError, match="model.num_hidden_layers=3, but .* has 2 layers"):
        build(tiny_model, num_hidden_layers=3)


def copy_of(folder, tmp_path):
    target = tmp_path / "model"
    shutil.copytree(folder, target)
    return target


def test_the_fingerprint_is_of_the_content(tiny_model, tmp_path):
    fingerprint = load_model_files(ModelConfig(name=str(tiny_model))).fingerprint
    moved = copy_of(tiny_model, tmp_path)
    assert load_model_files(ModelConfig(name=str(moved))).fingerprint == fingerprint
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 0.0}))
    assert load_model_files(ModelConfig(name=str(moved))).fingerprint != fingerprint


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json there, so it is not a Hugging Face model folder"),
        (lambda f: (f / "config.json").write_text("{"), "config.json is not valid JSON"),
        (lambda f: (f / "config.json").write_text("{}"), "config.json has no model_type"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 100), "model.safetensors is damaged"),
        (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors there .nor pytorch_model.bin.$"),
        (
            lambda f: (
                (f / "model.safetensors").rename(f / "x.safetensors")
                and (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "shard.safetensors"}}')
            ),
            "shard.safetensors is missing",
        ),
        (
            lambda f: (
                (f / "model.safetensors").rename(f / "x.safetensors")
                and (f / "model.safetensors.index.json").write_text("{}")
            ),
            "model.safetensors.index.json is damaged",
        ),
        (lambda f: [path.unlink() for path in f.glob("*token*")], "no tokenizer there"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "its tokenizer cannot be read"),
        (
            lambda f: (
                (f / "config.json").unlink()
                or (f / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}')
            ),
            "an adapter for owner/base, not a model: set model.name to owner/base, or to a folder",
        ),
    ],
)
def test_damaged_folders_are_one_clear_error(tiny_model, tmp_path, damage, message):
    folder = copy_of(tiny_model, tmp_path)
    (folder / "vocab.txt").unlink()
    damage(folder)
    with pytest.raises(InputError, match=message):
        load_model_files(ModelConfig(name=str(folder)))


def edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_weights_that_do_not_fit_the_configuration(tiny_model, tmp_path):
    folder = copy_of(tiny_model, tmp_path)
    edit(folder, intermediate_size=48)
    with pytest.raises(InputError, match="weights do not fit config.json"):
        build(folder)
    edit(folder, intermediate_size=32, num_hidden_layers=4)
    with pytest.raises(InputError, match="the weights lack .* of the encoder's tensors, bert.encoder.layer.2"):
        build(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 3}, r"cannot be built from its config.json \(.*not a multiple"),
        ({"hidden_size": "16"}, r"transformers refuses its config.json \(.*'hidden_size'.*expected int, got str"),
        ({"layer_norm_eps": [1]}, "transformers refuses its config.json .*layer_norm_eps"),
        ({"quantization_config": {"quant_method": "gptq"}}, r"weights are quantised \(gptq\)"),
    ],
)
def test_a_configuration_that_cannot_be_is_one_line(tiny_model, tmp_path, changes, message):
    folder = copy_of(tiny_model, tmp_path)
    edit(folder, **changes)
    with pytest.raises(InputError, match=message) as refusal:
        build(folder)
    assert "\n" not in str(refusal.value)
    assert f"model {folder}" in str(refusal.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"problem_type": "multi_label_classification"},
        {"problem_type": "regression", "num_labels": 1},
        {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}},
        {"id2label": {"0": 1, "1": 2}, "label2id": {"1": "0", "2": "1"}},
        {"return_dict": False, "output_hidden_states": True, "torchscript": True},
    ],
)
def test_the_new_head_is_not_the_bases_to_describe(tiny_model, tmp_path, changes):
    folder = copy_of(tiny_model, tmp_path)
    edit(folder, **changes)
    model = build(folder)
    assert (model.config.problem_type, model.config.num_labels) == (None, 3)
    ids = torch.tensor([[2, 7, 3]])
    assert torch.equal(model(input_ids=ids).logits, build(tiny_model)(input_ids=ids).logits)


def test_a_saved_classifiers_label_maps_may_have_strings_for_numbers(tiny_model, tmp_path):
    folder = copy_of(tiny_model, tmp_path)
    build(tiny_model, labels=2).save_pretrained(folder)
    edit(folder, id2label={"0": 4, "1": 5}, label2id={"4": "0", "5": "1"})
    model, _ = build_classifier(load_model_files(ModelConfig(name=str(folder)), classifier=True))
    assert (model.config.id2label, model.config.label2id) == ({0: "4", 1: "5"}, {"4": 0, "5": 1})


def test_what_a_configuration_says_of_each_layer_is_cut_with_them(tmp_path):
    config = ModelConfig(num_hidden_layers=2)
    settings = {"model_type": "x", "num_hidden_layers": 3, "layer_types": ["a", "b", "c"], "other": [1, 2, 3]}
    changed = encoder_settings(settings, config, 2, "some model")
    assert changed["layer_types"] == ["a", "b"]
    assert changed["other"] == [1, 2, 3]
    assert settings["layer_types"] == ["a", "b", "c"]


def test_a_fine_tuned_classifiers_head_is_not_taken_over(tiny_model, tmp_path):
    tuned = build(tiny_model, labels=5)
    folder = copy_of(tiny_model, tmp_path)
    tuned.save_pretrained(folder)
    again = build(folder, labels=3)
    assert again.classifier.weight.shape[0] == 3
    assert torch.equal(
        again.base_model.embeddings.word_embeddings.weight, tuned.base_model.embeddings.word_embeddings.weight
    )


def test_a_saved_classifier_keeps_its_head_and_an_encoder_alone_says_that_it_has_none(tiny_model, tmp_path):
    tuned = build(tiny_model, labels=5)
    folder = copy_of(tiny_model, tmp_path)
    tuned.save_pretrained(folder)
    model, new = build_classifier(load_model_files(ModelConfig(name=str(folder))))
    assert torch.equal(model.classifier.weight, tuned.classifier.weight)
    assert not new
    assert build_classifier(load_model_files(ModelConfig(name=str(tiny_model))))[1]


def test_a_model_type_without_a_classifier(tiny_model, tmp_path):
    folder = copy_of(tiny_model, tmp_path)
    config = ModelConfig(name=str(folder))
    files = load_model_files(config)
    files.config["model_type"] = "clip"
    with pytest.raises(InputError, match="transformers has no sequence classifier for the model type 'clip'"):
        build_model(files, config, 2, Streams(0))


@pytest.mark.parametrize(("name", "message"), [("./nowhere", "no such folder"), ("a/b/c", "no such folder")])
def test_missing_folders(name, message):
    with pytest.raises(InputError, match=message):
        load_model_files(ModelConfig(name=name))


def test_a_hub_id_without_a_network_says_what_to_fetch(monkeypatch):
    monkeypatch.setattr("trainables.hub.repository_files._reachable", lambda endpoint: False)
    with pytest.raises(InputError, match="model some/model is not in the local cache.*hf download some/model"):
        load_model_files(ModelConfig(name="some/model"))


def test_a_hub_models_commit_is_kept_and_a_folder_has_none(tiny_model, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder = snapshot(tmp_path, "model", "some/model")
    shutil.copytree(tiny_model, folder, dirs_exist_ok=True)
    by_branch = load_model_files(ModelConfig(name="some/model"))
    by_commit = load_model_files(ModelConfig(name="some/model", revision=COMMIT))
    in_folder = load_model_files(ModelConfig(name=str(tiny_model)))
    assert by_branch.revision == by_commit.revision == COMMIT
    assert in_folder.revision is None
    assert by_branch.fingerprint == by_commit.fingerprint == in_folder.fingerprint
    with pytest.raises(InputError, match=r"some/model at v2 only in part .*`hf download some/model --revision v2`"):
        load_model_files(ModelConfig(name="some/model", revision="v2"))
    for path in (*folder.glob("*token*"), folder / "vocab.txt", folder / "config.json", folder / "model.safetensors"):
        path.unlink()
    with pytest.raises(InputError, match=r"lacks config.json, model.safetensors, tokenizer.json\)"):
        load_model_files(ModelConfig(name="some/model"))


def test_a_folder_has_no_revisions(tiny_model):
    with pytest.raises(InputError, match=r"model.revision=v1 is for a hub id, but model .* is a folder"):
        load_model_files(ModelConfig(name=str(tiny_model), revision="v1"))


def test_the_real_encoder_builds(shared):
    model = build(shared / "models" / "multilingual-e5-small-pruned", num_hidden_layers=2)
    assert sum(p.numel() for p in model.parameters()) > 20_000_000
