"""Where rows come from: the hub, a folder of ``{train,dev}-LANG.tsv`` files, or the package's own files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainables.config import ENGLISH, DataConfig
from trainables.data import custom, inference, paraphrase, pawsx, xnli
from trainables.data.contract import Rows, Task
from trainables.data.parquet import read_parquet
from trainables.data.tsv import read_tsv
from trainables.errors import InputError
from trainables.hub import Repository, fetch

TASKS: dict[str, Task] = {
    task.name: task for task in (xnli.TASK, pawsx.TASK, inference.TASK, paraphrase.TASK, custom.TASK)
}


def read_rows(config: DataConfig) -> tuple[Task, Rows, dict[str, Rows]]:
    """All rows that a data configuration draws from.

    Args:
        config: Names the task, the source and the languages.

    Returns:
        The task, the English training rows, and the validation rows of every language, English first; file order.

    Raises:
        InputError: The source does not exist, or lacks a file; wrong columns or labels.
    """
    task = TASKS[config.name]
    languages = (ENGLISH, *config.languages)
    if config.source == "hub":
        return (task, *_read_hub(task, languages))
    folder = _folder(config, task)
    files = {language: folder / f"dev-{language}.tsv" for language in languages}
    train = folder / f"train-{ENGLISH}.tsv"
    for path in (train, *files.values()):
        if not path.is_file():
            found = sorted(entry.name for entry in folder.glob("*.tsv"))
            raise InputError(
                f"data.source={config.source} has no {path.name}; "
                + (f"found: {', '.join(found)}" if found else "it holds no .tsv file at all")
            )
    if task is custom.TASK:
        task = custom.custom_task(train, config.labels)
    return task, read_tsv(train, task), {language: read_tsv(path, task) for language, path in files.items()}


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


def _read_hub(task: Task, languages: Sequence[str]) -> tuple[Rows, dict[str, Rows]]:
    hub = task.hub
    if hub is None:
        raise InputError(f"data.name={task.name} is not on the hub: set data.source=bundled, or to a folder")
    if unknown := [language for language in languages if language not in hub.languages]:
        raise InputError(
            f"data.languages: {hub.name} has no language {unknown[0]!r}; it has {', '.join(hub.languages)}"
        )
    train = f"{ENGLISH}/train-*.parquet"
    validation = {language: f"{language}/validation-*.parquet" for language in languages}
    patterns = (train, *validation.values())
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
        return read_parquet(files, hub, task.labels)

    return read(train), {language: read(pattern) for language, pattern in validation.items()}
