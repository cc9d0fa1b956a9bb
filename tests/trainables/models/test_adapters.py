"""Adapters that peft itself wrote, for bases of several kinds: read as peft reads them, or refused in one line."""

from __future__ import annotations

import copy
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification

from tests.reference import fisher_trace_by_loop
from tests.zoo import configured
from trainables.curvature import fisher_trace
from trainables.errors import InputError
from trainables.models.adapters import build_adapted, find_adapter
from trainables.models.lora import merged

CLASSES = 3
IDS = torch.tensor([[2, 20, 30, 55, 3], [2, 25, 41, 37, 3]])
BATCH = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
CLASSIFIER, MASKED, ENCODER = AutoModelForSequenceClassification, AutoModelForMaskedLM, AutoModel
HEAD = {"task_type": "SEQ_CLS"}
QUERY: dict[str, Any] = {"target_modules": ["query", "value"]}
CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    # The base holds parts of the head outside its encoder that the adapter lacks.
    "masked modernbert": ("modernbert", MASKED, HEAD | {"target_modules": ["Wqkv"]}),
    "modernbert classifier": ("modernbert", CLASSIFIER, HEAD | {"target_modules": ["Wqkv"]}),
    "deberta pooler": ("deberta-v2", CLASSIFIER, HEAD | {"target_modules": ["query_proj"]}),
    "bert classifier, no head in the adapter": ("bert", CLASSIFIER, QUERY),
    "t5 classifier": ("t5", CLASSIFIER, HEAD | {"target_modules": ["q", "v"]}),
    "xlnet classifier": ("xlnet", CLASSIFIER, HEAD | {"target_modules": ["layer_1"]}),
    # Settings of peft beyond updates of the encoder's matrices.
    "all linear layers": ("roberta", ENCODER, HEAD | {"target_modules": "all-linear"}),
    "as a layer of the head is called": ("roberta", ENCODER, HEAD | {"target_modules": ["dense"]}),
    "layer of the head": ("roberta", CLASSIFIER, {"target_modules": ["dense"]}),
    "all biases": ("bert", ENCODER, HEAD | QUERY | {"bias": "all"}),
    "biases of the updated": ("bert", ENCODER, HEAD | QUERY | {"bias": "lora_only"}),
    "updated embeddings": ("bert", ENCODER, HEAD | {"target_modules": ["word_embeddings", "query"]}),
    "whole embeddings": ("bert", ENCODER, HEAD | QUERY | {"modules_to_save": ["classifier", "token_type_embeddings"]}),
    "whole tied embeddings": (
        "t5",
        CLASSIFIER,
        {"target_modules": ["q"], "modules_to_save": ["classification_head", "shared"]},
    ),
    "conv1d": ("gpt2", CLASSIFIER, HEAD | {"target_modules": ["c_attn"], "fan_in_fan_out": True}),
}
Make = Callable[..., tuple[Any, Path]]


@pytest.fixture
def make(tiny_model: Path, tmp_path: Path) -> Make:
    """Makes a base and an adapter for it, both on disk, and returns peft's model and the adapter's folder."""

    def pair(kind: str, base: Any, settings: dict[str, Any], classes: int = CLASSES, old: int = CLASSES) -> Any:
        folder, adapter = tmp_path / "base", tmp_path / "adapter"
        for target in (folder, adapter):
            target.mkdir()
            for name in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(tiny_model / name, target)
            file = target / "tokenizer_config.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | {"model_input_names": [*BATCH]}))
        pieces = Tokenizer.from_file(str(tiny_model / "tokenizer.json")).get_vocab_size()
        special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            shaken(base.from_config(configured(kind, vocab_size=pieces, num_labels=old, **special))).save_pretrained(
                folder
            )
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, num_labels=classes, attn_implementation="eager", ignore_mismatched_sizes=classes != old
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of peft, about tied weights and its own use of transformers
                wrapped = shaken(get_peft_model(model, LoraConfig(**settings))).eval()
                wrapped.save_pretrained(adapter)
        return wrapped, adapter

    return pair


def shaken(model: Any) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def read(folder: Path) -> tuple[Any, bool]:
    adapter = find_adapter(str(folder))
    assert adapter is not None
    model, _, new_head = build_adapted(adapter)
    return model, new_head


@pytest.mark.parametrize("case", CASES)
def test_an_adapter_is_read_as_peft_reads_it(case: str, make: Make) -> None:
    wrapped, folder = make(*CASES[case])
    model, new_head = read(folder)
    assert not new_head
    assert torch.allclose(model(**BATCH).logits, wrapped(**BATCH).logits, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a slow path, or peft's about tied weights
        whole = copy.deepcopy(wrapped).merge_and_unload().requires_grad_(True)
        for ours, theirs in ((model, wrapped), (merged(model), whole)):
            expected = fisher_trace_by_loop(theirs, BATCH)
            assert fisher_trace(ours, [BATCH]).per_example.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
            assert trained(ours) == trained(theirs)


def trained(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def test_the_adapters_classes_replace_those_of_the_base(make: Make) -> None:
    wrapped, folder = make("bert", CLASSIFIER, HEAD | QUERY, classes=2, old=5)
    model, new_head = read(folder)
    assert not new_head
    assert torch.equal(model(**BATCH).logits, wrapped(**BATCH).logits)


def test_what_neither_file_holds_is_new_and_the_same_in_every_run(make: Make) -> None:
    _, folder = make("bert", ENCODER, QUERY, classes=2, old=2)
    state = torch.get_rng_state()
    (first, new_head), (again, _) = read(folder), read(folder)
    assert new_head
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert torch.equal(first(**BATCH).logits, again(**BATCH).logits)


def test_a_single_class_is_one_line(make: Make) -> None:
    _, folder = make("bert", CLASSIFIER, HEAD | QUERY, classes=1, old=1)
    with pytest.raises(InputError, match="has one class"):
        read(folder)


def test_updates_of_tied_weights_are_one_line(make: Make) -> None:
    _, folder = make("t5", CLASSIFIER, HEAD | {"target_modules": ["shared", "q"]})
    with pytest.raises(InputError, match=r"the adapter updates transformer\.shared, whose weights another layer has"):
        read(folder)


def settings_of(folder: Path, **changes: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: settings_of(f, base_model_name_or_path=None), "does not name its base: set base_model_name_or_path"),
        (lambda f: settings_of(f, base_model_name_or_path=""), "does not name its base: set base_model_name_or_path"),
        (lambda f: settings_of(f, target_modules="("), "does not fit its base .*unterminated subpattern"),
        (lambda f: settings_of(f, modules_to_save=["classifier", "pooler"]), "does not fit its base .*bert.pooler"),
        (lambda f: settings_of(f, bias="all"), "lacks .* of the adapter's tensors, bert.* first"),
        (lambda f: (f / "config.json").write_text("{}"), "config.json has no model_type"),
    ],
)
def test_a_damaged_adapter_is_one_line(damage: Callable[[Path], object], message: str, make: Make) -> None:
    _, folder = make("bert", ENCODER, HEAD | QUERY)
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
