"""TaskData: the decoded rows that a trial uses, and the fingerprint of their content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from trainables.config import ENGLISH, DataConfig
from trainables.data.contract import Rows
from trainables.data.draw import draw_train, draw_validation
from trainables.data.notes import Dropped, describe, untranslated
from trainables.data.sources import read_rows
from trainables.errors import InputError


@dataclass(frozen=True)
class TaskData:
    """The rows of one data configuration.

    Attributes:
        labels: Label names.
        train: English training rows.
        stage2: Language to second-stage training rows; empty without a second stage.
        validation: Language to validation rows, English first; the same row numbers in every language.
        fingerprint: Hash of all of it.
        notes: What a researcher should know of the rows, a sentence each; not part of the fingerprint.
        train_rows: Row numbers of ``train`` in the English training file, for files that are parallel to it.
        train_total: Rows of that file.
    """

    labels: tuple[str, ...]
    train: Rows
    stage2: dict[str, Rows]
    validation: dict[str, Rows]
    fingerprint: str
    notes: tuple[str, ...] = ()
    train_rows: tuple[int, ...] = ()
    train_total: int = 0


def load_task_data(config: DataConfig) -> TaskData:
    """Read, check and draw the rows of a data configuration.

    ``data.drop_untranslated`` takes effect before the draw: the files are then as if they had never held a row with an
    untranslated sentence in any language of the configuration, for ``data.split="file_order"`` too, whose first
    ``stage2_examples`` are counted among the rows that are left. So another set of languages may leave other rows.

    Args:
        config: The data configuration.

    Returns:
        The rows.

    Raises:
        InputError: A file is missing or malformed, or more rows are wanted than there are.
    """
    task, train, dev = read_rows(config)
    for language, rows in dev.items():
        if len(rows) != len(dev[ENGLISH]):
            raise InputError(
                f"data.source={config.source}: validation rows must be parallel, but {ENGLISH} has "
                f"{len(dev[ENGLISH])} and {language} has {len(rows)}"
            )
    kept, train_total, dropped = list(range(len(train))), len(train), Dropped(0, 0, len(dev[ENGLISH]), {})
    if config.drop_untranslated:
        kept, dev, dropped = _drop_untranslated(train, dev)
    train_rows = tuple(kept[i] for i in draw_train(len(kept), config.train_examples, config.seed))
    train = train.take(train_rows)
    if len(set(train.labels)) < 2:
        raise InputError(f"data.source={config.source}: the training examples have fewer than two labels")
    stage2_rows, validation_rows = draw_validation(dev[ENGLISH].first, config)
    stage2 = {language: dev[language].take(stage2_rows) for language in config.languages} if stage2_rows else {}
    validation = {language: rows.take(validation_rows) for language, rows in dev.items()}
    return TaskData(
        task.labels,
        train,
        stage2,
        validation,
        _fingerprint(task.labels, train, stage2, validation),
        describe(task.name, train, stage2, validation, dropped),
        train_rows,
        train_total,
    )


def _drop_untranslated(train: Rows, dev: dict[str, Rows]) -> tuple[list[int], dict[str, Rows], Dropped]:
    """Leave out the rows in which a sentence is not translated in any language; training rows by their numbers."""
    found = {language: untranslated(rows) for language, rows in dev.items()}
    anywhere = {row for rows in found.values() for row in rows}
    total = len(dev[ENGLISH])
    kept = [row for row in range(total) if row not in anywhere]
    bad = set(untranslated(train))
    dropped = Dropped(len(bad), len(anywhere), total, {language: len(rows) for language, rows in found.items()})
    kept_train = [row for row in range(len(train)) if row not in bad]
    return kept_train, {language: rows.take(kept) for language, rows in dev.items()}, dropped


def _fingerprint(labels: tuple[str, ...], train: Rows, stage2: dict[str, Rows], validation: dict[str, Rows]) -> str:
    def plain(rows: Rows) -> list[object]:
        return [rows.first, rows.second, rows.labels]

    content = {
        "labels": labels,
        "train": plain(train),
        "stage2": {language: plain(rows) for language, rows in stage2.items()},
        "validation": {language: plain(rows) for language, rows in validation.items()},
    }
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]
