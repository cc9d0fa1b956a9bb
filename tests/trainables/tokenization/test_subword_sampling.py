import json
import math
import subprocess
import sys
from collections import Counter

import pytest
from scipy.stats import chisquare
from tokenizers import Tokenizer, models

from trainables.errors import InputError
from trainables.tokenization.subword_sampling import WordPieceSampler, subword_sampler

MODEL = {
    "type": "WordPiece",
    "unk_token": "[UNK]",
    "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 20,
    "vocab": {"[UNK]": 0, "a": 1, "ab": 2, "abc": 3, "##b": 4, "##bc": 5, "##c": 6, "x": 7, "xy": 8, "##z": 9},
}
DRAWS = 20_000


def wordpiece_distribution(word, p, vocabulary=MODEL["vocab"], drop_single_characters=False):
    """Every segmentation of ``word`` with its probability under MaxMatch-Dropout, by recursion over the rule.

    With ``drop_single_characters`` what is left when all matches were rejected goes to the unknown word.
    """

    def expand(at):
        if at == len(word):
            yield (), 1.0
            return
        left = 1.0
        for end in range(len(word), at, -1):
            piece = vocabulary.get(("##" if at else "") + word[at:end])
            if piece is None:
                continue
            certain = end == at + 1 and not drop_single_characters
            keep = left * (1.0 if certain else 1 - p)
            left -= keep
            for rest, probability in expand(end):
                yield (piece, *rest), keep * probability

    found = Counter()
    for pieces, probability in expand(0):
        found[pieces] += probability
    if drop_single_characters:
        found[(vocabulary["[UNK]"],)] += 1 - sum(found.values())
    return found


def unigram_distribution(word, alpha, pieces):
    """Every segmentation of ``word``, as ids, with its probability: proportional to the product of p(piece)^alpha."""
    scores = {piece: (number, score) for number, (piece, score) in enumerate(pieces)}

    def segmentations(rest):
        if not rest:
            yield (), 0.0
        for end in range(1, len(rest) + 1):
            if rest[:end] in scores:
                number, score = scores[rest[:end]]
                for tail, other in segmentations(rest[end:]):
                    yield (number, *tail), score + other

    weights = {ids: math.exp(alpha * score) for ids, score in segmentations(word)}
    return {ids: weight / sum(weights.values()) for ids, weight in weights.items()}


def assert_drawn_from(expected, drawn):
    """Chi-square against the enumerated distribution; segmentations that are expected fewer than five times as one."""
    assert sum(expected.values()) == pytest.approx(1)
    drawn = Counter(map(tuple, drawn))
    assert drawn.keys() <= expected.keys()
    count = drawn.total()
    cells = {key: (drawn[key], count * share) for key, share in expected.items()}
    often = [cell for cell in cells.values() if cell[1] >= 5]
    rare = [sum(column) for column in zip(*(cell for cell in cells.values() if cell[1] < 5), strict=True)]
    observed, wanted = zip(*often, *([rare] if rare else []), strict=True)
    assert len(often) > 2
    assert chisquare(observed, wanted).pvalue > 0.001


@pytest.mark.parametrize("drop_single_characters", [False, True])
@pytest.mark.parametrize("p", [0.2, 0.5])
def test_wordpiece_draws_follow_the_enumerated_distribution(p, drop_single_characters):
    drawn = WordPieceSampler(MODEL, drop_single_characters).sample(["abc"] * DRAWS, p, seed=1)
    assert_drawn_from(wordpiece_distribution("abc", p, MODEL["vocab"], drop_single_characters), drawn)


def test_unigram_draws_follow_the_enumerated_distribution(unigram):
    pieces = json.loads(unigram.backend)["model"]["vocab"]
    drawn = subword_sampler(unigram.backend).sample(["▁abc"] * DRAWS, 0.4, seed=1)
    assert_drawn_from(unigram_distribution("▁abc", 0.4, pieces), drawn)


def test_draws_from_mberts_vocabulary_follow_the_enumerated_distribution(mbert):
    model = json.loads(mbert.backend)["model"]
    for drop_single_characters in (False, True):
        sampler = subword_sampler(mbert.backend, drop_single_characters)
        expected = wordpiece_distribution("house", 0.4, model["vocab"], drop_single_characters)
        assert_drawn_from(expected, sampler.sample(["house"] * DRAWS, 0.4, seed=2))


