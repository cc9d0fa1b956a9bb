"""The mini model's folder: loads offline, is cased, knows every word of the bundled data."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from trainables.data import bundled
from trainables.models.mini import FOLDER


def test_folder_has_the_files_of_a_hugging_face_model() -> None:
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"}
    assert {path.name for path in FOLDER.iterdir()} == names
    assert (FOLDER / "model.safetensors").stat().st_size < 1_000_000


def test_model_loads_with_a_new_classifier_and_nothing_else_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    logging.disable_progress_bar()
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        FOLDER, num_labels=3, dtype=torch.float32, output_loading_info=True
    )
    assert set(loading.pop("missing_keys")) == {"classifier.weight", "classifier.bias"}
    assert not any(loading.values())
    assert sum(parameter.numel() for parameter in model.bert.parameters()) == 473_664
    assert all(parameter.dtype == torch.float32 and parameter.isfinite().all() for parameter in model.parameters())


def test_tokenizer_loads_silently_and_is_cased(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    assert capsys.readouterr().err == ""
    assert len(tokenizer) == tokenizer.vocab_size == 2400
    assert tokenizer.tokenize("Berlin") != tokenizer.tokenize("berlin")
    assert tokenizer.tokenize("müde") != tokenizer.tokenize("mude")
    assert tokenizer.convert_ids_to_tokens(tokenizer("der", "Hund")["input_ids"]) == [
        "[CLS]",
        "der",
        "[SEP]",
        "Hund",
        "[SEP]",
    ]


def test_vocabulary_files_agree() -> None:
    pieces = (FOLDER / "vocab.txt").read_bytes().decode().split("\n")[:-1]
    assert len(set(pieces)) == len(pieces) == 2400
    assert pieces[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    stored = json.loads((FOLDER / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    assert stored == {piece: number for number, piece in enumerate(pieces)}


@pytest.mark.parametrize("language", ["en", "de", "es", "zh"])
def test_no_dev_sentence_has_an_unknown_piece_or_is_too_long(language: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    for task in ("paraphrase", "inference"):
        text = (bundled.FOLDER / task / f"dev-{language}.tsv").read_text(encoding="utf-8")
        rows = [line.split("\t") for line in text.splitlines()]
        encoded = tokenizer([row[0] for row in rows], [row[1] for row in rows])["input_ids"]
        assert all(tokenizer.unk_token_id not in ids for ids in encoded)
        assert max(len(ids) for ids in encoded) <= tokenizer.model_max_length == 96
