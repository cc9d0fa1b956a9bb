"""Translated views: rows of a parallel file, drawn with a probability; wrong files are named with their line."""

import random
import re

import pytest

from trainables.data.contract import Rows
from trainables.errors import InputError
from trainables.tokenization.encoding import Encoder
from trainables.views.translation import read_parallel, translate

ROWS = Rows(["red dog", "cat", "old house"], ["dog", "blue cat", "new"], [1, 0, 1])
GERMAN = Rows(["reden dogen", "caten", "olden housen"], ["dogen", "bluen caten", "newen"], [0, 0, 0])
SPANISH = Rows(["redo dogo", "cato", "oldo houseo"], ["dogo", "blueo cato", "newo"], [0, 0, 0])


@pytest.fixture
def encoder(wordpiece):
    return Encoder(wordpiece, 24)


def draw(encoder, rows, translations, strength, indices, seeds):
    drawn = [
        translate(rows, index, translations, strength, random.Random(seed))
        for index, seed in zip(indices, seeds, strict=True)
    ]
    return encoder.encode(Rows.joined(drawn))


def test_lines_are_sentences_or_pairs(tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("ein Hund\tzwei\nKatze\tdrei\n")
    assert read_parallel(pairs, 2, 2) == Rows(["ein Hund", "Katze"], ["zwei", "drei"], [0, 0])
    single = tmp_path / "single.txt"
    single.write_text("ein Hund\nKatze\n")
    assert read_parallel(single, 2, 1) == Rows(["ein Hund", "Katze"], None, [0, 0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\nc\n", "line 2: expected 'sentence TAB sentence', found 1 columns"),
        ("a\tb\nc\td\t1\n", "line 2: expected 'sentence TAB sentence', found 3 columns"),
        ("a\tb\nc\t \n", "line 2: expected 'sentence TAB sentence', found 2 columns, one of them empty"),
        ("a\tb\n", "line 2: the file ends after 1 lines, but the English training file has 2 examples"),
        ("a\tb\nc\td\ne\tf\n", "line 3: one of 3 lines, but the English training file has 2 examples, and line i must"),
    ],
)
def test_wrong_form_or_length_is_named_with_file_and_line(tmp_path, content, message):
    path = tmp_path / "train-de.tsv"
    path.write_text(content)
    with pytest.raises(InputError, match=re.escape(f"{path}, {message}")):
        read_parallel(path, 2, 2)


def test_a_missing_file_says_what_it_expects(tmp_path):
    expected = "no such file; view translation expects the English training file's translation there, 'sentence' a line"
    with pytest.raises(InputError, match=expected):
        read_parallel(tmp_path / "none.txt", 2, 1)


def test_the_view_is_the_translation_and_at_strength_zero_the_clean_example(encoder):
    for strength, expected in ((1.0, GERMAN), (0.0, ROWS)):
        assert draw(encoder, ROWS, [GERMAN], strength, [2, 0], [1, 2]) == encoder.encode(expected.take([2, 0]))


def test_languages_and_translated_examples_are_drawn_evenly(encoder):
    draws = 2000
    found = draw(encoder, ROWS, [GERMAN, SPANISH], 0.5, [1] * draws, range(draws))
    for rows, share in ((ROWS, 0.5), (GERMAN, 0.25), (SPANISH, 0.25)):
        count = found.count(encoder.encode(rows.take([1]))[0])
        assert count / draws == pytest.approx(share, abs=4 * (share / draws) ** 0.5)


def test_both_sentences_are_of_one_language(encoder):
    views = draw(encoder, ROWS, [GERMAN, SPANISH], 1.0, [0] * 50, range(50))
    whole = [encoder.encode(rows.take([0]))[0] for rows in (GERMAN, SPANISH)]
    assert all(found in whole for found in views)


def test_one_sentence_tasks(encoder):
    rows, german = (Rows(part.first, None, part.labels) for part in (ROWS, GERMAN))
    assert draw(encoder, rows, [german], 1.0, [1], [0]) == encoder.encode(german.take([1]))
