"""Where rows come from: the hub, a folder of ``{train,dev}-LANG.tsv`` files, or the package's own files."""

from __future__ import annotations

from pathlib import Path

from trainables.config import DataConfig
from trainables.data import inference, paraphrase, pawsx, xnli
from trainables.data.contract import Rows, Task
from trainables.data.tsv import read_tsv
from trainables.errors import InputError
from trainables.hub import require_hub

TASKS: dict[str, Task] = {task.name: task for task in (xnli.TASK, pawsx.TASK, inference.TASK, paraphrase.TASK)}

HUB_SPLITS = {"train": "train", "dev": "validation"}


def read_split(config: DataConfig, split: str, language: str) -> Rows:
    """All rows of a split in a language.

    Args:
        config: Names the task and the source.
        split: ``train`` or ``dev``.
        language: Language code.

    Returns:
        The rows in file order.

    Raises:
        InputError: The source does not exist, or has no such file; wrong columns or labels.
    """
    task = TASKS[config.name]
    if config.source == "hub":
        return _read_hub(task, split, language)
    if config.source == "bundled":
        if task.bundled is None:
            raise InputError(
                f"data.name={config.name} is not bundled: set data.source to 'hub' or to a folder of "
                "{train,dev}-LANG.tsv files"
            )
        folder = task.bundled
    else:
        folder = Path(config.source).expanduser()
        if not folder.is_dir():
            raise InputError(f"data.source={config.source}: no such folder (nor 'hub' or 'bundled')")
    path = folder / f"{split}-{language}.tsv"
    if not path.is_file():
        found = sorted(entry.name for entry in folder.glob("*.tsv"))
        raise InputError(
            f"data.source={config.source} has no {split}-{language}.tsv; "
            + (f"found: {', '.join(found)}" if found else "it holds no .tsv file at all")
        )
    return read_tsv(path, task)


def _read_hub(task: Task, split: str, language: str) -> Rows:
    if task.hub_id is None:
        raise InputError(f"data.name={task.name} is not on the hub: set data.source=bundled, or to a folder")
    remedy = (
        f"fetch it on a machine with a network by 'hf download {task.hub_id} --repo-type dataset', "
        "or set data.source to a folder of {train,dev}-LANG.tsv files"
    )
    require_hub(f"data set {task.hub_id}", remedy, cached_repo=("dataset", task.hub_id))
    import datasets

    try:
        data = datasets.load_dataset(task.hub_id, language, split=HUB_SPLITS[split])
    except ValueError as error:
        raise InputError(f"data set {task.hub_id} has no language {language!r}: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise InputError(f"data set {task.hub_id} cannot be fetched ({str(error).splitlines()[0]}); {remedy}") from None
    first, second, label = (list(data[column]) for column in task.hub_columns)
    return Rows([str(text) for text in first], [str(text) for text in second], [int(value) for value in label])
