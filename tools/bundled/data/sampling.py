"""Random meanings and styles, and the words that English training meanings leave out.

The order and the number of the draws are part of the data set: the committed files, and the mini model's pretraining
text, are reproduced byte for byte only while both stay the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

from tools.bundled.data import lexicon
from tools.bundled.data.meanings import (
    Action,
    Arrival,
    Comparison,
    Conjunction,
    Item,
    Journey,
    Meaning,
    Named,
    Participant,
    Person,
    Position,
    Quantity,
    Style,
    Transfer,
    Worker,
    same_head,
)

WordKind = Literal["job", "city", "thing", "time", "action"]
SIZES: dict[WordKind, int] = {
    "job": len(lexicon.JOBS),
    "city": len(lexicon.CITIES),
    "thing": lexicon.NUM_KINDS,
    "time": len(lexicon.TIMES),
    "action": len(lexicon.ACTIONS),
}
HELD_SHARE = 0.15


def held_words() -> dict[WordKind, frozenset[int]]:
    """The words that are not drawn for English training; a property of the data set, independent of its seed."""
    rng = random.Random(99)
    return {kind: frozenset(rng.sample(range(size), int(HELD_SHARE * size))) for kind, size in SIZES.items()}


def pair_is_held(adjective: int, noun: int) -> bool:
    """Whether this pair of an adjective and a noun is not drawn for English training; about one in four is not."""
    return (adjective * 31 + noun * 17) % 4 == 0


class Sampler:
    """Draws meanings and styles; with ``train``, it draws no held words or pairs."""

    def __init__(self, rng: random.Random, *, train: bool = False) -> None:
        self.rng = rng
        self._held: dict[WordKind, frozenset[int]] = held_words() if train else dict.fromkeys(SIZES, frozenset())
        self._train = train

    def word(self, kind: WordKind) -> int:
        """Draw a word of a kind that has held words."""
        while True:
            index = self.rng.randrange(SIZES[kind])
            if index not in self._held[kind]:
                return index

    def perhaps(self, kind: WordKind, share: float) -> int | None:
        """Draw a word in this share of the meanings."""
        return self.word(kind) if self.rng.random() < share else None

    def always(self, kind: WordKind) -> int:
        """Draw a word as ``perhaps`` does for a share of 1, with the same number of random draws."""
        self.rng.random()
        return self.word(kind)

    def thing_adjective(self, thing: int, *, colour: bool = False) -> int:
        """Draw an adjective that may be used with this thing."""
        while True:
            adjective = (
                self.rng.choice(lexicon.COLOURS) if colour else self.rng.randrange(len(lexicon.THING_ADJECTIVES))
            )
            if not (self._train and pair_is_held(adjective, thing)):
                return adjective

    def person(self, *, name_share: float = 0.25, adjective_share: float = 0.35) -> Person:
        """Draw a person by name, or by job and perhaps with an adjective."""
        if self.rng.random() < name_share:
            return Named(self.rng.randrange(len(lexicon.NAMES)))
        while True:
            job = self.word("job")
            if self.rng.random() >= adjective_share:
                return Worker(job, None)
            adjective = self.rng.randrange(len(lexicon.PERSON_ADJECTIVES))
            if not (self._train and pair_is_held(adjective, job)):
                return Worker(job, adjective)

    def two_persons(self, *, name_share: float = 0.25, adjective_share: float = 0.35) -> tuple[Person, Person]:
        """Draw two persons with different names or jobs."""
        while True:
            first = self.person(name_share=name_share, adjective_share=adjective_share)
            second = self.person(name_share=name_share, adjective_share=adjective_share)
            if not same_head(first, second):
                return first, second

    def two_items(self) -> tuple[Item, Item]:
        """Draw two things of different colours, perhaps of the same kind."""
        first, second = self.word("thing"), self.word("thing")
        first_colour = self.thing_adjective(first, colour=True)
        while True:
            second_colour = self.thing_adjective(second, colour=True)
            if second_colour != first_colour:
                return Item(first, first_colour), Item(second, second_colour)

    def quantity(self, *, adjective_share: float = 0.7) -> Quantity:
        """Draw an exact number of things, perhaps with an adjective."""
        thing = self.word("thing")
        number = self.rng.randrange(len(lexicon.NUMBERS))
        adjective = self.thing_adjective(thing) if self.rng.random() < adjective_share else None
        return Quantity(number, at_least=False, adjective=adjective, index=thing)

    def style(self) -> Style:
        """Draw a style."""
        return Style(*(self.rng.random() < share for share in (0.4, 0.5, 0.5, 0.5, 0.4)))

    def meaning(self) -> Meaning:
        """Draw a meaning of any frame, not negated, with all of its obligatory slots."""
        weights: dict[Callable[[], Meaning], int] = {
            self.action: 4,
            self.transfer: 4,
            self.conjunction: 5,
            self.journey: 3,
            self.comparison: 2,
            self.position: 2,
            self.arrival: 2,
        }
        draw = self.rng.choices(list(weights), list(weights.values()))[0]
        return draw()

    def action(self) -> Action:
        """Draw who did what to whom."""
        subject, other = self.two_persons(adjective_share=0.5)
        verb, city, time = self.word("action"), self.perhaps("city", 0.6), self.perhaps("time", 0.7)
        return Action(subject=subject, other=other, verb=verb, city=city, time=time)

    def transfer(self) -> Transfer:
        """Draw who gave what to whom."""
        subject, other = self.two_persons()
        verb, quantity, time = self.rng.randrange(len(lexicon.TRANSFERS)), self.quantity(), self.perhaps("time", 0.6)
        return Transfer(subject=subject, other=other, verb=verb, quantity=quantity, time=time)

    def conjunction(self) -> Conjunction:
        """Draw who bought what and who bought what else."""
        first, second = self.two_persons(adjective_share=0.2)
        return Conjunction(
            subject=first,
            second_subject=second,
            verb=self.rng.randrange(len(lexicon.DEEDS)),
            quantity=self.quantity(adjective_share=0.8),
            second_quantity=self.quantity(adjective_share=0.8),
            time=self.perhaps("time", 0.3),
        )

    def journey(self) -> Journey:
        """Draw who went from where to where."""
        traveller, origin, destination = self.person(adjective_share=0.5), self.always("city"), self.always("city")
        while destination == origin:
            destination = self.always("city")
        means = self.rng.randrange(len(lexicon.MEANS)) if self.rng.random() < 0.7 else None
        time = self.perhaps("time", 0.7)
        return Journey(subject=traveller, origin=origin, destination=destination, means=means, time=time)

    def comparison(self) -> Comparison:
        """Draw who or what exceeds whom or what in some respect."""
        verb = self.rng.randrange(len(lexicon.COMPARATIVES))
        compares_things = verb < len(lexicon.THING_COMPARATIVES)
        participants: tuple[Participant, Participant] = (
            self.two_items() if compares_things else self.two_persons(name_share=0.2, adjective_share=0.5)
        )
        subject, other = participants
        direction, time = self.rng.randrange(2), self.perhaps("time", 0.6)
        return Comparison(subject=subject, other=other, verb=verb, direction=direction, time=time)

    def position(self) -> Position:
        """Draw what is where relative to what."""
        verb = self.rng.randrange(len(lexicon.POSITIONS))
        subject, other = self.two_items()
        direction, time = self.rng.randrange(2), self.perhaps("time", 0.6)
        return Position(subject=subject, other=other, verb=verb, direction=direction, time=time)

    def arrival(self) -> Arrival:
        """Draw who reached or left a city before whom."""
        subject, other = self.two_persons(adjective_share=0.5)
        place, leaving, time = self.always("city"), bool(self.rng.randrange(2)), self.perhaps("time", 0.7)
        return Arrival(subject=subject, other=other, place=place, leaving=leaving, time=time)
