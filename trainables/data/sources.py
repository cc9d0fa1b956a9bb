"""Where rows come from: the hub, a folder of ``{train,dev,test}-LANG.tsv`` files, or the package's own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainables.config import ENGLISH, DataConfig
from trainables.data import custom, inference, paraphrase, pawsx, sib200, xnli
from trainables.data.contract import Rows, Task
from trainables.data.layouts import find_file
from trainables.data.parquet import read_parquet
from trainables.data.tsv import read_tsv
from trainables.errors import InputError
from trainables.hub import Repository, fetch

TASKS: dict[str, Task] = {
    task.name: task for task in (xnli.TASK, pawsx.TASK, sib200.TASK, inference.TASK, paraphrase.TASK, custom.TASK)
}


@dataclass(frozen=True)
class Source:
    """All rows that a data configuration draws from, in file order.

    Attributes:
        task: The task.
        train: English training rows.
        validation: Validation rows of every language, English first.
        test: Test rows, likewise; empty without ``data.test``.
        pool: Training rows of every language, likewise, where the task pools its splits.
    """

    task: Task
    train: Rows
    validation: dict[str, Rows]
    test: dict[str, Rows]
    pool: dict[str, Rows] = field(default_factory=dict)


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
    codes = {language: task.code(language) for language in languages}
    if task.pooled and (config.test or keep or config.drop_untranslated):
        wrong = "test" if config.test else "unlabelled" if keep else "drop_untranslated"
        raise InputError(f"data.{wrong} is not for data.name={task.name}, whose every row either trains or validates")
    splits = ("dev", *(["test"] if config.test or task.pooled else []))
    if config.source == "hub":
        return _read_hub(task, codes, splits, keep)
    folder = _folder(config, task)
    train = find_file(folder, config.source, "train", ENGLISH, codes[ENGLISH])
    files = {
        split: {language: find_file(folder, config.source, split, language, code) for language, code in codes.items()}
        for split in (*splits, *(["train"] if task.pooled else []))
    }
    if task is custom.TASK:
        task = custom.custom_task(train, config.labels, ENGLISH)
    else:
        task = replace(task, numbered=config.labels)

    def read(split: str) -> dict[str, Rows]:
        return {language: read_tsv(path, task, language, keep) for language, path in files.get(split, {}).items()}

    return Source(task, read_tsv(train, task, ENGLISH, keep), read("dev"), read("test"), read("train"))


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


def _read_hub(task: Task, codes: Mapping[str, str], splits: Sequence[str], keep_unlabelled: bool) -> Source:
    hub = task.hub
    if hub is None:
        raise InputError(f"data.name={task.name} is not on the hub: set data.source=bundled, or to a folder")
    if unknown := [language for language in codes if hub.languages and language not in hub.languages]:
        raise InputError(
            f"data.languages: {hub.name} has no language {unknown[0]!r}; it has {', '.join(hub.languages)}"
        )
    names = dict(zip(("train", "dev", "test"), hub.splits, strict=True))

    def pattern_of(split: str, code: str) -> str:
        return hub.pattern.format(language=code, split=names[split])

    train = pattern_of("train", codes[ENGLISH])
    wanted = {
        split: {language: pattern_of(split, code) for language, code in codes.items()}
        for split in (*splits, *(["train"] if task.pooled else []))
    }
    patterns = tuple(dict.fromkeys((train, *(one for found in wanted.values() for one in found.values()))))
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
        if hub.pattern.endswith(".tsv"):
            return read_tsv(files[0], task, keep_unlabelled=keep_unlabelled)
        return read_parquet(files, hub, task.labels, keep_unlabelled)

    english = read(train)
    rows = {split: {language: read(p) for language, p in found.items()} for split, found in wanted.items()}
    return Source(task, english, rows["dev"], rows.get("test", {}), rows.get("train", {}))
