"""TaskData: the decoded rows that a trial uses, and the fingerprint of their content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from trainables.config import ENGLISH, DataConfig
from trainables.data.contract import Rows
from trainables.data.draw import draw_train, draw_validation
from trainables.data.sources import TASKS, read_split
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
    """

    labels: tuple[str, ...]
    train: Rows
    stage2: dict[str, Rows]
    validation: dict[str, Rows]
    fingerprint: str


def load_task_data(config: DataConfig) -> TaskData:
    """Read, check and draw the rows of a data configuration.

    Args:
        config: The data configuration.

    Returns:
        The rows.

    Raises:
        InputError: A file is missing or malformed, or more rows are wanted than there are.
    """
    task = TASKS[config.name]
    train = read_split(config, "train", ENGLISH)
    dev = {language: read_split(config, "dev", language) for language in (ENGLISH, *config.languages)}
    for language, rows in dev.items():
        if len(rows) != len(dev[ENGLISH]):
            raise InputError(
                f"data.source={config.source}: validation rows must be parallel, but {ENGLISH} has "
                f"{len(dev[ENGLISH])} and {language} has {len(rows)}"
            )
    train = train.take(draw_train(len(train), config.train_examples, config.seed))
    if len(set(train.labels)) < 2:
        raise InputError(f"data.source={config.source}: the training examples have fewer than two labels")
    stage2_rows, validation_rows = draw_validation(dev[ENGLISH].first, config)
    stage2 = {language: dev[language].take(stage2_rows) for language in config.languages} if stage2_rows else {}
    validation = {language: rows.take(validation_rows) for language, rows in dev.items()}
    return TaskData(task.labels, train, stage2, validation, _fingerprint(task.labels, train, stage2, validation))


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
