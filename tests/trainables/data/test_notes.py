from trainables.data.contract import Rows
from trainables.data.notes import Dropped, describe, untranslated

NOTHING_DROPPED = Dropped(0, 0, 0, {})


def pairs(*examples, labels=None):
    return Rows([a for a, _ in examples], [b for _, b in examples], labels or [0] * len(examples))


def test_the_placeholder_is_a_whole_sentence():
    assert untranslated(pairs(("NS", "a"), ("NSA", "a NS"), ("a", " NS "))) == [0, 2]
    assert untranslated(Rows(["NS", "a"], None, [0, 0])) == [0]


def test_nothing_to_say_is_nothing_said():
    train, validation = pairs(("a", "b"), ("c", "d")), pairs(("e", "f"))
    stage2 = {"de": pairs(("i", "j"))}
    assert describe("t", train, stage2, {"en": validation, "de": pairs(("g", "h"))}, NOTHING_DROPPED) == ()


def test_repeats_and_contradictions_in_training():
    train = pairs(("a", "b"), ("a", "b"), ("a", "b"), ("c", "d"), ("c", "d"), ("b", "a"), labels=[0, 0, 1, 1, 1, 0])
    assert describe("t", train, {}, {"en": pairs(("x", "y"))}, NOTHING_DROPPED) == (
        "data t: 3 of the 6 training examples repeat an earlier one",
        "data t: training examples that occur with more than one label: 1",
    )


def test_overlap_counts_validation_examples_and_looks_at_both_places():
    train = pairs(("a", "b"), ("c", "d"))
    english = pairs(("a", "b"), ("a", "b"), ("x", "c"), ("x", "y"))
    assert describe("t", train, {}, {"en": english}, NOTHING_DROPPED) == (
        "data t: 2 of the 4 English validation examples are training examples too",
        "data t: 3 of the 4 English validation examples share a sentence with a training example",
    )


def test_overlap_with_the_second_stage_is_within_each_language_and_ignores_the_placeholder():
    validation = {
        "en": pairs(("a", "b"), ("c", "d")),
        "de": pairs(("NS", "b"), ("c", "d")),
        "zh": pairs(("p", "q"), ("c", "r")),
    }
    stage2 = {"de": pairs(("NS", "b"), ("c", "d")), "zh": pairs(("s", "p"), ("d", "c"))}
    assert describe("t", pairs(("m", "n")), stage2, validation, NOTHING_DROPPED) == (
        "data t: rows with a sentence that was not translated (NS), kept: validation de 1, second stage de 1; "
        "data.drop_untranslated=true drops them from every language",
        "data t: validation examples that are second-stage examples too: de 1 (of 2 a language)",
        "data t: validation examples that share a sentence with a second-stage example: de 1, zh 2 (of 2 a language)",
    )


def test_dropped_rows_are_counted():
    dropped = Dropped(train=2, validation=1_300, validation_total=2_000, languages={"en": 0, "de": 1_200, "zh": 150})
    assert describe("t", pairs(("m", "n")), {}, {"en": pairs(("a", "b"))}, dropped) == (
        "data t: 1,300 of 2,000 validation rows were dropped from every language, since a sentence was not translated "
        "(NS): de 1,200, zh 150",
        "data t: training rows dropped, since a sentence was not translated (NS): 2",
    )


def test_one_sentence_tasks_share_examples_only():
    train, english = Rows(["a", "b"], None, [0, 1]), Rows(["a", "c"], None, [0, 1])
    assert describe("t", train, {}, {"en": english}, NOTHING_DROPPED) == (
        "data t: 1 of the 2 English validation examples are training examples too",
    )
