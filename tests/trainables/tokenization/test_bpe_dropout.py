"""BPE-dropout on every form of BPE vocabulary that encoders use, each trained here on the bundled sentences."""

import itertools
import json
from collections import Counter

import pytest
from scipy.stats import chisquare
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from trainables.config import DataConfig
from trainables.data.task_data import load_task_data
from trainables.tokenization.encoding import Encoder, TokenizerFiles
from trainables.tokenization.subword_sampling import subword_sampler

DRAWS = 20_000
ODD = ["naïve Straße 東京都 🙂🙂", " two  blanks ", "ﬁne", "a", "x\ty"]


@pytest.fixture(scope="module")
def sentences():
    data = load_task_data(DataConfig(name="inference", source="bundled", train_examples=200, validation_examples=100))
    rows = [data.train, *data.validation.values()]
    return [text for part in rows for text in part.first] + [text for part in rows for text in part.second]


def byte_level(sentences, **model):
    """GPT-2's and ModernBERT's form."""
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        sentences, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def whole_words(sentences):
    """Llama 3's form: a word of the vocabulary is taken whole, whatever the merges would give."""
    tokenizer = byte_level(sentences)
    content = json.loads(tokenizer.to_str())
    content["model"]["ignore_merges"] = True
    content["model"]["merges"] = content["model"]["merges"][:-200]
    return Tokenizer.from_str(json.dumps(content))


def meta_symbol(sentences, byte_fallback=True):
    """Gemma's form: blanks become a meta symbol, a whole sentence is one word, unknown characters become bytes."""
    tokens = ["<pad>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256 if byte_fallback else 0))]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=byte_fallback))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("▁(?=[^▁])"), "merged_with_next")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(
        vocab_size=3_000, special_tokens=[AddedToken(t, normalized=False) for t in tokens], show_progress=False
    )
    tokenizer.train_from_iterator(sentences, trainer)
    content = json.loads(tokenizer.to_str())
    content["pre_tokenizer"] = None
    # The bytes are pieces of the model here, as in real vocabularies, not added tokens to be found in the text.
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(content))


