from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from transformers import BertTokenizer

from trainables.config import ModelConfig
from trainables.data.contract import Rows
from trainables.data.registry import find_set
from trainables.data.tsv import read_table, rows_of
from trainables.models.files import load_model_files
from trainables.tokenization.encoding import TokenizerFiles
from trainables.tokenization.fit import tokenizer_notes

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CASED = [*SPECIAL, "Hund", "hund", "Bär", "bar", "##er", "a", "b"]


def files_of(tokenizer: BertTokenizer) -> TokenizerFiles:
    backend = tokenizer.backend_tokenizer.to_str()
    return TokenizerFiles(backend, tokenizer.pad_token_id, True, tuple(tokenizer.all_special_ids))


def folder_of(tiny_model: Path, folder: Path, vocabulary: list[str]) -> str:
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((tiny_model / name).read_bytes())
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    return str(folder)


def test_a_cased_vocabulary_without_its_settings_is_said_with_the_share(tiny_model: Path, tmp_path: Path) -> None:
    name = folder_of(tiny_model, tmp_path / "cased", CASED)
    assert tokenizer_notes(name, load_model_files(ModelConfig(name=name)).tokenizer, {}) == [
        f"the tokenizer of model {name} lowers its input (do_lower_case), but 2 of the 7 pieces of its vocabulary "
        "(29%) have capital letters and are never used: is its tokenizer_config.json missing?",
        f"the tokenizer of model {name} strips accents (strip_accents), but 1 of the 7 pieces of its vocabulary "
        "(14%) have accents and are never used: is its tokenizer_config.json missing?",
    ]
    (Path(name) / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    assert tokenizer_notes(name, load_model_files(ModelConfig(name=name)).tokenizer, {}) == []


def test_an_uncased_vocabulary_fits_a_tokenizer_that_lowers(tiny_model: Path, tmp_path: Path) -> None:
    name = folder_of(tiny_model, tmp_path / "uncased", [*SPECIAL, "hund", "bar"])
    assert tokenizer_notes(name, load_model_files(ModelConfig(name=name)).tokenizer, {}) == []


def test_unknown_pieces_are_said_by_part_with_their_share_of_the_first_rows(wordpiece: TokenizerFiles) -> None:
    known, unknown = Rows(["dog cat"] * 30, None, [0] * 30), Rows(["dog", "狗 狗 cat"], ["red", "red blue"], [0, 0])
    late = Rows(["dog"] * 1000 + ["狗"] * 1000, None, [0] * 2000)
    assert tokenizer_notes("m", wordpiece, {"training": known, "late": late}) == []
    assert tokenizer_notes("m", wordpiece, {"training": known, "validation zh": unknown}) == [
        "pieces that the tokenizer of model m does not know, in the first 1,000 rows: validation zh 28.6%"
    ]


def test_a_unigram_vocabulary_is_looked_at_too(unigram: TokenizerFiles) -> None:
    (note,) = tokenizer_notes("m", unigram, {"training": Rows(["abc", "xyz"], None, [0, 0])})
    assert "does not know, in the first 1,000 rows: training" in note


@pytest.mark.parametrize("lowers", [True, False])
def test_multilingual_bert(shared: Path, lowers: bool) -> None:
    vocabulary = shared / "models" / "bert-base-multilingual-cased" / "vocab.txt"
    files = files_of(BertTokenizer(str(vocabulary), do_lower_case=lowers))
    rows = {"validation zh": rows_of(read_table(shared / "data" / "xnli" / "dev-zh.tsv"), find_set("xnli"))}
    notes = tokenizer_notes("m", files, rows)
    assert [note.split(", but")[0] for note in notes] == (
        ["the tokenizer of model m lowers its input (do_lower_case)",
         "the tokenizer of model m strips accents (strip_accents)"] if lowers else []
    )  # fmt: skip


def test_a_rate_of_dropout_of_the_tokenizers_own_is_said() -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")], dropout=0.25))
    assert tokenizer_notes("some", TokenizerFiles(tokenizer.to_str(), 0, False, ()), {}) == [
        "the tokenizer of model some leaves out merges at random (dropout 0.25 in its tokenizer.json); this is "
        "switched off, so that a text is encoded the same way every time: subword views draw segmentations"
    ]
