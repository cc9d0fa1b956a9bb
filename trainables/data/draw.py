"""Which rows a trial uses: drawn once with data.seed, with the same row numbers in every language of parallel files."""

from __future__ import annotations

import zlib

import numpy as np

from trainables.config import ENGLISH, DataConfig
from trainables.errors import InputError

Halves = tuple[list[int], list[int]]


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def _groups(first: list[str]) -> list[list[int]]:
    """Row numbers grouped by shared first sentence, in order of appearance."""
    groups: dict[str, list[int]] = {}
    for row, sentence in enumerate(first):
        groups.setdefault(sentence, []).append(row)
    return list(groups.values())


def draw_train(available: int, wanted: int | None, seed: int) -> list[int]:
    """Row numbers of the English training examples, distinct, in drawn order; all of them where ``wanted`` is None.

    A larger draw begins with any smaller one of the same seed.

    Raises:
        InputError: More are wanted than there are.
    """
    if wanted is not None and wanted > available:
        raise InputError(
            f"data.train_examples={wanted}, but the English training set has {available} rows; null takes all"
        )
    return [int(i) for i in _generator(seed, "train").permutation(available)[:wanted]]


def draw_second_stage(available: int, twins: set[int], config: DataConfig, language: str) -> list[int]:
    """Row numbers of a second stage's examples in a training file; the same in all files that are parallel.

    Args:
        available: Rows of the file.
        twins: Row numbers that must not be drawn, since their translations trained the English stage.

    Returns:
        Distinct row numbers in drawn order.

    Raises:
        InputError: More are wanted than there are.
    """
    left = [row for row in range(available) if row not in twins]
    if config.stage2_examples > len(left):
        raise InputError(
            f"data.stage2_examples={config.stage2_examples}, but of the {available} training rows in {language} "
            f"{len(left)} have no twin that trains in {ENGLISH}; lower data.train_examples, or data.stage2_twins=true"
        )
    if config.split == "random":
        left = [left[i] for i in _generator(config.seed, "second stage").permutation(len(left))]
    return left[: config.stage2_examples]


def draw_validation(first: list[str], config: DataConfig, language: str = ENGLISH) -> tuple[list[int], list[int]]:
    """Row numbers of the second stage's training examples and of the validation examples.

    Rows with the same first sentence form a group (each XNLI premise occurs three times), and a random draw never
    divides one between the two. ``split="file_order"`` is the paper's half and half, and ignores groups: the first rows
    train.

    Args:
        first: First sentence of each row of the validation file; for parallel files, the English one.

    Raises:
        InputError: More rows are wanted than there are.
    """
    total, stage2 = len(first), config.stage2_examples
    if config.split == "file_order":
        train, rest = list(range(min(stage2, total))), list(range(stage2, total))
    else:
        groups = _groups(first)
        generator = _generator(config.seed, "validation")
        order = [groups[i] for i in generator.permutation(len(groups))]
        train, used = [], 0
        while len(train) < stage2 and used < len(order):
            train.extend(order[used])
            used += 1
        train = train[:stage2]
        rest = [row for group in order[used:] for row in group]
        # Rows of a group are alike, so the first validation rows, on which Tr(F) is measured, must not be whole groups.
        rest = [rest[i] for i in generator.permutation(len(rest))]
    if len(train) < stage2:
        raise InputError(f"data.stage2_examples={stage2}, but the {language} validation file has {total} rows")
    wanted = config.validation_examples
    if not rest or (wanted is not None and wanted > len(rest)):
        raise InputError(
            f"data.validation_examples={wanted if wanted is not None else 'all'}, but {len(rest)} of the {total} rows "
            f"of the {language} validation file are left beside the second stage's {stage2}"
        )
    return train, rest[:wanted]


def draw_halves(first: list[str], seed: int) -> Halves:
    """Two halves of the validation examples that share no group, for numbers that must not be based on the same rows.

    Args:
        first: First sentence of each validation example, in English for parallel files; equal ones form a group.

    Returns:
        Row numbers of both, ascending; the sizes differ by no more than the largest group, and one is empty where there
        is only one group.

    Example:
        >>> sorted(map(len, draw_halves(["a", "b", "b", "c"], seed=0)))
        [2, 2]
    """
    groups = _groups(first)
    halves: Halves = ([], [])
    # Large groups first, so that the small ones can even out the halves; equally large ones as drawn.
    order = _generator(seed, "halves").permutation(len(groups)).tolist()
    for i in sorted(order, key=lambda i: -len(groups[i])):
        min(halves, key=len).extend(groups[i])
    return sorted(halves[0]), sorted(halves[1])