def affixes(sentences):
    """XLM's and CLIP's form, with WordPiece's prefix as well: symbols say where in the word they stand."""
    tokenizer = Tokenizer(
        models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>", fuse_unk=False)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=3_000, special_tokens=["<unk>"], continuing_subword_prefix="##", end_of_word_suffix="</w>",
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(sentences, trainer)
    return tokenizer


FORMS = {
    "byte_level": byte_level,
    "whole_words": whole_words,
    "meta_symbol": meta_symbol,
    "meta_symbol_without_bytes": lambda sentences: meta_symbol(sentences, byte_fallback=False),
    "affixes": affixes,
}


@pytest.fixture(params=FORMS)
def tokenizer(request, sentences):
    return FORMS[request.param](sentences)


def encoder_of(tokenizer):
    return Encoder(TokenizerFiles(tokenizer.to_str(), pad_id=0, uses_token_types=False, special_ids=()), 512)


def sampled(tokenizer, text, strength, seed=0):
    words = encoder_of(tokenizer).words(text)
    return [piece for word in subword_sampler(tokenizer.to_str()).sample(words, strength, seed) for piece in word]


def test_without_dropout_every_sentence_is_encoded_as_the_tokenizer_does(tokenizer, sentences):
    encoder, sampler = encoder_of(tokenizer), subword_sampler(tokenizer.to_str())
    for text in [*sentences[::5], *ODD]:
        pieces = [piece for word in sampler.sample(encoder.words(text), 0.0, 0) for piece in word]
        assert pieces == tokenizer.encode(text, add_special_tokens=False).ids, text


def test_old_files_write_a_merge_as_one_text(sentences):
    tokenizer = byte_level(sentences)
    content = json.loads(tokenizer.to_str())
    content["model"]["merges"] = [" ".join(merge) for merge in content["model"]["merges"]]
    words = encoder_of(tokenizer).words(sentences[0])
    new, old = subword_sampler(tokenizer.to_str()), subword_sampler(json.dumps(content))
    assert old.sample(words, 0.3, 1) == new.sample(words, 0.3, 1)


@pytest.mark.parametrize("name", ["byte_level", "whole_words", "meta_symbol"])
@pytest.mark.parametrize("strength", [0.1, 0.6, 1.0])
def test_sampled_pieces_are_the_same_text(name, strength, sentences):
    tokenizer = FORMS[name](sentences)
    for seed, text in enumerate([*sentences[:40], *ODD]):
        normal = text if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(text)
        assert tokenizer.decode(sampled(tokenizer, text, strength, seed)).replace(" ", "▁") == normal.replace(" ", "▁")


def test_more_dropout_makes_more_pieces_and_certain_dropout_spells_the_word(tokenizer, sentences):
    text = sentences[0]
    lengths = [sum(len(sampled(tokenizer, text, p, seed)) for seed in range(20)) for p in (0.0, 0.1, 0.4, 1.0)]
    assert lengths == sorted(set(lengths))
    spelled = sampled(tokenizer, text, 1.0)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    made = {one + other.removeprefix("##") for one, other in merges}
    assert not made & {tokenizer.id_to_token(piece) for piece in spelled}


@pytest.mark.parametrize("strength", [0.2, 0.9])
def test_sampling_makes_no_unknown_piece_that_plain_encoding_does_not_make(tokenizer, sentences, strength):
    unknown = tokenizer.token_to_id("<unk>")
    encoder, sampler = encoder_of(tokenizer), subword_sampler(tokenizer.to_str())
    words = [word for text in [*sentences[:60], *ODD] for word in encoder.words(text)]
    plain = [unknown in pieces for pieces in sampler.sample(words, 0.0, 0)]
    for new, old in zip(sampler.sample(words, strength, 1), plain, strict=True):
        assert old or unknown not in new


def test_a_word_that_only_stands_whole_in_the_vocabulary_stays_whole():
    model = {"type": "BPE", "vocab": {"<unk>": 0, "a": 1, "aq": 2}, "merges": [], "unk_token": "<unk>"}
    sampler = subword_sampler(json.dumps({"model": model | {"ignore_merges": True}}))
    assert sampler.sample(["aq", "aqa"], 0.5, 0) == [[2], [1, 0, 1]]


def test_a_character_that_nothing_stands_for_is_left_out_as_the_tokenizer_does():
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")]))
    assert sampled(tokenizer, "a?b", 0.0) == tokenizer.encode("a?b").ids


MERGES = [("a", "b"), ("b", "c"), ("ab", "a"), ("c", "a"), ("a", "bc"), ("ab", "c")]
PIECES = ["a", "b", "c", "ab", "bc", "aba", "ca", "abc"]


def enumerated(word, p, ranks):
    """Every segmentation with its probability by Algorithm 1 of the paper, as recursion over lists of symbols."""

    def expand(symbols, probability):
        possible = sorted(
            (ranks[pair], place) for place, pair in enumerate(itertools.pairwise(symbols)) if pair in ranks
        )
        # The k-th best is applied when the better ones were left out and it was not.
        for position, (_, place) in enumerate(possible):
            merged = (*symbols[:place], symbols[place] + symbols[place + 1], *symbols[place + 2 :])
            expand(merged, probability * p**position * (1 - p))
        found[symbols] += probability * p ** len(possible)

    found = Counter()
    expand(tuple(word), 1.0)
    return found


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("word", ["abcab", "abab"])
def test_draws_follow_the_enumerated_distribution(word, p):
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(PIECES)}, merges=MERGES))
    found = enumerated(word, p, {pair: rank for rank, pair in enumerate(MERGES)})
    expected = {tuple(map(PIECES.index, symbols)): share for symbols, share in found.items()}
    assert sum(expected.values()) == pytest.approx(1)
    drawn = Counter(map(tuple, subword_sampler(tokenizer.to_str()).sample([word] * DRAWS, p, seed=3)))
    assert drawn.keys() <= expected.keys()
    cells = [(drawn[key], DRAWS * share) for key, share in expected.items()]
    often = [cell for cell in cells if cell[1] >= 5]
    rare = [sum(column) for column in zip((0, 0.0), *(cell for cell in cells if cell[1] < 5), strict=True)]
    observed, wanted = zip(*often, *([rare] if rare[1] else []), strict=True)
    assert len(often) > 2
    assert chisquare(observed, wanted).pvalue > 0.001


def test_equal_seeds_give_equal_segmentations(tokenizer, sentences):
    sampler, words = subword_sampler(tokenizer.to_str()), encoder_of(tokenizer).words(sentences[0])
    assert sampler.sample(words, 0.3, 7) == sampler.sample(words, 0.3, 7) != sampler.sample(words, 0.3, 8)


def test_a_sentence_as_one_word_is_divided_at_its_blanks(sentences):
    """Each word is sampled as if it stood alone: pieces of a word of two symbols are those of the formula."""
    tokenizer = meta_symbol(sentences)
    text = "▁the" * 2_000
    whole = tokenizer.encode("▁the").ids
    drawn = subword_sampler(tokenizer.to_str()).sample([text], 0.3, 0)[0]
    merges = [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    expected = enumerated("▁the", 0.3, {pair: rank for rank, pair in enumerate(merges)})
    kept = sum(drawn[i : i + len(whole)] == whole for i in range(len(drawn))) / 2_000
    share = expected[tuple(tokenizer.id_to_token(piece) for piece in whole)]
    assert kept == pytest.approx(share, abs=5 * (share * (1 - share) / 2_000) ** 0.5)


def test_nothing_is_divided_where_a_merge_crosses_a_blank():
    vocabulary = {piece: i for i, piece in enumerate(["a", "▁", "a▁", "a▁a"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "▁"), ("a▁", "a")]))
    drawn = subword_sampler(tokenizer.to_str()).sample(["a▁a"] * 200, 0.5, 0)
    assert {tuple(pieces) for pieces in drawn} == {(0, 1, 0), (2, 0), (3,)}
