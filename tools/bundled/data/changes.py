"""From one meaning to another: the same words in other roles, one slot replaced, or less information."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from tools.bundled.data import lexicon
from tools.bundled.data.meanings import (
    Action,
    Arrival,
    Comparison,
    Conjunction,
    Item,
    Journey,
    Meaning,
    Position,
    Quantity,
    Transfer,
    Worker,
    same_head,
    with_slots,
)
from tools.bundled.data.sampling import Sampler

REPLACEABLE = (
    "quantity",
    "second_quantity",
    "city",
    "place",
    "origin",
    "destination",
    "means",
    "time",
    "subject",
    "other",
    "verb",
)
VERBS: dict[type[Meaning], int] = {
    Action: len(lexicon.ACTIONS),
    Transfer: len(lexicon.TRANSFERS),
    Conjunction: len(lexicon.DEEDS),
    Comparison: len(lexicon.COMPARATIVES),
    Position: len(lexicon.POSITIONS),
}


def swapped(meaning: Meaning, rng: random.Random) -> Meaning:
    """Give the words of a meaning other roles, as the negatives of PAWS do."""
    return rng.choice(list(_swaps(meaning)))


def _swaps(meaning: Meaning) -> Iterator[Meaning]:
    if isinstance(meaning, Journey):
        yield replace(meaning, origin=meaning.destination, destination=meaning.origin)
    elif isinstance(meaning, Conjunction):
        yield from _conjunction_swaps(meaning)
    else:
        yield from [meaning.exchanged()] * 2
        if not isinstance(meaning, Transfer):
            yield from _adjective_swaps(meaning)


def _adjective_swaps(meaning: Action | Comparison | Position | Arrival) -> Iterator[Meaning]:
    match meaning.subject, meaning.other:
        case Worker(first, int(ours)), Worker(second, int(theirs)) if ours != theirs:
            yield from [replace(meaning, subject=Worker(first, theirs), other=Worker(second, ours))] * 2
        case Item(first, ours), Item(second, theirs) if ours != theirs:
            yield from [replace(meaning, subject=Item(first, theirs), other=Item(second, ours))] * 2


def _conjunction_swaps(meaning: Conjunction) -> Iterator[Meaning]:
    first, second = meaning.quantity, meaning.second_quantity
    assert meaning.second_subject is not None, "one clause has no roles to exchange"
    yield replace(meaning, subject=meaning.second_subject, second_subject=meaning.subject)

    def exchanged(slot: str) -> Conjunction:
        ours, theirs = getattr(first, slot), getattr(second, slot)
        return replace(
            meaning, quantity=replace(first, **{slot: theirs}), second_quantity=replace(second, **{slot: ours})
        )

    if first.number != second.number:
        yield exchanged("number")
    if first.adjective != second.adjective and None not in (first.adjective, second.adjective):
        yield exchanged("adjective")
    if first.index != second.index:
        yield exchanged("index")


def replaced(meaning: Meaning, sampler: Sampler) -> Meaning:
    """Put another value into one slot, so that a word differs.

    If no other value fits, as with two things of one kind, the roles are swapped instead.
    """
    slot = sampler.rng.choice([name for name in REPLACEABLE if getattr(meaning, name, None) is not None])
    for _ in range(50):
        changed = with_slots(meaning, {slot: _other_value(meaning, slot, sampler)})
        if changed != meaning and _parts_differ(changed):
            return changed
    return swapped(meaning, sampler.rng)


def _other_value(meaning: Meaning, slot: str, sampler: Sampler) -> object:
    value = getattr(meaning, slot)
    match slot:
        case "quantity" | "second_quantity":
            return _other_quantity(value, sampler)
        case "city" | "place" | "origin" | "destination":
            return sampler.always("city")
        case "time":
            return sampler.always("time")
        case "means":
            return sampler.rng.randrange(len(lexicon.MEANS))
        case "verb":
            verb = sampler.rng.randrange(VERBS[type(meaning)])
            fits = not isinstance(meaning, Comparison) or _compares_things(verb) == _compares_things(value)
            return verb if fits else value
        case _:
            if isinstance(value, Item):
                return Item(value.index, sampler.rng.choice(lexicon.COLOURS))
            return sampler.person()


def _other_quantity(quantity: Quantity, sampler: Sampler) -> Quantity:
    slots = ["number", "index"] if quantity.adjective is None else ["number", "adjective", "index"]
    match sampler.rng.choice(slots):
        case "number":
            return replace(quantity, number=sampler.rng.randrange(len(lexicon.NUMBERS)))
        case "adjective":
            return replace(quantity, adjective=sampler.thing_adjective(quantity.index))
        case _:
            return replace(quantity, index=sampler.word("thing"))


def _compares_things(comparative: int) -> bool:
    return comparative < len(lexicon.THING_COMPARATIVES)


def _parts_differ(meaning: Meaning) -> bool:
    match meaning:
        case Journey():
            return meaning.origin != meaning.destination
        case Conjunction():
            return True
        case _:
            return not same_head(meaning.subject, meaning.other)


def weakened(meaning: Meaning, rng: random.Random) -> tuple[Meaning, int]:
    """Leave out or blur parts of a freshly drawn meaning: not negated, all numbers exact.

    Returns:
        A meaning that the given one entails, and the number of steps taken.
    """
    gone: dict[str, object] = {}
    for slot in ("time", "city", "means"):
        if getattr(meaning, slot) is not None and rng.random() < 0.5:
            gone[slot] = None
    if not isinstance(meaning, Comparison | Position):
        for slot in ("subject", "second_subject", "other"):
            person = getattr(meaning, slot, None)
            if isinstance(person, Worker) and person.adjective is not None and rng.random() < 0.4:
                gone[slot] = Worker(person.index, None)
    num_steps = len(gone)
    meaning = with_slots(meaning, gone)
    if isinstance(meaning, Conjunction) and rng.random() < 0.6:
        meaning = _one_clause(meaning, first=rng.random() < 0.5)
        num_steps += 1
    for slot in _quantities_said(meaning):
        quantity = getattr(meaning, slot)
        blurred = _blurred(quantity, rng)
        num_steps += blurred != quantity
        meaning = with_slots(meaning, {slot: blurred})
    return meaning, num_steps


def _one_clause(meaning: Conjunction, *, first: bool) -> Conjunction:
    if first:
        return replace(meaning, second_subject=None)
    assert meaning.second_subject is not None, "there is one clause only"
    return replace(meaning, subject=meaning.second_subject, quantity=meaning.second_quantity, second_subject=None)


def _quantities_said(meaning: Meaning) -> tuple[str, ...]:
    match meaning:
        case Transfer() | Conjunction(second_subject=None):
            return ("quantity",)
        case Conjunction():
            return ("quantity", "second_quantity")
        case _:
            return ()


def _blurred(quantity: Quantity, rng: random.Random) -> Quantity:
    """Take at most one step: use the hypernym, drop the adjective, say "at least" a smaller number, or say "some"."""
    draw = rng.random()
    number = quantity.number
    if draw < 0.3 and quantity.index in lexicon.HYPERNYMS:
        return replace(quantity, index=lexicon.HYPERNYMS[quantity.index])
    if draw < 0.5 and quantity.adjective is not None:
        return replace(quantity, adjective=None)
    if draw < 0.7 and number is not None and 0 < number < lexicon.NUM_WRITTEN:
        return replace(quantity, number=rng.randrange(number), at_least=True)
    if draw < 0.85:
        return replace(quantity, number=None)
    return quantity
