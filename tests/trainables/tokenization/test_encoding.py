import random
from dataclasses import replace

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

from trainables.data.contract import Rows
from trainables.errors import InputError
from trainables.tokenization.encoding import Encoded, Encoder, TokenizerFiles
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


def encoder_of(tokenizer, **changes):
    return Encoder(TokenizerFiles(tokenizer.to_str(), 0, False, (), **changes), 64)


def with_template(tokenizer):
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer


def blanks_as_tokens():
    """ModernBERT's form: runs of blanks, and placeholders, are added tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE({piece: i for i, piece in enumerate(["<s>", "</s>", *alphabet, "ca"])}, [("c", "a")])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_tokens([AddedToken(" " * n, normalized=False) for n in (3, 2)] + ["|||EMAIL_ADDRESS|||"])
    tokenizer.add_special_tokens(["<s>", "</s>", AddedToken("[MASK]", lstrip=True)])
    return with_template(tokenizer)


def lowering_wordpiece():
    pieces = ["[PAD]", "[UNK]", "a", "##b", "ab", "[", "]", "mask"]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[MASK]"])
    tokenizer.add_tokens(["New Word"])
    return tokenizer


def unigram_with_marks():
    pieces = ["<s>", "</s>", "<unk>", "▁", "a", "b", "ab", "▁a"]
    tokenizer = Tokenizer(models.Unigram([(piece, -0.5 * number) for number, piece in enumerate(pieces)], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.add_special_tokens(["<s>", "</s>", "<unk>"])
    return tokenizer


@pytest.mark.parametrize("form", [blanks_as_tokens, lowering_wordpiece, unigram_with_marks])
@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_added_tokens_in_a_text_stay_as_the_tokenizer_has_them(form, strength):
    tokenizer = form()
    encoder, sampler = encoder_of(tokenizer), subword_sampler(tokenizer.to_str())
    added = tokenizer.get_added_tokens_decoder().keys()
    for text in (
        "ca  ca   ca", "to |||EMAIL_ADDRESS||| ca", "ab [MASK] ab", "[PAD]ab", "AB new word b", "ab</s> <s>a", "<unk>",
        "",
    ):  # fmt: skip
        found = [piece for word in sampler.sample(encoder.words(text), strength, 0) for piece in word]
        expected = tokenizer.encode(text, add_special_tokens=False).ids
        if strength == 0:
            assert found == expected, text
        assert [piece for piece in found if piece in added] == [piece for piece in expected if piece in added], text


def test_the_template_holds_sentences_whatever_the_vocabulary_knows():
    pieces = ["<s>", "</s>", "東", "京"]
    tokenizer = with_template(Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [])))
    (expected,) = encoder_of(tokenizer).encode(Rows(["東京"], ["京"], [0]))
    assert encoder_of(tokenizer).assemble([2, 3], [3]) == expected == Encoded([0, 2, 3, 1, 3, 1], [0, 0, 0, 0, 1, 1])


def test_a_rate_of_dropout_in_the_file_changes_no_encoding():
    merges, pieces = [("a", "b"), ("ab", "ab")], ["a", "b", "ab", "abab"]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges, dropout=0.5))
    encoder = encoder_of(tokenizer)
    assert {tuple(encoder.encode(Rows(["abab"], None, [0]))[0].ids) for _ in range(50)} == {(3,)}


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        (models.Unigram([("a", -1.0), ("b", -1.0)]), 'set "unk_id" in its tokenizer.json'),
        (models.WordPiece({"a": 0, "##b": 1}, unk_token="[UNK]"), "add '[UNK]' to the vocabulary"),
        (models.BPE({"a": 0, "b": 1}, [], unk_token="[UNK]"), "add '[UNK]' to the vocabulary"),
    ],
)
def test_a_vocabulary_without_its_unknown_piece_encodes_what_it_covers(model, remedy):
    tokenizer = Tokenizer(model)
    encoder, sampler = encoder_of(tokenizer), subword_sampler(tokenizer.to_str())
    (expected,) = encoder.encode(Rows(["ab"], None, [0]))
    for strength in (0.0, 0.5):
        assert sampler.sample(encoder.words("ab"), strength, 0) == [expected.ids] == [[0, 1]]
    with pytest.raises(InputError, match=r"the tokenizer cannot encode 'aé' \(") as refusal:
        encoder.encode(Rows(["ab", "aé"], None, [0, 0]))
    assert remedy in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_padding_on_the_left(unigram):
    right, left = (Encoder(replace(unigram, pads_left=side), 12) for side in (False, True))
    rows = Rows(["abc", "a"], ["ab", "c c"], [0, 0])
    for one, other in zip(right.batch(right.encode(rows)).items(), left.batch(left.encode(rows)).items(), strict=True):
        assert one[0] == other[0]
        for ids, moved, example in zip(one[1], other[1], right.encode(rows), strict=True):
            assert torch.equal(moved, ids.roll(ids.shape[0] - len(example)))
