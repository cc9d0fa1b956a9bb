"""The train, dev and test rows of the two tasks, and the files that hold them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from trainables.data.bundled import FOLDER, inference_rows, paraphrase_rows
from trainables.data.bundled.dictionary import FILES, dictionary
from trainables.data.bundled.grammar import LANGUAGES
from trainables.data.bundled.meanings import Meaning
from trainables.data.bundled.rows import Row
from trainables.data.bundled.sampling import Sampler

SEED = 7
LABEL_NOISE = 0.05
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Task:
    """What tells one task from the other.

    Attributes:
        labels: the labels as the files have them.
        draw: draws a row for the number of a label.
        stream: names the task in the seeds of its random draws.
        num_train: rows of the training set.
        num_eval: rows of the dev set, and of the test set.
    """

    labels: tuple[str, ...]
    draw: Callable[[int, Sampler], Row]
    stream: str
    num_train: int
    num_eval: int


TASKS = {
    "paraphrase": Task(paraphrase_rows.LABELS, paraphrase_rows.draw, stream="para", num_train=2000, num_eval=2000),
    "inference": Task(inference_rows.LABELS, inference_rows.draw, stream="nli", num_train=3000, num_eval=1500),
}


def build(task: Task, seed: int = SEED) -> dict[str, list[Row]]:
    """Draw the rows of a task.

    No meaning of a split occurs in a later split, not even in another row. Labels are balanced; then ``LABEL_NOISE`` of
    the training rows, and of no others, get another label.

    Args:
        task: one of TASKS.
        seed: the committed files have ``SEED``.

    Returns:
        The rows by split.
    """
    rows_of: dict[str, list[Row]] = {}
    seen: set[Meaning] = set()
    for split in SPLITS:
        rng = random.Random(f"{seed}-{task.stream}-{split}")
        num_rows = task.num_train if split == "train" else task.num_eval
        rows = _draw_rows(task, num_rows, Sampler(rng, train=split == "train"), seen)
        seen.update(meaning for row in rows for meaning in row.meanings)
        rng.shuffle(rows)
        rows_of[split] = [_with_noise(row, task, rng) for row in rows] if split == "train" else rows
    return rows_of


def _draw_rows(task: Task, num_rows: int, sampler: Sampler, seen: set[Meaning]) -> list[Row]:
    rows: dict[tuple[Meaning, Meaning], Row] = {}
    while len(rows) < num_rows:
        row = task.draw(len(rows) % len(task.labels), sampler)
        if seen.isdisjoint(row.meanings) and row.meanings not in rows:
            rows[row.meanings] = row
    return list(rows.values())


def _with_noise(row: Row, task: Task, rng: random.Random) -> Row:
    if rng.random() >= LABEL_NOISE:
        return row
    return row._replace(label=rng.choice([label for label in range(len(task.labels)) if label != row.label]))


def translations(task: Task, seed: int = SEED) -> dict[str, list[tuple[str, str]]]:
    """The training rows in the languages other than English, for views by translation; generated, not stored.

    Args:
        task: one of TASKS.
        seed: the committed files have ``SEED``.

    Returns:
        Language to sentence pairs, row by row those of ``train-en.tsv``.
    """
    rows = build(replace(task, num_eval=0), seed)["train"]
    return {
        language: [(row.first[language], row.second[language]) for row in rows]
        for language in LANGUAGES
        if language != "en"
    }


def write(folder: Path, seed: int = SEED) -> None:
    """Write both tasks as ``folder/TASK/SPLIT-LANGUAGE.tsv``: sentence, sentence, label; no header.

    The bilingual dictionaries go into ``folder/dictionaries/en-LANGUAGE.txt``.

    Args:
        folder: created where it does not exist.
        seed: the committed files have ``SEED``.
    """
    for name, task in TASKS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for split, rows in build(task, seed).items():
            for language in ("en",) if split == "train" else LANGUAGES:
                text = "".join(
                    f"{row.first[language]}\t{row.second[language]}\t{task.labels[row.label]}\n" for row in rows
                )
                (folder / name / f"{split}-{language}.tsv").write_bytes(text.encode())
    for language, path in FILES.items():
        target = folder / path.relative_to(FOLDER)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{word} {translation}\n" for word, translation in dictionary(language))
        target.write_bytes(text.encode())
