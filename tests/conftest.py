"""Small inputs that every test can afford: a random encoder and a four-language data set, both as real folders."""

from __future__ import annotations

import os
import random
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pytest

WORDS = ["red", "blue", "dog", "cat", "runs", "sleeps", "house", "tree", "fast", "slow", "old", "new"]
LANGUAGES = ("en", "de", "es", "zh")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT, two layers of 16, with a WordPiece vocabulary, as a Hugging Face folder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("tiny-model")
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), ".", "的"]
    words = [f"{word}{suffix}" for word in WORDS for suffix in ("", "en", "o")]
    vocabulary = list(dict.fromkeys([*pieces, *words, *(f"##{w[1:]}" for w in words)]))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.3,  # so that predictions, and their differences, are not all alike
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A paraphrase task (labels 0/1) in XTREME's folder form: same bag of words or not; 64 train, 40 dev rows."""
    folder = tmp_path_factory.mktemp("tiny-data")
    rng = random.Random(0)
    suffix = {"en": "", "de": "en", "es": "o", "zh": "的"}  # no two languages alike, so that a swap shows

    def rows(count: int) -> list[tuple[list[str], list[str], int]]:
        out = []
        for i in range(count):
            first = rng.sample(WORDS, 4)
            second = rng.sample(first, 4) if i % 2 else rng.sample(WORDS, 4)
            out.append((first, second, i % 2))
        return out

    def write(name: str, lang: str, data: list[tuple[list[str], list[str], int]]) -> None:
        lines = [
            "\t".join([" ".join(w + suffix[lang] for w in a), " ".join(w + suffix[lang] for w in b), str(y)])
            for a, b, y in data
        ]
        (folder / f"{name}-{lang}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    write("train", "en", rows(64))
    dev = rows(40)
    for lang in LANGUAGES:
        write("dev", lang, dev)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and a real encoder beside the repository; absent on most machines."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "models" / "multilingual-e5-small-pruned").is_dir():
        pytest.skip("needs the real data and encoder in ../shared, which are not part of the product")
    return folder
