"""One row of a task: two meanings, said in all four languages, and a label."""

from __future__ import annotations

from typing import NamedTuple

from tools.bundled.data.grammar import in_all_languages
from tools.bundled.data.meanings import Meaning, Style


class Row(NamedTuple):
    """A pair of sentences in each language, their meanings, and the number of the label."""

    label: int
    meanings: tuple[Meaning, Meaning]
    first: dict[str, str]
    second: dict[str, str]

    @classmethod
    def say(cls, label: int, first: tuple[Meaning, Style], second: tuple[Meaning, Style]) -> Row:
        """Say two meanings, each in its style."""
        return cls(label, (first[0], second[0]), in_all_languages(*first), in_all_languages(*second))

    def differs_everywhere(self) -> bool:
        """Whether the two sentences differ in every language."""
        return all(sentence != self.second[language] for language, sentence in self.first.items())
