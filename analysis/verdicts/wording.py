"""What a verdict on a correlation says in plain English."""

from __future__ import annotations

from analysis.numbers import Number, listed
from analysis.verdicts.declared import HYPOTHESES, TOGETHER, control_name
from analysis.verdicts.margins import Word

FALLS = {  # in plain English, a correlation below 0, above 0, neither, undecided
    "H1": (
        "flatter models were more accurate in English",
        "flatter models were less accurate in English",
        "flatter models were neither more nor less accurate in English",
        "whether flatter models are more accurate in English stays open",
    ),
    "H2": (
        "a larger consistency weight gave flatter models",
        "a larger consistency weight gave sharper models",
        "a larger consistency weight gave neither flatter nor sharper models",
        "whether a larger consistency weight gives flatter models stays open",
    ),
    "H4": (
        "flatter models gained more from the second stage",
        "flatter models gained less from the second stage",
        "flatter models gained neither more nor less from the second stage",
        "whether flatter models gain more from the second stage stays open",
    ),
}


def plainly(key: str, word: Word) -> str:
    """What a verdict on a correlation, before any control is applied, says in plain English, without numbers.

    Example:
        >>> plainly("H1", "supported")
        'flatter models were more accurate in English'
    """
    below, above, neither, stays_open = FALLS[key]
    return {"supported": below, "contradicted": above, "no association": neither, "undecided": stays_open}[word]


def name_of(key: str, control: str) -> str:
    """The name of a control from its id, ``KEY.given.CONTROL``."""
    return control_name(key, control.removeprefix(f"{key}.given."))


def untested(key: str, control: str, number: Number) -> str:
    """Why a control could not be tested, in plain English."""
    if number.status == "missing":
        return f"the control {name_of(key, control)} was not measured in every fitted model"
    if control.startswith(f"{key}.given.{TOGETHER}"):
        return "all controls together leave too little to correlate"
    return f"the control {name_of(key, control)} leaves too little to correlate"


def also_at_equal(key: str, held: list[str]) -> str:
    """The controls that a headline survived, in plain English."""
    found = {name.removeprefix(f"{key}.given.").partition(".")[0] for name in held} - {TOGETHER}
    parts = []
    for control in HYPOTHESES[key].controls:
        if control.key in found:
            parts.append("training fit" if control.key in ("train_nll", "train_accuracy") else control.name)
    parts = list(dict.fromkeys(parts))
    if not parts:
        return ""
    return f", also at equal {listed(parts)}"


def capital(text: str) -> str:
    """A text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
