"""TaskData: the decoded rows that a trial uses, and the fingerprint of their content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace

from trainables.config import ENGLISH, DataConfig
from trainables.data.contract import Rows
from trainables.data.draw import draw_second_stage, draw_train, draw_validation
from trainables.data.dropping import Split, drop, parallel
from trainables.data.notes import describe
from trainables.data.sources import Source, read_rows
from trainables.errors import InputError


@dataclass(frozen=True)
class TaskData:
    """The rows of one data configuration.

    Attributes:
        stage2: Language to second-stage training rows; empty without a second stage.
        validation: Language to validation rows, English first; the same row numbers in every language of parallel
            files.
        fingerprint: Hash of all of it.
        notes: What a researcher should know about the rows, one sentence each; not part of the fingerprint.
        train_rows: Row numbers of ``train`` in the English training file, for files that are parallel to it.
        train_total: Rows of that file.
        validation_rows: Language to row numbers of ``validation`` in its file.
        test: Language to test rows, likewise; empty without ``data.test``.
        test_rows: Language to row numbers of ``test`` in its file.
        parallel: Whether the validation files are parallel.
    """

    labels: tuple[str, ...]
    train: Rows
    stage2: dict[str, Rows]
    validation: dict[str, Rows]
    fingerprint: str
    notes: tuple[str, ...] = ()
    train_rows: tuple[int, ...] = ()
    train_total: int = 0
    validation_rows: dict[str, tuple[int, ...]] = field(default_factory=dict)
    test: dict[str, Rows] = field(default_factory=dict)
    test_rows: dict[str, tuple[int, ...]] = field(default_factory=dict)
    parallel: bool = True


def load_task_data(config: DataConfig) -> TaskData:
    """Read, check and draw the rows of a data configuration.

    ``data.unlabelled="drop"`` and ``data.drop_untranslated`` take effect before the draw, as if the files had never
    contained such rows in any language of the configuration. This includes ``data.split="file_order"``, whose first
    ``stage2_examples`` are counted among the remaining rows. Another set of languages may thus leave other rows.

    Raises:
        InputError: A file is missing or malformed, or more rows are wanted than there are.
    """
    source = _pooled(read_rows(config), config)
    for name, split in (("validation", source.validation), ("test", source.test)):
        for language, rows in split.items():
            if source.task.parallel and len(rows) != len(split[ENGLISH]):
                raise InputError(
                    f"data.source={config.source}: {name} rows must be parallel, but {ENGLISH} has "
                    f"{len(split[ENGLISH])} and {language} has {len(rows)}"
                )
    train, validation, test, dropped = drop(source, config.drop_untranslated)
    dev = validation.rows
    drawn = draw_train(len(train.rows[ENGLISH]), config.train_examples, config.seed)
    english = train.rows[ENGLISH].take(drawn)
    if len(set(english.labels)) < 2:
        raise InputError(f"data.source={config.source}: the training examples have fewer than two labels")
    from_train = config.stage2_source == "train"
    held = config.model_copy(update={"stage2_examples": 0}) if from_train else config
    draws = (
        dict.fromkeys(dev, draw_validation(dev[ENGLISH].first, held))
        if validation.parallel
        else {language: draw_validation(rows.first, held, language) for language, rows in dev.items()}
    )
    stage2: dict[str, Rows] = {}
    twins: tuple[str, ...] = ()
    if config.stage2_examples and from_train:
        stage2, twins = _from_training_files(train, english, source, config)
    elif config.stage2_examples:
        stage2 = {language: dev[language].take(draws[language][0]) for language in config.second_stages}
    drawn_validation = {language: rows.take(draws[language][1]) for language, rows in dev.items()}
    notes = describe(source.task.name, english, stage2, drawn_validation, *dropped, test=test.rows)
    notes = (*_unparallel(source.task.name, validation, test), *twins, *notes)
    if "-1" in source.task.labels and not config.labels:
        notes = (*notes, f"data {source.task.name}: label -1 is a class here; if it means none, name data.labels")
    content = {"labels": source.task.labels, "train": english, "stage2": stage2, "validation": drawn_validation}
    if test.rows:
        content["test"] = test.rows
    return TaskData(
        source.task.labels,
        english,
        stage2,
        drawn_validation,
        content_hash(content),
        notes,
        tuple(train.numbers[ENGLISH][i] for i in drawn),
        len(source.train[ENGLISH]),
        {name: tuple(numbers[i] for i in draws[name][1]) for name, numbers in validation.numbers.items()},
        test.rows,
        {language: tuple(numbers) for language, numbers in test.numbers.items()},
        validation.parallel,
    )


def _from_training_files(
    train: Split, english: Rows, source: Source, config: DataConfig
) -> tuple[dict[str, Rows], tuple[str, ...]]:
    """Rows of the second stages from the languages' own training files, and a note on twins among them.

    A row's twin is the English row with the same number in its file. A row whose twin, or a copy of the twin, trains in
    English is left out unless ``data.stage2_twins`` is set.

    Raises:
        InputError: Not enough rows are left, or it is not known which rows are twins.
    """
    trained = set(english.examples())
    originals = source.train[ENGLISH]
    known = {number for number, example in enumerate(originals.examples()) if example in trained}
    stage2, twins = {}, {}
    for language in config.second_stages:
        rows, numbers, whole = train.rows[language], train.numbers[language], source.train[language]
        same = parallel(originals, whole, source.task.parallel)
        if not same and not config.stage2_twins:
            raise InputError(
                f"data.stage2_source=train: the training files of {ENGLISH} and {language} are not parallel "
                f"({len(originals)} and {len(whole)} rows), so twins of English training examples cannot be left out; "
                "data.stage2_twins=true takes any row"
            )
        left_out = set() if config.stage2_twins else {i for i, number in enumerate(numbers) if number in known}
        drawn = draw_second_stage(len(rows), left_out, config, language)
        stage2[language] = rows.take(drawn)
        twins[language] = sum(numbers[i] in known for i in drawn) if same else 0
    said = ", ".join(f"{language} {count:,}" for language, count in twins.items() if count)
    note = f"data {source.task.name}: second-stage examples whose English twin trained the English stage: {said}"
    return stage2, (note,) if said else ()


def _unparallel(name: str, *splits: Split) -> tuple[str, ...]:
    """A note that files are not parallel, which is allowed where nothing compares an example with its translation."""
    sizes = [", ".join(f"{lang} {len(rows):,}" for lang, rows in s.rows.items()) for s in splits if not s.parallel]
    return tuple(
        f"data {name}: files are not parallel ({said} rows), so rows are drawn and dropped in each language by itself"
        for said in dict.fromkeys(sizes)
    )


def _pooled(source: Source, config: DataConfig) -> Source:
    """The source; if its task pools its splits, all rows but the English training rows validate, in every language."""
    if not source.task.pooled:
        return source
    for name, split in (("training", source.train), ("validation", source.validation), ("test", source.test)):
        for language, rows in split.items():
            if rows.labels != split[ENGLISH].labels:
                raise InputError(
                    f"data.source={config.source}: {name} rows must be parallel, but the labels of {ENGLISH} and "
                    f"{language} differ"
                )
    total = len(source.train[ENGLISH])
    left = sorted(set(range(total)) - set(draw_train(total, config.train_examples, config.seed)))
    validation = {
        language: Rows.joined([rows.take(left), source.validation[language], source.test[language]])
        for language, rows in source.train.items()
    }
    return replace(source, train={ENGLISH: source.train[ENGLISH]}, validation=validation, test={})


def content_hash(content: object) -> str:
    """A fingerprint of plain data and rows."""
    text = json.dumps(content, ensure_ascii=False, default=lambda rows: [rows.first, rows.second, rows.labels])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
