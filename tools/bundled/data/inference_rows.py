"""Rows of the inference task, after XNLI: does the first sentence entail the second, contradict it, or neither?

Negation occurs with every label, so that by itself it says little about the label.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from tools.bundled.data import lexicon
from tools.bundled.data.changes import weakened
from tools.bundled.data.meanings import (
    Action,
    Arrival,
    Comparison,
    Conjunction,
    Journey,
    Meaning,
    Negatable,
    Position,
    Quantity,
    Style,
    Transfer,
    with_slots,
)
from tools.bundled.data.rows import Row
from tools.bundled.data.sampling import Sampler

LABELS = ("entailment", "neutral", "contradiction")
CHANGEABLE = ("time", "city", "origin", "destination", "means")
Pair = tuple[Meaning, Meaning]


def draw(label: int, sampler: Sampler) -> Row:
    """Draw a premise and a hypothesis with the relation of the label; the two sentences differ in every language."""
    if LABELS[label] == "neutral" and sampler.rng.random() < 0.2:
        return _row_of_another_relation(label, sampler)
    pairs = {"entailment": _entailed, "neutral": _neutral, "contradiction": _contradicting}[LABELS[label]]
    while True:
        meaning = sampler.meaning()
        negates = isinstance(meaning, Negatable) and sampler.rng.random() < 0.35
        pair = pairs(meaning, negates, sampler.rng)
        if pair is not None:
            first_style, second_style = _styles(sampler)
            row = Row.say(label, (pair[0], first_style), (pair[1], second_style))
            if row.differs_everywhere():
                return row


def _styles(sampler: Sampler) -> tuple[Style, Style]:
    first, second = sampler.style(), sampler.style()
    return (first, first) if sampler.rng.random() < 0.35 else (first, second)


def _entailed(meaning: Meaning, negates: bool, rng: random.Random) -> Pair | None:
    if not negates:
        # One row in five only says the same in another style.
        hypothesis, num_steps = weakened(meaning, rng) if rng.random() < 0.8 else (meaning, 1)
        return (meaning, hypothesis) if num_steps else None
    if isinstance(meaning, Comparison | Position):
        # Bigger than B entails: B is not bigger.
        return meaning, replace(weakened(meaning.exchanged(), rng)[0], negated=True)
    # What denies the weaker statement denies the stronger one.
    premise, num_steps = weakened(meaning, rng)
    return (replace(premise, negated=True), replace(meaning, negated=True)) if num_steps else None


def _neutral(meaning: Meaning, negates: bool, rng: random.Random) -> Pair | None:
    weaker, num_steps = weakened(meaning, rng)
    if num_steps == 0:
        return None
    if negates and isinstance(meaning, Action | Journey):
        # What denies the stronger statement leaves the weaker one open.
        return replace(meaning, negated=True), replace(weaker, negated=rng.random() < 0.5)
    # The hypothesis adds what the premise leaves open.
    negates = isinstance(meaning, Negatable) and rng.random() < 0.15
    hypothesis = replace(meaning, negated=True) if negates else meaning
    # A comparison or a position can leave out only its date, a poor test: _row_of_another_relation draws theirs.
    return None if isinstance(meaning, Comparison | Position) else (weaker, hypothesis)


def _contradicting(meaning: Meaning, negates: bool, rng: random.Random) -> Pair | None:
    rng.random()  # not used, but the committed files were made with this draw
    if negates:
        if isinstance(meaning, Comparison | Position) and rng.random() < 0.5:
            return meaning, weakened(meaning.exchanged(), rng)[0]
        denies_premise = rng.random() >= 0.5
        weaker = weakened(meaning, rng)[0]
        denial = replace(weaker, negated=True)
        return (denial, meaning) if denies_premise else (meaning, denial)
    if isinstance(meaning, Comparison | Position | Arrival):
        return meaning, weakened(meaning.exchanged(), rng)[0]
    return _with_one_slot_changed(meaning, rng)


def _with_one_slot_changed(meaning: Action | Transfer | Conjunction | Journey, rng: random.Random) -> Pair | None:
    """Change a date, place, number or colour, then perhaps say less elsewhere."""
    slots = [slot for slot in CHANGEABLE if getattr(meaning, slot, None) is not None]
    if isinstance(meaning, Transfer | Conjunction):
        slots += ["number", "colour"]
    if not slots:
        return None
    slot = rng.choice(slots)
    if slot in ("number", "colour"):
        assert isinstance(meaning, Transfer | Conjunction)
        quantity = _contradicting_quantity(meaning.quantity, slot, rng)
        if quantity is None:
            return None
        hypothesis: Meaning = replace(meaning, quantity=quantity)
    else:
        hypothesis = with_slots(meaning, {slot: rng.choice(_contradicting_words(meaning, slot))})
    for optional in ("time", "city", "means"):
        if optional != slot and getattr(hypothesis, optional) is not None and rng.random() < 0.4:
            hypothesis = with_slots(hypothesis, {optional: None})
    if isinstance(hypothesis, Conjunction) and rng.random() < 0.6:
        hypothesis = replace(hypothesis, second_subject=None)
    return meaning, hypothesis


def _contradicting_quantity(quantity: Quantity, slot: str, rng: random.Random) -> Quantity | None:
    if slot == "number":
        others = [number for number in range(len(lexicon.NUMBERS)) if number != quantity.number]
        return replace(quantity, number=rng.choice(others))
    if quantity.adjective not in lexicon.COLOURS:
        return None
    return replace(quantity, adjective=rng.choice([c for c in lexicon.COLOURS if c != quantity.adjective]))


def _contradicting_words(meaning: Meaning, slot: str) -> list[int]:
    value = getattr(meaning, slot)
    match slot:
        case "time":
            # A weekday contradicts another weekday, a month another month: Monday and March may both be true.
            group = next(group for group in lexicon.TIME_GROUPS if value in group)
            return [time for time in group if time != value]
        case "means":
            return [means for means in range(len(lexicon.MEANS)) if means != value]
        case _:
            named = {getattr(meaning, name, None) for name in ("origin", "destination")} | {value}
            return [city for city in range(len(lexicon.CITIES)) if city not in named]


def _row_of_another_relation(label: int, sampler: Sampler) -> Row:
    """Draw a neutral row: another scale, or another spatial relation, for the same two things or persons."""
    rng = sampler.rng
    draws: list[Callable[[], Comparison | Position]] = [sampler.comparison, sampler.position]
    while True:
        premise = rng.choice(draws)()
        verb = rng.choice(_other_relations(premise))
        hypothesis = replace(premise, verb=verb, direction=rng.randrange(2))
        if rng.random() < 0.5:
            hypothesis = replace(hypothesis, time=None)
        if rng.random() < 0.35:
            hypothesis = replace(hypothesis, negated=True)
        row = Row.say(label, (premise, sampler.style()), (hypothesis, sampler.style()))
        if row.differs_everywhere():
            return row


def _other_relations(meaning: Comparison | Position) -> list[int]:
    if isinstance(meaning, Position):
        relations = range(len(lexicon.POSITIONS))
    elif meaning.verb < len(lexicon.THING_COMPARATIVES):
        relations = range(len(lexicon.THING_COMPARATIVES))
    else:
        relations = range(len(lexicon.THING_COMPARATIVES), len(lexicon.COMPARATIVES))
    return [relation for relation in relations if relation != meaning.verb]
