"""The train, dev and test rows of the two tasks, and their files."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.bundled.data import inference_rows, paraphrase_rows
from tools.bundled.data.dictionary import TRANSLATED, dictionary
from tools.bundled.data.grammar import LANGUAGES
from tools.bundled.data.meanings import Meaning
from tools.bundled.data.rows import Row
from tools.bundled.data.sampling import Sampler

SEED = 7
LABEL_NOISE = 0.05
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Task:
    """What distinguishes one task from the other.

    Attributes:
        labels: The labels as they are written in the files.
        draw: Draws a row for the number of a label.
        stream: Name of the task in the seeds of its random draws.
        num_eval: Number of rows in the dev set, and in the test set.
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
    """Draw the rows of a task by split; the committed files were drawn with ``SEED``.

    No meaning of a split occurs in a later split, not even in another pairing. Labels are balanced; then a share
    ``LABEL_NOISE`` of the training rows, and of no others, gets another label.
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


def write(folder: Path, seed: int = SEED) -> None:
    """Write both tasks as ``folder/TASK/SPLIT-LANGUAGE.tsv``: sentence, sentence, label; no header.

    The training rows' translations, for views, go into ``folder/TASK/translations/LANGUAGE.tsv`` without a label, and
    the bilingual dictionaries into ``folder/dictionaries/en-LANGUAGE.txt``. The folder is made if it does not exist;
    the committed files were drawn with ``SEED``.
    """
    for name, task in TASKS.items():
        for split, rows in build(task, seed).items():
            for language in LANGUAGES:
                pairs = [f"{row.first[language]}\t{row.second[language]}" for row in rows]
                if split == "train" and language != "en":
                    _write(folder / name / "translations" / f"{language}.tsv", pairs)
                else:
                    labels = [task.labels[row.label] for row in rows]
                    lines = [f"{pair}\t{label}" for pair, label in zip(pairs, labels, strict=True)]
                    _write(folder / name / f"{split}-{language}.tsv", lines)
    for language in TRANSLATED:
        _write(folder / "dictionaries" / f"en-{language}.txt", [" ".join(pair) for pair in dictionary(language)])


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
