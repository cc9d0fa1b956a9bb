"""The family and script of each language, to ask whether languages close to English behave differently.

Families are the top level of Glottolog (Hammarstroem et al., glottolog.org; compared with the languoid table of 4.0).
Scripts are codes of ISO 15924, as used in FLORES-200 where it includes the language. Typological databases contain
more, but would be a dependency.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """A language: its top-level family and the ISO 15924 code of its script."""

    family: str
    script: str


_ENGLISH = Language("Indo-European", "Latn")
_TABLE = (
    ("Afro-Asiatic", "Arab", "ar arb"),
    ("Afro-Asiatic", "Hebr", "he heb"),
    ("Atlantic-Congo", "Latn", "sw swh yo yor"),
    ("Austroasiatic", "Latn", "vi vie"),
    ("Austronesian", "Latn", "id ind"),
    ("Dravidian", "Taml", "ta tam"),
    ("Indo-European", "Arab", "ur urd"),
    ("Indo-European", "Beng", "bn ben"),
    ("Indo-European", "Cyrl", "bg bul ru rus"),
    ("Indo-European", "Deva", "hi hin"),
    ("Indo-European", "Grek", "el ell"),
    ("Indo-European", "Latn", "de deu en eng es spa fr fra"),
    ("Japonic", "Jpan", "ja jpn"),
    ("Koreanic", "Hang", "ko kor"),
    ("Quechuan", "Latn", "qu quy"),
    ("Sino-Tibetan", "Hans", "zh zho"),
    ("Tai-Kadai", "Thai", "th tha"),
    ("Turkic", "Latn", "tr tur"),
    ("Uralic", "Latn", "fi fin"),
)
_KNOWN = {code: Language(family, script) for family, script, codes in _TABLE for code in codes.split()}


def known(code: str) -> Language | None:
    """The language of a code, in the script that the code names or else its usual one; None if it is not in the table.

    Args:
        code: ISO 639-1 or 639-3, with or without a script or region: ``de``, ``deu_Latn``.

    Example:
        >>> known("sw"), known("xx")
        (Language(family='Atlantic-Congo', script='Latn'), None)
    """
    parts = code.replace("_", "-").split("-")
    found = _KNOWN.get(parts[0])
    script = next((part for part in parts[1:] if len(part) == 4 and part.isalpha()), None)
    return found if found is None or script is None else Language(found.family, script)


def like_english(code: str, what: str) -> bool | None:
    """Whether a language shares its "family" or "script" with English; None if it is not in the table."""
    found = known(code)
    return None if found is None else bool(getattr(found, what) == getattr(_ENGLISH, what))
