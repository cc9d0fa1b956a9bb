import random

import pytest
import torch
from transformers import AutoTokenizer

from trainables.data.contract import Rows
from trainables.tokenization.encoding import Encoder
from trainables.tokenization.subword_sampling import subword_sampler

TEXTS = {
    "wordpiece": ["red dogen runs.", "的cat 的", "housetree xyz oldo", "a", "blue " * 30],
    "unigram": ["abc ab", "a b c", "cab bac aabbcc", "ａ q", "abc " * 20],
}


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
@pytest.mark.parametrize("max_length", [8, 9, 17, 32])
def test_assembled_plain_pieces_equal_the_tokenizers_own_encoding(kind, max_length, request):
    files = request.getfixturevalue(kind)
    encoder, sampler = Encoder(files, max_length), subword_sampler(files.backend)
    pairs = [(a, b) for a in TEXTS[kind] for b in TEXTS[kind]]
    for rows in (
        Rows([a for a, _ in pairs], [b for _, b in pairs], [0] * len(pairs)),
        Rows(TEXTS[kind], None, [0] * 5),
    ):
        for number, expected in enumerate(encoder.encode(rows)):
            parts = []
            for column in (rows.first, rows.second):
                if column is not None:
                    words = encoder.words(column[number])
                    parts.append([piece for word in sampler.sample(words, 0.0, 0) for piece in word])
            assert encoder.assemble(parts[0], parts[1] if len(parts) > 1 else None) == expected


def test_encoding_equals_transformers(tiny_model, wordpiece):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    encoder = Encoder(wordpiece, 12)
    texts = TEXTS["wordpiece"]
    expected = tokenizer(
        texts, texts[::-1], truncation="longest_first", max_length=12, padding=True, return_tensors="pt"
    )
    found = encoder.batch(encoder.encode(Rows(texts, texts[::-1], [0] * 5)))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_a_vocabulary_without_token_types_gets_none(unigram):
    encoder = Encoder(unigram, 12)
    batch = encoder.batch(encoder.encode(Rows(["abc", "a"], ["ab", "c"], [0, 0])))
    assert batch.keys() == {"input_ids", "attention_mask"}
    assert batch["input_ids"][1, batch["attention_mask"][1] == 0].tolist() == [1] * int(
        (batch["attention_mask"][1] == 0).sum()
    )


@pytest.mark.parametrize("name", ["xnli", "pawsx"])
def test_real_vocabularies_encode_real_rows_as_transformers_does(shared, name):
    from trainables.config import ModelConfig
    from trainables.data.registry import find_set
    from trainables.data.tsv import read_table, rows_of
    from trainables.models.files import load_model_files

    folder = shared / "models" / "multilingual-e5-small-pruned"
    files = load_model_files(ModelConfig(name=str(folder))).tokenizer
    encoder, sampler = Encoder(files, 64), subword_sampler(files.backend)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for language in ("en", "zh"):
        rows = rows_of(read_table(shared / "data" / name / f"dev-{language}.tsv"), find_set(name))
        rows = rows.take(random.Random(0).sample(range(len(rows)), 200))
        expected = tokenizer(rows.first, rows.second, truncation="longest_first", max_length=64)["input_ids"]
        assert [example.ids for example in encoder.encode(rows)] == expected
        for first, second, ids in zip(rows.first, rows.second, expected, strict=True):
            parts = [[p for w in sampler.sample(encoder.words(t), 0.0, 0) for p in w] for t in (first, second)]
            assert encoder.assemble(*parts).ids == ids
