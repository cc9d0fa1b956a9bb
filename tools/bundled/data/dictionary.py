"""Bilingual dictionaries of the bundled words, in MUSE's format, for code-switched views.

As in MUSE, each entry pairs one word with one word; dates and places of several words are left out, and so are
comparatives and function words. Nouns are listed in both numbers if the lexicon has both, adjectives in the form that
it has, and verbs in the past.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.bundled.data import lexicon
from tools.bundled.data.entries import Verb

TRANSLATED = ("de", "es", "zh")
WEEKDAYS_AND_MONTHS = range(19)
YESTERDAY = 19


def dictionary(language: str) -> list[tuple[str, str]]:
    """Distinct pairs of an English word, in lower case, and its translation, in lexicon order.

    ``language`` is ``de``, ``es`` or ``zh``.
    """
    column = TRANSLATED.index(language)
    pairs = ((english.lower(), translations[column]) for english, translations in _entries())
    return list(dict.fromkeys(pair for pair in pairs if not any(" " in word or not word for word in pair)))


def _entries() -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Each English word with its German, Spanish and Chinese translations."""
    for job in lexicon.JOBS:
        yield job.english, (job.german.singular, job.spanish.singular, job.chinese)
    for name in lexicon.NAMES:
        yield name.latin, (name.latin, name.latin, name.chinese)
    for phrase in (*lexicon.CITIES, *lexicon.NUMBERS[: lexicon.NUM_WRITTEN], lexicon.TIMES[YESTERDAY]):
        yield phrase.english, (phrase.german, phrase.spanish, phrase.chinese)
    for number in WEEKDAYS_AND_MONTHS:
        time = lexicon.TIMES[number]  # "on Monday", "am Montag", "el lunes": the last word is the name
        yield time.english.split()[-1], (time.german.split()[-1], time.spanish.split()[-1], time.chinese)
    for thing in lexicon.THINGS:
        singular, plural = thing.english
        yield singular, (thing.german.singular, thing.spanish.singular, thing.chinese)
        yield plural, (thing.german.plural, "", thing.chinese)
    for adjective in (*lexicon.THING_ADJECTIVES, *lexicon.PERSON_ADJECTIVES):
        for spanish in adjective.spanish:
            yield adjective.english, (adjective.german, spanish, adjective.chinese)
    for verb in (*lexicon.ACTIONS, *lexicon.DEEDS):
        yield from _verb(verb)
    for transfer in lexicon.TRANSFERS:
        yield transfer.english.past, (transfer.german.past, transfer.spanish.past, transfer.chinese)


def _verb(verb: Verb) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Each English synonym with the synonyms of the other languages."""
    for english in verb.english:
        for number in range(max(len(verb.german), len(verb.spanish), len(verb.chinese))):
            german, spanish = (forms[min(number, len(forms) - 1)].past for forms in (verb.german, verb.spanish))
            yield english.past, (german, spanish, verb.chinese[min(number, len(verb.chinese) - 1)])
