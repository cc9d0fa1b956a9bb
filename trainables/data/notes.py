"""What a researcher should know about the drawn rows: untranslated sentences, repeats, and rows that two sets share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from trainables.data.contract import Rows

UNTRANSLATED = "NS"
"""PAWS-X's placeholder for a sentence that was not translated; such rows have label 0 in every published file."""


@dataclass(frozen=True)
class Dropped:
    """Rows that were left out for one reason.

    Attributes:
        train: Dropped rows of the training file.
        validation: Dropped rows of the validation files: the same rows in every language, or the total over languages.
        validation_total: Rows of a validation file; None where they differ between languages.
        languages: Language to how many of its rows are themselves unusable for this reason.
        test: Dropped rows of the test files, likewise.
    """

    train: int
    validation: int
    validation_total: int | None
    languages: Mapping[str, int]
    test: int = 0


NOTHING = Dropped(0, 0, 0, {})


def untranslated(rows: Rows) -> list[int]:
    """Row numbers of the examples with an untranslated sentence, ascending."""
    return [i for i, example in enumerate(rows.examples()) if UNTRANSLATED in (text.strip() for text in example)]


def describe(
    name: str,
    train: Rows,
    stage2: Mapping[str, Rows],
    validation: Mapping[str, Rows],
    dropped: Dropped,
    unlabelled: Dropped = NOTHING,
    test: Mapping[str, Rows] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Plain sentences about the drawn rows; what does not occur is not mentioned.

    Args:
        validation: Language to validation rows, English first.
        dropped: What was left out before the draw because a sentence was not translated.
        unlabelled: What was left out because it has no label.
        test: Language to test rows, English first; may be empty.
    """
    english = next(iter(validation))
    parts = _parts(train, stage2, validation, test)
    kept = {part: len(untranslated(rows)) for part, rows in parts.items()}
    remedy = "; data.drop_untranslated=true drops them from every language"
    notes = [
        *_dropped(unlabelled, "there is no label"),
        *_dropped(dropped, f"a sentence was not translated ({UNTRANSLATED})"),
        *_counted(f"rows with a sentence that was not translated ({UNTRANSLATED}), kept", kept, remedy),
        *_repeats(train),
        *_odd_sentences(parts),
    ]
    among = f"{len(validation[english]):,} English validation examples"
    if count := _shared_examples(train, validation[english]):
        notes.append(f"{count:,} of the {among} are training examples too")
    if count := _shared_sentences(train, validation[english]):
        notes.append(f"{count:,} of the {among} share a sentence with a training example")
    notes += _shared("validation", validation, stage2, "second-stage examples", "a second-stage example")
    if test:  # a test score says nothing new about examples seen before
        others = {"a training": {english: train}, "a second-stage": stage2, "a validation": validation}
        for seen, rows in others.items():
            notes += _shared("test", test, rows, f"{seen} example", f"{seen} example")
    return tuple(f"data {name}: {note}" for note in notes)


def _shared(split: str, rows: Mapping[str, Rows], others: Mapping[str, Rows], are: str, share_with: str) -> list[str]:
    """Notes on examples of a split that recur among other rows of their language, and on those with such a sentence."""
    sizes = sorted(map(len, rows.values()))
    among = f"(of {' to '.join(f'{size:,}' for size in dict.fromkeys((sizes[0], sizes[-1])))} a language)"
    examples = {language: _shared_examples(found, rows[language]) for language, found in others.items()}
    sentences = {language: _shared_sentences(found, rows[language]) for language, found in others.items()}
    return [
        *_counted(f"{split} examples that are {are} too", examples, f" {among}"),
        *_counted(f"{split} examples that share a sentence with {share_with}", sentences, f" {among}"),
    ]


def _counted(what: str, counts: Mapping[str, int], more: str = "") -> list[str]:
    """A note with the counts above 0, if there are any."""
    said = _listed(counts)
    return [f"{what}: {said}{more}"] if said else []


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def _dropped(dropped: Dropped, reason: str) -> list[str]:
    notes = []
    of = f" of {dropped.validation_total:,}" if dropped.validation_total is not None else ""
    where = " from every language" if of else ""
    if dropped.validation:
        notes.append(
            f"{dropped.validation:,}{of} validation rows were dropped{where}, since {reason}: "
            f"{_listed(dropped.languages)}"
        )
    if dropped.test:
        notes.append(f"test rows dropped{where}, since {reason}: {dropped.test:,}")
    if dropped.train:
        notes.append(f"training rows dropped, since {reason}: {dropped.train:,}")
    return notes


def _parts(
    train: Rows, stage2: Mapping[str, Rows], validation: Mapping[str, Rows], test: Mapping[str, Rows]
) -> dict[str, Rows]:
    """All rows by their purpose."""
    parts = {}
    for language, rows in validation.items():
        parts[f"validation {language}"] = rows
        if language in stage2:
            parts[f"second stage {language}"] = stage2[language]
    return parts | {f"test {language}": rows for language, rows in test.items()} | {"training": train}


def _odd_sentences(parts: Mapping[str, Rows]) -> list[str]:
    """Notes on rows that say little: an empty sentence, or the same sentence twice."""
    empty = {part: sum(not all(s.strip() for s in e) for e in rows.examples()) for part, rows in parts.items()}
    same = {
        part: sum(len(e) == 2 and e[0].strip() == e[1].strip() for e in rows.examples()) for part, rows in parts.items()
    }
    return [
        *_counted("rows with an empty sentence", empty),
        *_counted("rows whose two sentences are identical", same),
    ]


def _repeats(train: Rows) -> list[str]:
    labels: dict[tuple[str, ...], set[int]] = {}
    for example, label in zip(train.examples(), train.labels, strict=True):
        labels.setdefault(example, set()).add(label)
    notes = []
    if repeats := len(train) - len(labels):
        notes.append(f"{repeats:,} of the {len(train):,} training examples repeat an earlier one")
    if conflicts := sum(len(found) > 1 for found in labels.values()):
        notes.append(f"training examples that occur with more than one label: {conflicts:,}")
    return notes


def _translated(rows: Rows) -> Sequence[tuple[str, ...]]:
    """The examples without those that contain the placeholder, which are equal without meaning the same."""
    left_out = set(untranslated(rows))
    return [example for i, example in enumerate(rows.examples()) if i not in left_out]


def _shared_examples(rows: Rows, validation: Rows) -> int:
    """Number of validation examples that occur among some rows, word for word."""
    known = set(_translated(rows))
    return sum(example in known for example in _translated(validation))


def _shared_sentences(rows: Rows, validation: Rows) -> int:
    """Number of validation pairs with a sentence that occurs among some rows, in either place; 0 without pairs."""
    if validation.second is None:
        return 0
    known = {text for example in _translated(rows) for text in example}
    return sum(any(text in known for text in example) for example in _translated(validation))
