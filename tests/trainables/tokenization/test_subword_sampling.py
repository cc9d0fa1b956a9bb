import json
import math
from collections import Counter

import pytest
from scipy.stats import chisquare

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


def wordpiece_distribution(word, p):
    """Every segmentation of ``word`` with its probability under MaxMatch-Dropout, by recursion over the rule."""
    vocabulary = MODEL["vocab"]

    def expand(at):
        if at == len(word):
            yield (), 1.0
            return
        left = 1.0
        for end in range(len(word), at, -1):
            piece = vocabulary.get(("##" if at else "") + word[at:end])
            if piece is None:
                continue
            keep = left * (1.0 if end == at + 1 else 1 - p)
            left -= keep
            for rest, probability in expand(end):
                yield (piece, *rest), keep * probability

    found = Counter()
    for pieces, probability in expand(0):
        found[pieces] += probability
    return found


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_wordpiece_draws_follow_the_enumerated_distribution(p):
    expected = wordpiece_distribution("abc", p)
    assert sum(expected.values()) == pytest.approx(1)
    drawn = Counter(map(tuple, WordPieceSampler(MODEL).sample(["abc"] * DRAWS, p, seed=1)))
    assert drawn.keys() <= expected.keys()
    keys = sorted(expected)
    assert chisquare([drawn[k] for k in keys], [DRAWS * expected[k] for k in keys]).pvalue > 0.001


def test_unigram_draws_follow_the_enumerated_distribution(unigram):
    vocabulary = dict(json.loads(unigram.backend)["model"]["vocab"])
    ids = {piece: i for i, (piece, _) in enumerate(json.loads(unigram.backend)["model"]["vocab"])}
    word, alpha = "▁abc", 0.4

    def segmentations(rest):
        if not rest:
            yield ()
        for end in range(1, len(rest) + 1):
            if rest[:end] in vocabulary:
                for tail in segmentations(rest[end:]):
                    yield (rest[:end], *tail)

    weights = {s: math.exp(alpha * sum(vocabulary[p] for p in s)) for s in segmentations(word)}
    total = sum(weights.values())
    drawn = Counter(map(tuple, subword_sampler(unigram.backend).sample([word] * DRAWS, alpha, seed=1)))
    keys = sorted(weights)
    observed = [drawn[tuple(ids[p] for p in k)] for k in keys]
    assert sum(observed) == DRAWS
    assert chisquare(observed, [DRAWS * weights[k] / total for k in keys]).pvalue > 0.001


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_equal_seeds_give_equal_segmentations(kind, request):
    sampler = subword_sampler(request.getfixturevalue(kind).backend)
    words = ["dogen", "housetree"] * 20 if kind == "wordpiece" else ["▁abcab", "▁cab"] * 20
    assert sampler.sample(words, 0.3, 7) == sampler.sample(words, 0.3, 7) != sampler.sample(words, 0.3, 8)


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
    with pytest.raises(InputError, match="knows the vocabularies WordPiece, Unigram; this tokenizer's is BPE"):
        subword_sampler(json.dumps({"model": {"type": "BPE"}}))
