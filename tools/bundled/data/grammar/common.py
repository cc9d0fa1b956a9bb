"""What the grammars of several languages share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tools.bundled.data.meanings import Style

Form = TypeVar("Form")


def worded(alternatives: Sequence[Form], style: Style) -> Form:
    """The verb, or its synonym if the style asks for that and the language has one."""
    return alternatives[int(style.synonym) % len(alternatives)]


def words(*parts: str | None) -> str:
    """Join the parts that are not empty with spaces."""
    return " ".join(part for part in parts if part)


def finished(sentence: str) -> str:
    """Capitalise the first letter and add the full stop."""
    return sentence[0].upper() + sentence[1:] + "."


def with_adverbials(clause: str, place: str | None, time: str | None, style: Style) -> str:
    """The whole sentence, in English and Spanish order: ``clause [place] [time]``.

    A fronted style begins with the last adverbial that is given.

    >>> style = Style(passive=False, fronted=True, converse=False, synonym=False, perfect=False)
    >>> with_adverbials("the king praised the queen", "in Rome", "yesterday", style)
    'Yesterday the king praised the queen in Rome.'
    """
    adverbials = [adverbial for adverbial in (place, time) if adverbial]
    first = adverbials.pop() if style.fronted and adverbials else None
    return finished(words(first, clause, *adverbials))
