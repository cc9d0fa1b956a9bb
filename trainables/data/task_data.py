"""TaskData: the decoded rows that a trial uses, and the fingerprint of their content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace

from trainables.config import ENGLISH, DataConfig
from trainables.data.contract import Rows
from trainables.data.draw import draw_train, draw_validation
from trainables.data.dropping import drop
from trainables.data.notes import describe
from trainables.data.sources import Source, read_rows
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
        validation_rows: Row numbers of ``validation`` in its files.
        test: Language to test rows, likewise; empty without ``data.test``.
        test_rows: Row numbers of ``test`` in its files.
    """

    labels: tuple[str, ...]
    train: Rows
    stage2: dict[str, Rows]
    validation: dict[str, Rows]
    fingerprint: str
    notes: tuple[str, ...] = ()
    train_rows: tuple[int, ...] = ()
    train_total: int = 0
    validation_rows: tuple[int, ...] = ()
    test: dict[str, Rows] = field(default_factory=dict)
    test_rows: tuple[int, ...] = ()


def load_task_data(config: DataConfig) -> TaskData:
    """Read, check and draw the rows of a data configuration.

    ``data.unlabelled="drop"`` and ``data.drop_untranslated`` take effect before the draw: the files are then as if they
    had never held such a row in any language of the configuration, for ``data.split="file_order"`` too, whose first
    ``stage2_examples`` are counted among the rows that are left. So another set of languages may leave other rows.

    Args:
        config: The data configuration.

    Returns:
        The rows.

    Raises:
        InputError: A file is missing or malformed, or more rows are wanted than there are.
    """
    source = _pooled(read_rows(config), config)
    for name, split in (("validation", source.validation), ("test", source.test)):
        for language, rows in split.items():
            if len(rows) != len(split[ENGLISH]):
                raise InputError(
                    f"data.source={config.source}: {name} rows must be parallel, but {ENGLISH} has "
                    f"{len(split[ENGLISH])} and {language} has {len(rows)}"
                )
    train, validation, test, dropped = drop(source, config.drop_untranslated)
    dev = validation.rows
    drawn = draw_train(len(train.numbers), config.train_examples, config.seed)
    english = train.rows[ENGLISH].take(drawn)
    if len(set(english.labels)) < 2:
        raise InputError(f"data.source={config.source}: the training examples have fewer than two labels")
    stage2_rows, validation_rows = draw_validation(dev[ENGLISH].first, config)
    stage2 = {language: dev[language].take(stage2_rows) for language in config.second_stages} if stage2_rows else {}
    drawn_validation = {language: rows.take(validation_rows) for language, rows in dev.items()}
    notes = describe(source.task.name, english, stage2, drawn_validation, *dropped, test=test.rows)
    if "-1" in source.task.labels and not config.labels:
        notes = (*notes, f"data {source.task.name}: label -1 is a class here; if it means none, name data.labels")
    return TaskData(
        source.task.labels,
        english,
        stage2,
        drawn_validation,
        _fingerprint(source.task.labels, english, stage2, drawn_validation, test.rows),
        notes,
        tuple(train.numbers[i] for i in drawn),
        len(source.train),
        tuple(validation.numbers[i] for i in validation_rows),
        test.rows,
        tuple(test.numbers),
    )


def _pooled(source: Source, config: DataConfig) -> Source:
    """Of a task that pools its splits: everything but the English training rows validates, in every language."""
    if not source.pool:
        return source
    for name, split in (("training", source.pool), ("validation", source.validation), ("test", source.test)):
        for language, rows in split.items():
            if rows.labels != split[ENGLISH].labels:
                raise InputError(
                    f"data.source={config.source}: {name} rows must be parallel, but the labels of {ENGLISH} and "
                    f"{language} differ"
                )
    total = len(source.train)
    left = sorted(set(range(total)) - set(draw_train(total, config.train_examples, config.seed)))
    validation = {
        language: Rows.joined([rows.take(left), source.validation[language], source.test[language]])
        for language, rows in source.pool.items()
    }
    return replace(source, validation=validation, test={}, pool={})


def _fingerprint(
    labels: tuple[str, ...],
    train: Rows,
    stage2: dict[str, Rows],
    validation: dict[str, Rows],
    test: dict[str, Rows],
) -> str:
    def plain(rows: Rows) -> list[object]:
        return [rows.first, rows.second, rows.labels]

    content = {
        "labels": labels,
        "train": plain(train),
        "stage2": {language: plain(rows) for language, rows in stage2.items()},
        "validation": {language: plain(rows) for language, rows in validation.items()},
        **({"test": {language: plain(rows) for language, rows in test.items()}} if test else {}),
    }
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]
