"""Where rows come from: the hub, a folder of ``{train,dev,test}-LANG.tsv`` files, or the package's own files."""

from __future__ import annotations

from collections.abc import Mapping
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
    wanted = {"train": codes if task.pooled else {ENGLISH: codes[ENGLISH]}, "dev": codes}
    if config.test or task.pooled:
        wanted["test"] = codes
    if config.source == "hub":
        return _source(task, _read_hub(task, wanted, keep))
    folder = _folder(config, task)
    files = {
        split: {language: find_file(folder, config.source, split, language, code) for language, code in named.items()}
        for split, named in wanted.items()
    }
    if task is custom.TASK:
        task = custom.custom_task(files["train"][ENGLISH], config.labels, ENGLISH)
    else:
        task = replace(task, numbered=config.labels)
    rows = {
        split: {language: read_tsv(path, task, language, keep) for language, path in found.items()}
        for split, found in files.items()
    }
    return _source(task, rows)


def _source(task: Task, rows: Mapping[str, dict[str, Rows]]) -> Source:
    pool = rows["train"] if task.pooled else {}
    return Source(task, rows["train"][ENGLISH], rows["dev"], rows.get("test", {}), pool)


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


def _read_hub(task: Task, wanted: Mapping[str, Mapping[str, str]], keep_unlabelled: bool) -> dict[str, dict[str, Rows]]:
    """The rows of each split: of ``wanted``, the split to its languages and their codes."""
    hub = task.hub
    if hub is None:
        raise InputError(f"data.name={task.name} is not on the hub: set data.source=bundled, or to a folder")
    if unknown := [language for language in wanted["dev"] if hub.languages and language not in hub.languages]:
        raise InputError(
            f"data.languages: {hub.name} has no language {unknown[0]!r}; it has {', '.join(hub.languages)}"
        )
    names = dict(zip(("train", "dev", "test"), hub.splits, strict=True))

    files = {
        split: {language: hub.pattern.format(language=code, split=names[split]) for language, code in named.items()}
        for split, named in wanted.items()
    }
    patterns = tuple(pattern for found in files.values() for pattern in found.values())
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

    return {split: {language: read(p) for language, p in found.items()} for split, found in files.items()}
