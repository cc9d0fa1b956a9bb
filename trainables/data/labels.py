"""Class numbers of labels as a file writes them: by the classifier's names, or by number where names do not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trainables.data.contract import listed
from trainables.data.sets.xnli import TASK as XNLI
from trainables.errors import InputError

NAMES, NUMBERS = "names", "numbers"
_DEFAULT = re.compile(r"LABEL_\d+$")  # what transformers calls a class without a name


@dataclass(frozen=True)
class ClassNames:
    """The classes of a classifier, and how a file may write them.

    A file is read in one way throughout: every label is a name, or every label is a class number. Names match in any
    case unless two differ by case alone, and also in the other spelling of published files.
    """

    names: Mapping[str, int]
    classes: int

    @cached_property
    def _folded(self) -> dict[str, int | None]:
        """Case-folded names to class numbers; None where a name then means two classes."""
        folded: dict[str, int | None] = {}
        for name, number in self.names.items():
            key = name.strip().casefold()
            folded[key] = number if folded.get(key, number) == number else None
        for spelling, name in XNLI.aliases.items():
            if name in folded:
                folded.setdefault(spelling, folded[name])
        return folded

    @cached_property
    def _digits(self) -> dict[str, int]:
        return {str(number): number for number in range(self.classes)}

    def by_name(self, label: str) -> int | None:
        """The class named by a label (stripped of outer blanks), or None."""
        return self.names.get(label, self._folded.get(label.casefold()))

    def by_number(self, label: str) -> int | None:
        """The class numbered by a label (stripped of outer blanks), or None."""
        return self._digits.get(label)

    def fit(self, labels: Sequence[str]) -> bool:
        """Whether labels, stripped of outer blanks, are all names, or all class numbers."""
        return any(all(read(label) is not None for label in set(labels)) for read in (self.by_name, self.by_number))

    def numbers(
        self, path: Path, labels: Sequence[tuple[int, str]], reading: str | None = None
    ) -> tuple[list[int], str]:
        """The class numbers of a file's labels, and how they were read.

        Args:
            labels: Line number, and the label stripped of outer blanks.
            reading: ``names`` or ``numbers``; None takes the one that fits.

        Raises:
            InputError: Neither reading fits, or both do and differ, or the one asked for does not fit.
        """
        found = {
            NAMES: [self.by_name(label) for _, label in labels],
            NUMBERS: [self.by_number(label) for _, label in labels],
        }
        fitting = [way for way, numbers in found.items() if None not in numbers and reading in (None, way)]
        if len(fitting) == 2 and found[NAMES] != found[NUMBERS]:
            row = next(i for i, pair in enumerate(zip(*found.values(), strict=True)) if len(set(pair)) == 2)
            raise InputError(
                f"{path}: all labels are names of the classifier's classes, and all are class numbers too, but "
                f"{labels[row][1]!r} (line {labels[row][0]}) is the name of class {found[NAMES][row]}; say which they "
                f"are by --labels {NAMES} or --labels {NUMBERS}"
            )
        if not fitting:
            raise InputError(self._misfit(path, labels, found, reading))
        return [number for number in found[fitting[0]] if number is not None], fitting[0]

    def _misfit(
        self,
        path: Path,
        labels: Sequence[tuple[int, str]],
        found: Mapping[str, Sequence[int | None]],
        reading: str | None,
    ) -> str:
        """A message about the first label that does not fit, under the reading that fits the most labels."""
        closest = reading or min(found, key=lambda way: found[way].count(None))
        row = found[closest].index(None)
        names = listed(list(self.names))
        numbers = f"a class number (0 to {self.classes - 1})"
        line, label = labels[row]
        said = f"{path}, line {line}: label {label!r} is not "
        if reading:
            return said + (f"one of {names}" if reading == NAMES else numbers)
        if any(numbers[row] is not None for numbers in found.values()):
            return f"{said}one of {names}, as others are: give all labels as names, or all as class numbers"
        remedy = "; name the classes in id2label of its config.json" if all(map(_DEFAULT.match, self.names)) else ""
        return f"{said}one of {names}, nor {numbers}{remedy}"


def class_names(config: Any, model: str) -> ClassNames:
    """A configuration's classes; ``id2label`` or ``label2id`` may be absent, or hold numbers as text."""
    id2label, label2id = config.id2label or {}, config.label2id or {}
    names: dict[str, int] = {}
    for name, number in [(name, number) for number, name in id2label.items()] + list(label2id.items()):
        where = f"model {model}: in the label map of its config.json, {str(name)!r}"
        if not str(number).isdecimal() or int(number) >= config.num_labels:
            raise InputError(f"{where} has the number {number}, but there are {config.num_labels} classes, from 0")
        if names.setdefault(str(name).strip(), int(number)) != int(number):
            raise InputError(f"{where} is the name of class {names[str(name).strip()]} and of class {number}")
    return ClassNames(names, config.num_labels)