def test_draws_from_a_real_unigram_vocabulary_follow_the_enumerated_distribution(e5):
    pieces = json.loads(e5.backend)["model"]["vocab"]
    drawn = subword_sampler(e5.backend).sample(["▁house"] * DRAWS, 0.2, seed=2)
    assert_drawn_from(unigram_distribution("▁house", 0.2, pieces), drawn)


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_equal_seeds_give_equal_segmentations(kind, request):
    sampler = subword_sampler(request.getfixturevalue(kind).backend)
    words = ["dogen", "housetree"] * 20 if kind == "wordpiece" else ["▁abcab", "▁cab"] * 20
    assert sampler.sample(words, 0.3, 7) == sampler.sample(words, 0.3, 7) != sampler.sample(words, 0.3, 8)


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_equal_seeds_give_equal_segmentations_in_another_process(kind, request, tmp_path):
    backend = request.getfixturevalue("unigram").backend if kind == "unigram" else json.dumps({"model": MODEL})
    word = "▁abc" if kind == "unigram" else "abc"
    (tmp_path / "tokenizer.json").write_text(backend, encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from trainables.tokenization.subword_sampling import subword_sampler\n"
        "print(subword_sampler(Path(sys.argv[1]).read_text()).sample([sys.argv[2]] * 60, 0.4, 5))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "tokenizer.json"), word]
    there = {subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)}
    assert there == {str(subword_sampler(backend).sample([word] * 60, 0.4, 5))}


def test_certain_rejection_spells_in_characters_and_zero_is_plain():
    sampler = WordPieceSampler(MODEL)
    assert sampler.sample(["abc"], 1.0, 0) == [[1, 4, 6]]
    assert sampler.sample(["abc"], 0.0, 0) == [[3]]


def test_sampling_makes_no_unknown_word_that_plain_encoding_does_not_make(unigram):
    sampler = WordPieceSampler(MODEL)
    assert sampler.sample(["q", "abq"], 0.5, 0) == [[0], [0]]
    # "y" alone is not in the vocabulary: whatever was rejected, "xy" stands or the word is plain.
    assert {tuple(s) for s in sampler.sample(["xyz"] * 200, 0.9, 0)} == {(8, 9)}
    sampled = subword_sampler(unigram.backend).sample(["▁abc", "▁q"] * 200, 0.01, 0)
    assert all(3 not in pieces for pieces in sampled[::2])
    assert all(3 in pieces for pieces in sampled[1::2])


def test_other_vocabularies_are_refused():
    with pytest.raises(
        InputError, match="knows the vocabularies WordPiece, Unigram, BPE; this tokenizer's is WordLevel"
    ):
        subword_sampler(json.dumps({"model": {"type": "WordLevel"}}))


def test_mvrs_rule_rejects_single_characters_and_then_loses_the_word():
    sampler = WordPieceSampler(MODEL, drop_single_characters=True)
    assert sampler.sample(["abc", "q"], 1.0, 0) == [[0], [0]]
    assert sampler.sample(["abc", "q"], 0.0, 0) == [[3], [0]]


def test_single_characters_are_a_matter_of_wordpiece(unigram):
    with pytest.raises(InputError, match="drop_single_characters is a rule of WordPiece; this tokenizer's vocabulary"):
        subword_sampler(unigram.backend, drop_single_characters=True)


class Counted(dict):
    """A vocabulary that counts what is looked up."""

    looked_up = 0

    def get(self, *key):
        self.looked_up += 1
        return super().get(*key)


def test_a_word_that_is_too_long_for_the_vocabulary_is_not_looked_up_at_all():
    vocabulary = Counted(MODEL["vocab"])
    sampler = WordPieceSampler({**MODEL, "vocab": vocabulary})
    assert sampler.sample(["ab" * 2000], 0.2, 0) == [[0]]
    assert vocabulary.looked_up == 0


def test_no_more_is_looked_up_than_the_longest_piece_allows():
    vocabulary = Counted({**MODEL["vocab"], "##a": 10})
    sampler = WordPieceSampler({**MODEL, "vocab": vocabulary, "max_input_chars_per_word": 10_000})
    assert sampler.sample(["a" * 3000], 0.0, 0) == [[1] + [10] * 2999]
    assert vocabulary.looked_up <= 3000 * max(map(len, vocabulary))


BYTES = [(f"<0x{byte:02X}>", 0.0) for byte in range(256)]


def test_unigram_pieces_in_brackets_and_bytes_are_those_of_the_tokenizer():
    pieces = [("<unk>", 0.0), *BYTES, ("▁", -3.0), ("a", -2.5), ("▁a", -2.1), ("<x>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    sampler = subword_sampler(tokenizer.to_str())
    for word in ("▁a<x>", "▁é", "▁aéé東a"):
        assert sampler.sample([word], 0.0, 0) == [tokenizer.encode(word).ids]
        assert 0 not in sampler.sample([word], 0.5, 0)[0]


def test_bytes_that_are_missing():
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), *BYTES[:9]], unk_id=0, byte_fallback=True))
    with pytest.raises(InputError, match="has byte_fallback, but lacks some of the pieces <0x00> to <0xFF>"):
        subword_sampler(tokenizer.to_str())


def test_mvrs_rule_needs_an_unknown_piece():
    with pytest.raises(InputError, match="view.drop_single_characters needs a vocabulary with an unknown piece"):
        WordPieceSampler({**MODEL, "unk_token": "[X]"}, drop_single_characters=True)
