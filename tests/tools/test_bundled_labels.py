"""The labels against a judge that knows what meanings are true together, and nothing of how rows are drawn."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tools.bundled.data import inference_rows, lexicon, paraphrase_rows
from tools.bundled.data.changes import replaced, swapped, weakened
from tools.bundled.data.meanings import (
    Action,
    Arrival,
    Comparison,
    Conjunction,
    Item,
    Meaning,
    Named,
    Position,
    Quantity,
    Relation,
    Style,
    Transfer,
    Worker,
    same_head,
)
from tools.bundled.data.sampling import Sampler
from tools.bundled.data.splits import TASKS, build

ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)
PLAIN = Style(passive=False, fronted=False, converse=False, synonym=False, perfect=False)


def participant_entails(first: object, second: object) -> bool:
    if isinstance(first, Worker) and isinstance(second, Worker):
        return first.index == second.index and second.adjective in (None, first.adjective)
    return first == second


def quantity_entails(first: Quantity, second: Quantity) -> bool:
    kinds = {first.index, lexicon.HYPERNYMS.get(first.index, first.index)}
    if second.index not in kinds or second.adjective not in (None, first.adjective):
        return False
    if second.number is None:
        return True
    if second.at_least:
        return first.number is not None and first.number >= second.number
    return (first.number, first.at_least) == (second.number, False)


def entails(first: Meaning, second: Meaning) -> bool:
    """Whether every situation of the first, taken as not denied, is one of the second."""
    if type(first) is not type(second):
        return False
    for slot in ("time", "city", "means"):
        if getattr(second, slot) not in (None, getattr(first, slot)):
            return False
    for slot in ("verb", "direction", "place", "leaving", "origin", "destination"):
        if getattr(first, slot, None) != getattr(second, slot, None):
            return False
    if isinstance(first, Conjunction) and isinstance(second, Conjunction):
        return all(
            any(participant_entails(a, b) and quantity_entails(q, r) for a, q in first.clauses(PLAIN))
            for b, r in second.clauses(PLAIN)
        )
    if (
        isinstance(first, Transfer)
        and isinstance(second, Transfer)
        and not quantity_entails(first.quantity, second.quantity)
    ):
        return False
    return participant_entails(first.subject, second.subject) and participant_entails(
        getattr(first, "other", None), getattr(second, "other", None)
    )


def incompatible_times(first: int | None, second: int | None) -> bool:
    return any(first in group and second in group and first != second for group in lexicon.TIME_GROUPS)


def incompatible_quantities(first: Quantity, second: Quantity) -> bool:
    numbers = {first.number, second.number}
    if len(numbers) == 2 and None not in numbers and not (first.at_least or second.at_least):
        return True
    colours = {first.adjective, second.adjective}
    return len(colours) == 2 and colours <= set(lexicon.COLOURS)


def exclude(first: Meaning, second: Meaning) -> bool:
    """Whether both cannot be true, when they tell of one event and neither is denied."""
    if type(first) is not type(second):
        return False
    if isinstance(first, Comparison | Position | Arrival):
        return entails(first, replace(second, subject=second.other, other=second.subject))
    if incompatible_times(first.time, second.time):
        return True
    for slot in ("city", "means", "origin", "destination"):
        if None not in (ours := getattr(first, slot, None), theirs := getattr(second, slot, None)) and ours != theirs:
            return True
    if isinstance(first, Transfer) and isinstance(second, Transfer):
        return incompatible_quantities(first.quantity, second.quantity)
    if isinstance(first, Conjunction) and isinstance(second, Conjunction):
        return any(
            same_head(a, b) and incompatible_quantities(q, r)
            for a, q in first.clauses(PLAIN)
            for b, r in second.clauses(PLAIN)
        )
    return False


def judge(premise: Meaning, hypothesis: Meaning) -> int:
    said, claimed = replace(premise, negated=False), replace(hypothesis, negated=False)
    match premise.negated, hypothesis.negated:
        case False, False:
            return ENTAILMENT if entails(said, claimed) else CONTRADICTION if exclude(said, claimed) else NEUTRAL
        case False, True:
            return CONTRADICTION if entails(said, claimed) else ENTAILMENT if exclude(said, claimed) else NEUTRAL
        case True, False:
            return CONTRADICTION if entails(claimed, said) else NEUTRAL
        case _:
            return ENTAILMENT if entails(claimed, said) else NEUTRAL


@pytest.mark.parametrize("label", range(3), ids=inference_rows.LABELS)
@pytest.mark.parametrize("train", [False, True])
def test_inference_labels_are_the_judges(label: int, train: bool) -> None:
    sampler = Sampler(random.Random(label), train=train)
    for _ in range(400):
        row = inference_rows.draw(label, sampler)
        assert judge(*row.meanings) == label, row


def test_negation_occurs_under_every_label() -> None:
    for label in range(3):
        sampler = Sampler(random.Random(label))
        rows = [inference_rows.draw(label, sampler) for _ in range(200)]
        assert sum(meaning.negated for row in rows for meaning in row.meanings) > 20


@pytest.mark.parametrize("train", [False, True])
def test_paraphrases_mean_the_same_and_others_do_not(train: bool) -> None:
    sampler = Sampler(random.Random(0), train=train)
    for _ in range(400):
        first, second = paraphrase_rows.draw(1, sampler).meanings
        assert first == second
        first, second = paraphrase_rows.draw(0, sampler).meanings
        assert not (entails(first, second) and entails(second, first))


def test_committed_dev_and_test_labels_are_the_judges() -> None:
    rows = build(TASKS["inference"])
    assert all(judge(*row.meanings) == row.label for split in ("dev", "test") for row in rows[split])


def test_swapped_meanings_keep_their_words() -> None:
    sampler = Sampler(random.Random(0))
    for _ in range(300):
        meaning = sampler.meaning()
        other = swapped(meaning, sampler.rng)
        assert other != meaning
        assert sorted(numbers_in(other)) == sorted(numbers_in(meaning))


def numbers_in(value: object) -> list[str]:
    """Every number of a meaning, with the kind of what holds it."""
    if isinstance(value, Named | Worker | Item | Quantity):
        return [f"{type(value).__name__} {name} {number}" for name, number in vars(value).items()]
    if isinstance(value, Meaning):
        return [text for part in vars(value).values() for text in numbers_in(part)]
    return [repr(value)]


def test_replaced_meanings_differ_in_one_slot_or_are_swapped() -> None:
    sampler = Sampler(random.Random(0))
    num_replaced = 0
    for _ in range(300):
        meaning = sampler.meaning()
        other = replaced(meaning, sampler)
        changed = [slot for slot, value in vars(meaning).items() if vars(other)[slot] != value]
        num_replaced += len(changed) == 1
        assert len(changed) == 1 or sorted(numbers_in(other)) == sorted(numbers_in(meaning))
    assert num_replaced > 290


def test_two_things_of_one_kind_are_swapped_where_no_other_kind_fits() -> None:
    sampler = Sampler(random.Random(3))
    meaning = Position(subject=Item(0, 0), other=Item(0, 1), verb=0, direction=0)
    results = {replaced(meaning, sampler) for _ in range(60)}
    assert meaning not in results
    assert meaning.exchanged() in results


def test_weakened_meanings_are_entailed() -> None:
    sampler = Sampler(random.Random(0))
    for _ in range(400):
        meaning = sampler.meaning()
        weaker, num_steps = weakened(meaning, sampler.rng)
        assert entails(meaning, weaker)
        assert (num_steps > 0) == (weaker != meaning)


def test_training_draws_no_held_words() -> None:
    sampler = Sampler(random.Random(0), train=True)
    held = {verb for verb in range(len(lexicon.ACTIONS)) if verb not in {sampler.action().verb for _ in range(2000)}}
    assert [lexicon.ACTIONS[verb].english[0].base for verb in sorted(held)] == ["interview", "warn", "hug"]


def test_frames_are_drawn_by_their_weights() -> None:
    sampler = Sampler(random.Random(0))
    drawn = [type(sampler.meaning()) for _ in range(4400)]
    assert drawn.count(Action) == pytest.approx(800, abs=100)
    assert drawn.count(Conjunction) == pytest.approx(1000, abs=100)
    assert drawn.count(Arrival) == pytest.approx(400, abs=80)


def test_relations_exchange_their_participants() -> None:
    meaning = Arrival(subject=Named(0), other=Named(1), place=0, leaving=False)
    assert isinstance(meaning, Relation)
    assert meaning.exchanged() == Arrival(subject=Named(1), other=Named(0), place=0, leaving=False)
