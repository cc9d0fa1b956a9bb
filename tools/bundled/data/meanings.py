"""What a sentence of the bundled data says, independently of language, and the style in which it is said.

A meaning is one of seven frames with its slots filled; it refers to the words of the lexicon by their numbers.
Sentences with equal meanings have the same truth conditions, whatever their styles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self, TypeVar


@dataclass(frozen=True)
class Named:
    """A person by name: an entry of NAMES."""

    index: int


@dataclass(frozen=True)
class Worker:
    """A person by job: an entry of JOBS, perhaps with one of PERSON_ADJECTIVES."""

    index: int
    adjective: int | None


@dataclass(frozen=True)
class Item:
    """A definite thing: an entry of THINGS with one of THING_ADJECTIVES."""

    index: int
    adjective: int


@dataclass(frozen=True)
class Quantity:
    """Things of one kind, an entry of THINGS: exactly or at least as many as an entry of NUMBERS says (None: some)."""

    number: int | None
    at_least: bool
    adjective: int | None
    index: int


Person = Named | Worker
Participant = Person | Item


def same_head(first: Participant, second: Participant) -> bool:
    """Whether both are the same person or kind of thing, adjectives apart."""
    return type(first) is type(second) and first.index == second.index


class Style(NamedTuple):
    """How a meaning is said; no part of it changes the truth conditions."""

    passive: bool
    fronted: bool
    """An adverbial comes first."""
    converse: bool
    """The opposite word with the roles exchanged (bigger, smaller; sold to, bought from), or parts in another order."""
    synonym: bool
    perfect: bool
    """German only: the Perfekt."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The slots that any frame may have: entries of TIMES, CITIES and MEANS, and negation."""

    time: int | None = None
    city: int | None = None
    means: int | None = None
    negated: bool = False


@dataclass(frozen=True, kw_only=True)
class Relation(Frame):
    """A frame about two participants whose roles can be exchanged."""

    subject: Participant
    other: Participant

    def exchanged(self) -> Self:
        """The same words with the two participants exchanged."""
        return replace(self, subject=self.other, other=self.subject)


@dataclass(frozen=True, kw_only=True)
class Action(Relation):
    """The subject did something to the other person: an entry of ACTIONS."""

    verb: int


@dataclass(frozen=True, kw_only=True)
class Transfer(Relation):
    """The subject gave, sold, lent, ... things to the other person: an entry of TRANSFERS."""

    verb: int
    quantity: Quantity


@dataclass(frozen=True, kw_only=True)
class Conjunction(Frame):
    """The subject did something to things, and a second person did it to others: an entry of DEEDS.

    Without ``second_subject`` only the first clause is said; ``second_quantity`` then has no effect on any sentence.
    """

    verb: int
    subject: Person
    quantity: Quantity
    second_subject: Person | None
    second_quantity: Quantity

    def clauses(self, style: Style) -> list[tuple[Person, Quantity]]:
        """Who and what for each clause that is said; a converse style reverses the clauses."""
        clauses = [(self.subject, self.quantity)]
        if self.second_subject is not None:
            clauses.append((self.second_subject, self.second_quantity))
        return clauses[::-1] if style.converse else clauses


@dataclass(frozen=True, kw_only=True)
class Journey(Frame):
    """The subject went from one entry of CITIES to another."""

    subject: Person
    origin: int
    destination: int


@dataclass(frozen=True, kw_only=True)
class Directed(Relation):
    """A relation that its converse can express too: bigger and smaller, above and below, before and after."""

    direction: int

    def seen(self, style: Style) -> tuple[Participant, Participant, int]:
        """The participant that is spoken of, the other, and the direction of the word, which a converse style turns."""
        if style.converse:
            return self.other, self.subject, 1 - self.direction
        return self.subject, self.other, self.direction


@dataclass(frozen=True, kw_only=True)
class Comparison(Directed):
    """The subject is more so than the other: the first or second word of an entry of COMPARATIVES."""

    verb: int


@dataclass(frozen=True, kw_only=True)
class Position(Directed):
    """The subject is somewhere relative to the other: the first or second word of an entry of POSITIONS."""

    verb: int


@dataclass(frozen=True, kw_only=True)
class Arrival(Relation):
    """The subject reached a city, or left it, before the other did."""

    place: int
    leaving: bool

    def seen(self, style: Style) -> tuple[Participant, Participant, bool]:
        """The participant that is spoken of, the other, and whether the first was later, as a converse style says."""
        if style.converse:
            return self.other, self.subject, True
        return self.subject, self.other, False


Meaning = Action | Transfer | Conjunction | Journey | Comparison | Position | Arrival
Negatable = Action | Journey | Comparison | Position
AnyMeaning = TypeVar("AnyMeaning", bound=Meaning)


def with_slots(meaning: AnyMeaning, values: Mapping[str, Any]) -> AnyMeaning:
    """Fill slots, given by name."""
    return replace(meaning, **values)
