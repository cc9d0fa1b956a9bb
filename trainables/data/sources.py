"""Where rows come from: the hub, a folder of ``{train,dev,test}-LANG.tsv`` files, or the package's own files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainables.config import ENGLISH, DataConfig
from trainables.data.contract import UNLABELLED, HubFiles, Rows, Task
from trainables.data.layouts import find_file
from trainables.data.named_columns import read_named
from trainables.data.registry import find_set
from trainables.data.tsv import Table, read_table, rows_of
from trainables.errors import InputError
from trainables.hub.repository_files import Repository, fetch

Wanted = Mapping[str, tuple[str, ...]]
"""Split to the languages that are wanted from it."""


@dataclass(frozen=True)
class Source:
    """All rows that a data configuration draws from, in file order.

    Attributes:
        train: Training rows by language, English first; English alone unless the task pools its splits or the second
            stage trains on them.
        validation: Validation rows of every language, English first.
        test: Test rows, likewise; empty without ``data.test``.
    """

    task: Task
    train: dict[str, Rows]
    validation: dict[str, Rows]
    test: dict[str, Rows]


def read_rows(config: DataConfig) -> Source:
    """All rows that a data configuration draws from, including unlabelled ones under ``data.unlabelled="drop"``."""
    task = find_set(config.name)
    if config.repository is not None:
        task = replace(task, hub=HubFiles(config.repository, str(config.files), config.columns))
    keep, from_train = config.unlabelled == "drop", config.stage2_source == "train"
    if task.pooled and (config.test or keep or config.drop_untranslated or from_train):
        wrong = (
            "test" if config.test else "unlabelled" if keep else "stage2_source" if from_train else "drop_untranslated"
        )
        raise InputError(f"data.{wrong} is not for data.name={task.name}, whose every row either trains or validates")
    languages = (ENGLISH, *config.languages)
    _refuse_twice(task, languages)
    trained = languages if task.pooled else (ENGLISH, *(config.second_stages if from_train else ()))
    wanted = {"train": trained, "dev": languages} | ({"test": languages} if config.test or task.pooled else {})
    found = _hub_tables(task, wanted) if config.source == "hub" else _folder_tables(config, task, wanted)
    for table in (table for tables in found.values() for table in tables.values()):
        table.refuse_unread()
    if not task.labels:
        task = _from_training_file(task, found["train"][ENGLISH], config.labels)
    else:
        if config.labels and sorted(config.labels) != sorted(task.labels):
            raise InputError(
                f"data.labels must be the labels of {task.name} in another order: {', '.join(task.labels)}"
            )
        task = replace(task, numbered=task.labels if config.source == "hub" else config.labels or task.numbered)
    rows = {
        split: {language: rows_of(table, task, keep) for language, table in tables.items()}
        for split, tables in found.items()
    }
    return Source(task, rows["train"], rows["dev"], rows.get("test", {}))


def _from_training_file(task: Task, table: Table, labels: tuple[str, ...]) -> Task:
    """The task that an English training file defines: one or two sentences, and the labels.

    Args:
        table: The training file; its header or first line gives the number of columns.
        labels: The labels in the order of the classes; empty takes those that the file declares, else those that it
            contains, sorted.

    Raises:
        InputError: The file has neither 2 nor 3 columns, or its last column contains no labels.
    """
    header, columns = table.header, table.width
    if header is None and columns not in (2, 3):
        raise InputError(
            f"{table.at(1)}: expected 2 or 3 tab-separated columns (one or two sentences, then the label), "
            f"found {columns}"
        )
    task = replace(task, sentences=columns - 1 if header is None else 1 + (header.second is not None))
    if chosen := labels or table.labels:
        return replace(task, labels=chosen, numbered=() if any(label.isdecimal() for label in chosen) else chosen)
    written = [label.strip() for label in table.column(-1 if header is None else header.label)]
    counts = Counter(written)
    if 2 * len(counts) > len(table.lines):
        raise InputError(
            f"{table.path}: the last column holds {len(counts):,} different labels in {len(table.lines):,} lines, so "
            "it seems to be no label; name the labels in data.labels when it is"
        )
    if header is None and counts[written[0]] == 1 and written[0] not in UNLABELLED:
        raise InputError(
            f"{table.at(1)}: label {written[0]!r} occurs on no other line, so this seems to be a header; remove the "
            "line, or name the labels in data.labels"
        )
    return replace(task, labels=tuple(sorted(label for label in counts if _is_class(label, counts))))


def _is_class(label: str, counts: Counter[str]) -> bool:
    """Whether a label found in a file is a class: -1 is one on a scale such as -1, 0, 1, but not beside 0, 1, 2."""
    if label != "-1":
        return label not in UNLABELLED
    others = {other for other in counts if other not in UNLABELLED}
    return others <= {"0", "1"} or any(other[:1] == "-" and other[1:].isdecimal() for other in others)


def _refuse_twice(task: Task, languages: Sequence[str]) -> None:
    """Refuse two names of one language, which would count it twice, and of English, which would make it a target."""
    names: dict[str, str] = {}
    for language in languages:
        code = task.code(language) if task.codes else language
        if code in names:
            raise InputError(f"data.languages: {language} is {names[code]} under another name; name a language once")
        names[code] = language


def _folder_tables(config: DataConfig, task: Task, wanted: Wanted) -> dict[str, dict[str, Table]]:
    folder = _folder(config, task)

    def read(split: str, language: str) -> Table:
        code = task.code(language) if task.codes else language  # the folder may have languages that the hub lacks
        if task.hub is not None and (files := _glob(folder, task.hub.place(code, split))):
            return _read(files, task.hub, language)
        path, holds_all = find_file(folder, config.source, split, language, code)
        table = read_table(path, language, code)
        if holds_all and (table.header is None or table.header.language is None):
            raise InputError(f"{path} is the file of all languages, so it needs a header line with a column 'language'")
        return table

    return {split: {language: read(split, language) for language in named} for split, named in wanted.items()}


def _folder(config: DataConfig, task: Task) -> Path:
    if config.source == "bundled":
        if task.bundled is None:
            raise InputError(
                f"data.name={config.name} is not bundled: set data.source to 'hub' or to a folder of "
                "{train,dev}-LANG.tsv files"
            )
        return task.bundled
    folder = Path(config.source).expanduser()
    if not folder.is_dir():
        raise InputError(f"data.source={config.source}: no such folder (nor 'hub' or 'bundled')")
    return folder


def _hub_tables(task: Task, wanted: Wanted) -> dict[str, dict[str, Table]]:
    """The tables on the hub; a set without English rows takes those of the set that goes with it."""
    if task.english is None:
        return _fetch_tables(task, wanted)
    targets = {split: tuple(name for name in named if name != ENGLISH) for split, named in wanted.items()}
    others = _fetch_tables(task, targets)
    english = _fetch_tables(task.english, dict.fromkeys(wanted, (ENGLISH,)))
    return {split: english[split] | others[split] for split in wanted}


def _fetch_tables(task: Task, wanted: Wanted) -> dict[str, dict[str, Table]]:
    if (hub := task.hub) is None:
        raise InputError(f"data.name={task.name} is not on the hub: set data.source=bundled, or to a folder")
    places = {(split, name): hub.place(task.code(name), split) for split, named in wanted.items() for name in named}
    if lacking := [key for key, place in places.items() if not place]:
        raise InputError(f"{hub.name} has no {lacking[0][0]} split, so there is none in {lacking[0][1]}")
    repository = Repository(
        kind="dataset",
        name=hub.name,
        revision=None,
        patterns=tuple(places.values()),
        include=True,
        instead="data.source to a folder of {train,dev}-LANG.tsv files",
    )
    folder = fetch(repository, lambda folder: [place for place in places.values() if not _glob(folder, place)])

    def read(split: str, language: str) -> Table:
        if not (files := _glob(folder, place := places[split, language])):
            raise InputError(
                f"{repository} has no file {place}, so no {split} split in {language}; set {repository.instead}"
            )
        return _read(files, hub, language)

    return {split: {language: read(split, language) for language in named} for split, named in wanted.items()}


def _glob(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file()) if pattern else []


def _read(files: Sequence[Path], hub: HubFiles, language: str) -> Table:
    return read_named(files, hub.columns) if hub.columns else read_table(files[0], language)
