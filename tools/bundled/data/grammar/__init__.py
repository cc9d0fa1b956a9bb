"""From a meaning to a sentence. There is one module per language, so that a speaker can check a single file."""

from __future__ import annotations

from collections.abc import Callable

from tools.bundled.data.grammar import chinese, english, german, spanish
from tools.bundled.data.meanings import Meaning, Style

SENTENCES: dict[str, Callable[[Meaning, Style], str]] = {
    "en": english.sentence,
    "de": german.sentence,
    "es": spanish.sentence,
    "zh": chinese.sentence,
}
LANGUAGES = tuple(SENTENCES)


def in_all_languages(meaning: Meaning, style: Style) -> dict[str, str]:
    """Say a meaning in each language, in the same style."""
    return {language: sentence(meaning, style) for language, sentence in SENTENCES.items()}
