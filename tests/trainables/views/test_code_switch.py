"""Code-switching against the rule written out, its file format, and what it leaves alone."""

import random
import re

import pytest

from trainables.data.contract import Rows
from trainables.errors import InputError
from trainables.tokenization.encoding import Encoder
from trainables.views.code_switch import code_switch, dictionary_notes, read_dictionary

GERMAN = {"red": ["redo"], "dog": ["dogen", "dogo"]}
SPANISH = {"dog": ["cato"], "cat": ["caten"]}
ROWS = Rows(["Red dog  runs", "cat"], ["the dog.", "dog old"], [1, 0])


@pytest.fixture
def encoder(wordpiece):
    return Encoder(wordpiece, 24)


def draw(encoder, strength, seeds, indices=(0, 1), dictionaries=(GERMAN, SPANISH), rows=ROWS):
    drawn = [
        code_switch(rows.take([index]), dictionaries, strength, random.Random(seed))
        for index, seed in zip(indices, seeds, strict=True)
    ]
    return encoder.encode(Rows.joined(drawn))


def test_lines_are_a_word_and_a_translation_with_blank_or_tab_between(tmp_path):
    path = tmp_path / "en-de.txt"
    path.write_bytes("dog Hund\r\nDog\tKöter\ndog Hund\nice cream\tEis am Stiel\n".encode())
    assert read_dictionary(path) == {"dog": ["Hund", "Köter"], "ice cream": ["Eis am Stiel"]}


@pytest.mark.parametrize("line", ["dog", "dog der Hund", "dog\tHund\tn", "dog\t ", ""])
def test_another_form_is_named_with_file_and_line(tmp_path, line):
    path = tmp_path / "en-de.txt"
    path.write_text(f"cat Katze\n{line}\nred rot\n")
    with pytest.raises(InputError, match=re.escape(f"{path}, line 2: expected a word and its translation")):
        read_dictionary(path)


def test_entries_of_several_words_are_counted_and_blank_lines_at_the_end_are_none(tmp_path):
    path = tmp_path / "en-de.txt"
    path.write_text("dog Hund\nice cream\tEis\n\n \n")
    dictionaries = {"de": read_dictionary(path), "es": SPANISH}
    assert dictionary_notes(dictionaries) == [
        "dictionary de: 1 of 2 entries have several words and stay unused: words are looked up one by one"
    ]
    path.write_text("dog Hund\nice cream Eis am Stiel\n")
    with pytest.raises(
        InputError, match=r"line 2: .* got 'ice cream Eis am Stiel'; an entry of several words takes a tab"
    ):
        read_dictionary(path)
    path.write_text("dog Hund\n\ncat Katze\n")
    with pytest.raises(InputError, match=r"line 2: .* got a blank line$"):
        read_dictionary(path)


def test_a_missing_dictionary_says_what_it_expects(tmp_path):
    with pytest.raises(InputError, match="no such file; view code_switch expects a bilingual dictionary there"):
        read_dictionary(tmp_path / "none.txt")


def test_at_strength_one_every_known_word_is_replaced_and_all_else_stays(encoder):
    found = draw(encoder, 1.0, (5, 6), dictionaries=[{"red": ["redo"], "dog": ["dogen"]}])
    # Case does not count, "dog." is another word than "dog", and blanks stay.
    expected = encoder.encode(Rows(["redo dogen  runs", "cat"], ["the dog.", "dogen old"], [0, 0]))
    assert found == expected


def test_strength_zero_is_the_clean_encoding(encoder):
    assert draw(encoder, 0.0, (1, 2)) == encoder.encode(ROWS)


def test_draws_follow_the_rule_written_out(encoder):
    """Word by word: looked up with probability 0.5, in a language drawn first, then one of its translations."""
    draws = 4000
    expected = {"dog": 0.5, "dogen": 0.5 * 0.5 * 0.5, "dogo": 0.5 * 0.5 * 0.5, "cato": 0.5 * 0.5}
    rows = Rows(["dog"], None, [0])
    seeds = random.Random(0)
    views = draw(encoder, 0.5, [seeds.getrandbits(60) for _ in range(draws)], [0] * draws, rows=rows)
    found = [tuple(e.ids) for e in views]
    for word, share in expected.items():
        (ids,) = encoder.encode(Rows([word], None, [0]))
        # Four standard deviations of a share.
        assert found.count(tuple(ids.ids)) / draws == pytest.approx(share, abs=4 * (share / draws) ** 0.5)


def test_a_word_that_the_drawn_language_lacks_stays(encoder):
    kept = draw(encoder, 1.0, range(40), indices=[1] * 40)
    plain = encoder.encode(ROWS)[1].ids[1:2]
    share = sum(e.ids[1:2] == plain for e in kept) / 40
    assert 0.2 < share < 0.8  # "cat" is in one of two dictionaries


def test_equal_seeds_give_equal_views_whatever_the_rows_beside(encoder):
    both = draw(encoder, 0.5, (3, 4))
    assert draw(encoder, 0.5, (4,), indices=(1,)) == both[1:]
    assert draw(encoder, 0.5, (4, 3), indices=(1, 0)) == both[::-1]
    assert any(draw(encoder, 0.5, (seed, seed)) != both for seed in range(5, 10))


def test_truncation_is_that_of_the_clean_encoding(wordpiece):
    short = Encoder(wordpiece, 8)
    for encoded in draw(short, 1.0, (0, 1), dictionaries=[GERMAN]):
        assert len(encoded) <= 8
        assert encoded.ids[0] == short.encode(ROWS)[0].ids[0]
