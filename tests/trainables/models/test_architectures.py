"""Tiny random encoders of many architectures: each passes the door and trains, or is refused in one line."""

import json
import shutil
import warnings

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel

from tests.reference import fisher_trace_by_loop
from tests.zoo import NO_TABLE, ZOO, configured
from trainables.assets import Assets
from trainables.config import ENGLISH, ModelConfig
from trainables.config.dotted_paths import with_values
from trainables.curvature import SlowPathWarning, fisher_trace
from trainables.errors import InputError
from trainables.examples import Examples
from trainables.measuring.evaluation import first_rows
from trainables.models.adapters import build_adapted, find_adapter, save_adapter
from trainables.models.build import build_model
from trainables.models.files import load_model_files
from trainables.models.lora import merged
from trainables.rehearsal.check import check
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder
from trainables.training.stage import train_stage

PADLESS = ("gemma3_text", "gpt2", "llama", "qwen3")
"""Decoders whose configuration names no padding."""
REFUSED = {
    "xlm with languages": (
        "xlm",
        {"n_langs": 2, "use_lang_emb": True},
        "needs a language id with every sentence",
    ),
    "xmod without a language": (
        "xmod",
        {"default_language": None},
        'set "default_language" in its config.json to one of en_XX, de_DE',
    ),
}
TERMS = {"stages.0.penalties.fisher.weight": 0.1, "stages.0.consistency.weight": 0.1, "stages.0.epochs": 1}


@pytest.fixture
def make(tiny_model, tmp_path):
    """Makes a folder with a random encoder and the tiny model's tokenizer, without token types."""

    def folder(kind, **settings):
        target = tmp_path / kind
        shutil.copytree(tiny_model, target)
        pieces = Tokenizer.from_file(str(target / "tokenizer.json")).get_vocab_size()
        special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
        config = configured(kind, vocab_size=pieces, num_labels=2, **special | settings)
        config.architectures = []
        if kind in PADLESS:
            config.pad_token_id = None
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(target)
        file = target / "tokenizer_config.json"
        names = {"model_input_names": ["input_ids", "attention_mask"]}
        file.write_text(json.dumps(json.loads(file.read_text()) | names))
        return target

    return folder


@pytest.mark.parametrize("kind", ZOO)
def test_every_architecture_trains_with_every_term_and_is_measured(kind, make, tiny_config):
    config = with_values(tiny_config, {"model.name": str(make(kind)), "measure.rivals": "margin", **TERMS})
    assets = Assets.resolve([config])
    refusal = None
    try:
        check(assets, [config])
    except InputError as error:
        refusal = str(error)
    if kind in NO_TABLE and refusal is not None:  # which names the term that it cannot be trained with
        assert refusal.startswith(f"model {config.model.name}: ")
        assert "penalties.fisher was tried on two rows" in refusal
        assert "\n" not in refusal
        return
    assert refusal is None
    rows = assets.rows(config)
    model = build_model(assets.model(config), config.model, len(rows.labels), Streams(0))
    examples = Examples(rows.train.take(range(4)), Encoder(assets.model(config).tokenizer, 24))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    done = train_stage(model, examples, examples, config.stages[0], Streams(0), 0, ENGLISH, lambda point: None)
    assert done.steps == 1
    assert done.penalties["penalty.fisher"] > 0
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowPathWarning)
        assert fisher_trace(model, first_rows(model, examples, 2)).value > 0


@pytest.mark.parametrize(
    ("kind", "settings", "noted"),
    [
        ("bert", {}, False),
        ("convbert", {}, True),  # its convolutions read padding
        ("mistral", {"pad_token_id": 5}, False),  # the tokenizer's is 0
        ("roberta", {"pad_token_id": 5}, False),
        ("xlnet", {}, False),
    ],
)
def test_a_prediction_that_depends_on_padding_is_noted(kind, settings, noted, make, tiny_config):
    folder = make(kind, initializer_range=0.5, **settings)
    config = with_values(tiny_config, {"model.name": str(folder)})
    notes = [note for note in check(Assets.resolve([config]), [config]) if "depends on the padding beside it" in note]
    assert len(notes) == noted
    assert all(note.startswith(f"model {folder}: a row's prediction depends") for note in notes)


def test_only_a_decoder_takes_the_tokenizers_padding(make):
    """RoBERTa's positions begin after the padding that its configuration names."""
    for kind, expected in (("mistral", 0), ("roberta", 5)):
        config = ModelConfig(name=str(make(kind, pad_token_id=5)))
        assert build_model(load_model_files(config), config, 2, Streams(0)).config.pad_token_id == expected


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        ("albert", "query,value"),  # every layer has the same weights
        ("deberta-v2", "query_proj,value_proj"),
        ("distilbert", "q_lin,v_lin"),
        ("gpt2", "c_attn,c_proj"),  # whose weights are transposed
        ("llama", "q_proj,v_proj"),
        ("modernbert", "Wqkv"),
        ("roberta", "dense"),  # as a layer of the head is called too
        ("t5", "q,v"),
        ("xlm-roberta", "query,value"),
    ],
)
def test_low_rank_updates_of_every_kind_of_encoder(kind, targets, make, tiny_config, tmp_path):
    values = {"model.name": str(make(kind)), "model.lora.rank": 2, "model.lora.targets": targets, **TERMS}
    config = with_values(tiny_config, values)
    assets = Assets.resolve([config])
    check(assets, [config])
    model = build_model(assets.model(config), config.model, 2, Streams(0))
    encoder = f"{model.base_model_prefix}."
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                assert name.startswith(encoder)
                parameter.normal_(std=0.1)
            elif parameter.requires_grad:
                assert not name.startswith(encoder) or "pooler" in name
    ids = torch.tensor([[2, 20, 30, 3], [2, 25, 41, 3]])
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowPathWarning)
        for subject in (model, merged(model)):
            expected = fisher_trace_by_loop(subject, batch)
            assert fisher_trace(subject, [batch]).per_example.tolist() == pytest.approx(expected.tolist(), rel=1e-3)
    assert torch.allclose(merged(model)(**batch).logits, model(**batch).logits, atol=1e-5)
    save_adapter(model, tmp_path)
    adapter = find_adapter(str(tmp_path))
    assert adapter is not None
    again, _, new_head = build_adapted(adapter)
    assert not new_head
    assert torch.equal(again(**batch).logits, model(**batch).logits)
    trained = [{name for name, p in m.named_parameters() if p.requires_grad} for m in (model, again)]
    assert trained[0] == trained[1]


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_more_than_pieces_is_refused_in_one_line(name, make, tiny_config):
    kind, settings, message = REFUSED[name]
    config = with_values(tiny_config, {"model.name": str(make(kind, **settings))})
    with pytest.raises(InputError, match=message) as refusal:
        check(Assets.resolve([config]), [config])
    assert "\n" not in str(refusal.value)
