"""The forms that a lexicon entry has in each language, and how an entry is read from a line of its table.

A line has the columns en | de | es | zh; within a column, spaces separate the forms of a word, commas the words of a
pair, and semicolons synonyms.
"""

from __future__ import annotations

from typing import NamedTuple

Pair = tuple[str, str]


def rows(table: str) -> list[list[str]]:
    """The columns of each line of a table."""
    return [line.split("|") for line in table.strip().splitlines()]


def _pair(text: str) -> Pair:
    first, second = text.split(",")
    return first, second


class Phrase(NamedTuple):
    """Fixed words: a city, a date, a means of transport, a number."""

    english: str
    german: str
    spanish: str
    chinese: str


class GermanNoun(NamedTuple):
    """A German noun; ``oblique`` differs from ``singular`` only in weak nouns (der Student, den Studenten)."""

    gender: str
    singular: str
    plural: str
    oblique: str


class SpanishNoun(NamedTuple):
    """A Spanish noun; its plural is formed by rule."""

    gender: str
    singular: str


class Job(NamedTuple):
    """A person by occupation, always in the singular."""

    english: str
    german: GermanNoun
    spanish: SpanishNoun
    chinese: str

    @classmethod
    def read(cls, english: str, german: str, spanish: str, chinese: str) -> Job:
        """Read ``en | de gender singular [oblique] | es gender singular | zh``."""
        gender, singular, *oblique = german.split()
        noun = GermanNoun(gender, singular, "", oblique[0] if oblique else singular)
        return cls(english, noun, SpanishNoun(*spanish.split()), chinese)


class Name(NamedTuple):
    """A person by first name, spelt alike in the three alphabetic languages."""

    latin: str
    gender: str
    chinese: str


class Thing(NamedTuple):
    """Something that can be counted; ``category`` names its hypernym, or is "-" if it has none."""

    category: str
    english: Pair
    german: GermanNoun
    spanish: SpanishNoun
    measure: str
    chinese: str

    @classmethod
    def read(cls, category: str, english: str, german: str, spanish: str, chinese: str) -> Thing:
        """Read ``category | en singular,plural | de gender singular plural | es gender singular | zh measure noun``."""
        gender, singular, plural = german.split()
        measure, noun = chinese.split()
        german_noun = GermanNoun(gender, singular, plural, oblique=singular)
        return cls(category, _pair(english), german_noun, SpanishNoun(*spanish.split()), measure, noun)


class Adjective(NamedTuple):
    """An adjective: in German its stem, in Spanish masculine and feminine singular."""

    english: str
    german: str
    spanish: Pair
    chinese: str

    @classmethod
    def read(cls, english: str, german: str, spanish: str, chinese: str) -> Adjective:
        """Read ``en | de stem | es masculine[,feminine] | zh``; a feminine that is not given has -a for -o."""
        if "," in spanish:
            return cls(english, german, _pair(spanish), chinese)
        feminine = spanish[:-1] + "a" if spanish.endswith("o") else spanish
        return cls(english, german, (spanish, feminine), chinese)


class EnglishVerb(NamedTuple):
    """Forms of an English verb."""

    base: str
    past: str
    participle: str


class PastVerb(NamedTuple):
    """Simple past and participle of a German or Spanish verb (a Spanish participle without its gender ending)."""

    past: str
    participle: str


class Verb(NamedTuple):
    """A transitive verb; each language has one wording or two synonyms."""

    english: tuple[EnglishVerb, ...]
    german: tuple[PastVerb, ...]
    spanish: tuple[PastVerb, ...]
    chinese: tuple[str, ...]

    @classmethod
    def read(cls, english: str, german: str, spanish: str, chinese: str) -> Verb:
        """Read ``en base past participle | de past participle | es past participle-stem | zh``, each with synonyms."""
        return cls(
            tuple(EnglishVerb(*forms.split()) for forms in english.split(";")),
            tuple(PastVerb(*forms.split()) for forms in german.split(";")),
            tuple(PastVerb(*forms.split()) for forms in spanish.split(";")),
            tuple(chinese.split(";")),
        )


class Converse(NamedTuple):
    """A transfer told from the receiver's side: sold to, bought from."""

    english_past: str
    german: PastVerb
    spanish_past: str
    spanish_preposition: str
    chinese: str


class TransferVerb(NamedTuple):
    """A verb of transfer, with its converse where all four languages have one."""

    english: EnglishVerb
    german: PastVerb
    spanish: PastVerb
    chinese: str
    converse: Converse | None

    @classmethod
    def read(cls, english: str, german: str, spanish: str, chinese: str, *converse: str) -> TransferVerb:
        """Read a verb without synonyms and, if given, ``en past | de past participle | es past preposition | zh``."""
        forms = EnglishVerb(*english.split()), PastVerb(*german.split()), PastVerb(*spanish.split()), chinese
        if not converse:
            return cls(*forms, converse=None)
        english_past, german_forms, spanish_forms, chinese_verb = converse
        spanish_past, preposition = spanish_forms.split()
        told_back = Converse(english_past, PastVerb(*german_forms.split()), spanish_past, preposition, chinese_verb)
        return cls(*forms, converse=told_back)


class Opposites(NamedTuple):
    """Two comparatives, or two positions, each the converse of the other."""

    english: Pair
    german: Pair
    spanish: Pair
    chinese: Pair

    @classmethod
    def read(cls, english: str, german: str, spanish: str, chinese: str) -> Opposites:
        """Read a pair in each language."""
        return cls(_pair(english), _pair(german), _pair(spanish), _pair(chinese))
