"""Where rows come from: the hub, a folder of ``{train,dev,test}-LANG.tsv`` files, or the package's own files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainables.config import ENGLISH, DataConfig
from trainables.data import custom, inference, paraphrase, pawsx, xnli
from trainables.data.contract import Rows, Task
from trainables.data.layouts import find_file
from trainables.data.parquet import read_parquet
from trainables.data.tsv import read_tsv
from trainables.errors import InputError
from trainables.hub import Repository, fetch

TASKS: dict[str, Task] = {
    task.name: task for task in (xnli.TASK, pawsx.TASK, inference.TASK, paraphrase.TASK, custom.TASK)
}


@dataclass(frozen=True)
class Source:
    """All rows that a data configuration draws from, in file order.

    Attributes:
        task: The task.
        train: English training rows.
        validation: Validation rows of every language, English first.
        test: Test rows, likewise; empty without ``data.test``.
    """

    task: Task
    train: Rows
    validation: dict[str, Rows]
    test: dict[str, Rows]


def read_rows(config: DataConfig) -> Source:
    """All rows that a data configuration draws from.

    Args:
        config: Names the task, the source and the languages.

    Returns:
        The rows; with ``data.unlabelled="drop"`` those without a label too.

    Raises:
        InputError: The source does not exist, or lacks a file; wrong columns or labels.
    """
    task = TASKS[config.name]
    languages = (ENGLISH, *config.languages)
    keep = config.unlabelled == "drop"
    if config.source == "hub":
        return _read_hub(task, languages, config.test, keep)
    folder = _folder(config, task)
    train = find_file(folder, config.source, "train", ENGLISH)
    files = {
        split: {language: find_file(folder, config.source, split, language) for language in languages}
        for split in ("dev", *(["test"] if config.test else []))
    }
    if task is custom.TASK:
        task = custom.custom_task(train, config.labels, ENGLISH)
    else:
        task = replace(task, numbered=config.labels)

    def read(split: str) -> dict[str, Rows]:
        return {language: read_tsv(path, task, language, keep) for language, path in files.get(split, {}).items()}

    return Source(task, read_tsv(train, task, ENGLISH, keep), read("dev"), read("test"))


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


def _read_hub(task: Task, languages: Sequence[str], test: bool, keep_unlabelled: bool) -> Source:
    hub = task.hub
    if hub is None:
        raise InputError(f"data.name={task.name} is not on the hub: set data.source=bundled, or to a folder")
    if unknown := [language for language in languages if language not in hub.languages]:
        raise InputError(
            f"data.languages: {hub.name} has no language {unknown[0]!r}; it has {', '.join(hub.languages)}"
        )
    train = f"{ENGLISH}/train-*.parquet"
    splits = {
        split: {language: f"{language}/{split}-*.parquet" for language in languages}
        for split in ("validation", *(["test"] if test else []))
    }
    patterns = (train, *(pattern for found in splits.values() for pattern in found.values()))
    repository = Repository(
        kind="dataset",
        name=hub.name,
        revision=None,
        patterns=patterns,
        include=True,
        instead="data.source to a folder of {train,dev}-LANG.tsv files",
    )

    def files_of(folder: Path, pattern: str) -> list[Path]:
        return sorted(path for path in folder.glob(pattern) if path.is_file())

    folder = fetch(repository, lambda folder: [pattern for pattern in patterns if not files_of(folder, pattern)])

    def read(pattern: str) -> Rows:
        if not (files := files_of(folder, pattern)):
            raise InputError(f"{repository} has no file {pattern} any more; set {repository.instead}")
        return read_parquet(files, hub, task.labels, keep_unlabelled)

    english = read(train)
    rows = {split: {language: read(p) for language, p in found.items()} for split, found in splits.items()}
    return Source(task, english, rows["validation"], rows.get("test", {}))
