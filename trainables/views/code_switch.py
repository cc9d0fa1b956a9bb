"""The view with words replaced by a translation from a bilingual dictionary (Zheng et al. 2021, after Qin et al. 2020).

A dictionary is a text file in MUSE's format: each line has a word and its translation, separated by a blank or a tab; a
word with several translations has several lines.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainables.data.contract import Rows
from trainables.data.tsv import read_fields
from trainables.errors import InputError

Dictionary = Mapping[str, Sequence[str]]
"""Lower-case word to its translations."""


def read_dictionary(path: Path) -> dict[str, list[str]]:
    """Read a bilingual dictionary: lower-case word to its distinct translations, in file order.

    Raises:
        InputError: The file cannot be read, or a line is not a word and a translation.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; view code_switch expects a bilingual dictionary there, 'word translation' a line, "
            "as MUSE publishes them"
        )
    dictionary: dict[str, list[str]] = {}
    for number, fields in enumerate(read_fields(path), start=1):
        parts = [field.strip() for field in fields] if len(fields) > 1 else fields[0].split()
        if len(parts) != 2 or not all(parts):
            got = repr(" ".join(fields)) if any(parts) else "a blank line"
            several = "; an entry of several words takes a tab" if len(fields) == 1 and len(parts) > 2 else ""
            raise InputError(
                f"{path}, line {number}: expected a word and its translation with a blank or a tab between them, "
                f"got {got}{several}"
            )
        translations = dictionary.setdefault(parts[0].lower(), [])
        if parts[1] not in translations:
            translations.append(parts[1])
    return dictionary


def dictionary_notes(dictionaries: Mapping[str, Dictionary]) -> list[str]:
    """A sentence for each language whose dictionary has entries that are never looked up."""
    several = {language: sum(len(word.split()) > 1 for word in found) for language, found in dictionaries.items()}
    return [
        f"dictionary {language}: {count:,} of {len(dictionaries[language]):,} entries have several words and stay "
        "unused: words are looked up one by one"
        for language, count in several.items()
        if count
    ]


def code_switch(rows: Rows, dictionaries: Sequence[Dictionary], strength: float, generator: random.Random) -> Rows:
    """Rows with words replaced; all other words, and the blanks between them, are kept.

    Words are separated by blanks, so "dog." is not "dog", as in xTune's code, whose rates are 0.3 for XNLI and 0.5 for
    PAWS-X. A word is looked up in the dictionary of a randomly drawn language and is kept if it is not there, so the
    share of replaced words is below ``strength``.

    Args:
        strength: Probability that a word is looked up.
    """

    def switch(text: str) -> str:
        parts = re.split(r"(\s+)", text)  # words at even places, the blanks between them at odd ones
        for place in range(0, len(parts), 2):
            if generator.random() < strength:
                translations = generator.choice(dictionaries).get(parts[place].lower())
                if translations:
                    parts[place] = generator.choice(translations)
        return "".join(parts)

    first = [switch(text) for text in rows.first]
    return Rows(first, None if rows.second is None else [switch(text) for text in rows.second], rows.labels)
