"""The committed files: where they come from, and what may not be in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tools.bundled.data.__main__ import main
from tools.bundled.data.grammar import LANGUAGES
from tools.bundled.data.rows import Row
from tools.bundled.data.splits import TASKS, build
from trainables.data.bundled import FOLDER

SIZES = {"paraphrase": (2000, 2000, 2000), "inference": (3000, 1500, 1500)}
LABELS = {"paraphrase": ("0", "1"), "inference": ("entailment", "neutral", "contradiction")}


def read(task: str, split: str, language: str) -> list[list[str]]:
    text = (FOLDER / task / f"{split}-{language}.tsv").read_bytes().decode()
    assert text.endswith("\n")
    assert "\r" not in text
    return [line.split("\t") for line in text[:-1].split("\n")]


@pytest.fixture(scope="module")
def built() -> dict[str, dict[str, list[Row]]]:
    return {name: build(task) for name, task in TASKS.items()}


def test_regenerating_gives_the_committed_bytes(tmp_path: Path) -> None:
    main(["--out", str(tmp_path)])
    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.tsv")}
    committed = {path.relative_to(FOLDER): path.read_bytes() for path in FOLDER.rglob("*.tsv")}
    assert written.keys() == committed.keys()
    assert len(committed) == 24
    assert all(content == committed[path] for path, content in written.items())


def test_equal_seeds_give_equal_rows_and_others_do_not() -> None:
    task = replace(TASKS["inference"], num_train=30, num_eval=30)
    assert build(task, seed=8) == build(task, seed=8)
    assert build(task, seed=8) != build(task, seed=9)


def test_a_file_in_place_of_the_folder_is_a_user_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as caught:
        main(["--out", str(tmp_path / "file")])
    assert caught.value.code == 2
    assert "--out takes a folder that can be written to" in capsys.readouterr().err


@pytest.mark.parametrize("task", SIZES)
def test_files_have_their_columns_rows_and_labels(task: str) -> None:
    for split, num_rows in zip(("train", "dev", "test"), SIZES[task], strict=True):
        for language in ("en",) if split == "train" else LANGUAGES:
            rows = read(task, split, language)
            assert len(rows) == num_rows
            assert all(len(row) == 3 and row[0] and row[1] and row[0] != row[1] for row in rows)
            assert {row[2] for row in rows} == set(LABELS[task])


@pytest.mark.parametrize("task", SIZES)
@pytest.mark.parametrize("split", ["dev", "test"])
def test_dev_and_test_are_parallel_and_balanced(task: str, split: str, built: dict[str, dict[str, list[Row]]]) -> None:
    rows = {language: read(task, split, language) for language in LANGUAGES}
    for language in LANGUAGES:
        assert [row[2] for row in rows[language]] == [row[2] for row in rows["en"]]
        said = [(row.first[language], row.second[language]) for row in built[task][split]]
        assert [(row[0], row[1]) for row in rows[language]] == said
    counts = Counter(row[2] for row in rows["en"])
    assert set(counts.values()) == {len(rows["en"]) // len(LABELS[task])}


@pytest.mark.parametrize("task", SIZES)
def test_train_labels_are_balanced_but_for_noise(task: str) -> None:
    counts = Counter(row[2] for row in read(task, "train", "en"))
    share = 1 / len(LABELS[task])
    assert all(abs(count / SIZES[task][0] - share) < 0.01 for count in counts.values())


@pytest.mark.parametrize("task", SIZES)
def test_no_meaning_and_no_pair_is_in_two_splits(task: str, built: dict[str, dict[str, list[Row]]]) -> None:
    splits = built[task]
    meanings = [{meaning for row in rows for meaning in row.meanings} for rows in splits.values()]
    pairs = [{frozenset((row[0], row[1])) for row in read(task, split, "en")} for split in ("train", "dev", "test")]
    for sets in (meanings, pairs):
        assert sets[0].isdisjoint(sets[1])
        assert sets[0].isdisjoint(sets[2])
        assert sets[1].isdisjoint(sets[2])


def test_one_sentence_of_inference_test_is_in_train() -> None:
    """A hypothesis of one clause: its meanings differ in the quantity of the second clause, which neither says."""
    for task, expected in (("paraphrase", set()), ("inference", {"Thomas sold 100 carpets."})):
        sentences = {
            split: {sentence for row in read(task, split, "en") for sentence in row[:2]}
            for split in ("train", "dev", "test")
        }
        assert not sentences["train"] & sentences["dev"]
        assert sentences["train"] & sentences["test"] == expected


def bag_of_words(sentences: list[str], vocabulary: dict[str, int]) -> np.ndarray:
    bag = np.zeros((len(sentences), len(vocabulary)))
    for row, sentence in enumerate(sentences):
        for word in sentence.lower().rstrip(".").split():
            if word in vocabulary:
                bag[row, vocabulary[word]] += 1
    return bag


def linear_accuracy(task: str, *, hypothesis_only: bool) -> float:
    """English dev accuracy of ridge regression on the words of each sentence, trained on the training rows."""
    train, dev = read(task, "train", "en"), read(task, "dev", "en")
    words = sorted({word for row in train for sentence in row[:2] for word in sentence.lower().rstrip(".").split()})
    vocabulary = {word: number for number, word in enumerate(words)}
    columns = (1,) if hypothesis_only else (0, 1)

    def features(rows: list[list[str]]) -> np.ndarray:
        bags = [bag_of_words([row[column] for row in rows], vocabulary) for column in columns]
        return np.hstack([*bags, np.ones((len(rows), 1))])

    labels = LABELS[task]
    targets = np.array([[row[2] == label for label in labels] for row in train], float)
    inputs = features(train)
    weights = np.linalg.solve(inputs.T @ inputs + 10.0 * np.eye(inputs.shape[1]), inputs.T @ targets)
    guesses = (features(dev) @ weights).argmax(1)
    return float(np.mean([labels[guess] == row[2] for guess, row in zip(guesses, dev, strict=True)]))


def overlap_accuracy(task: str) -> float:
    """English dev accuracy of the best threshold, found on train, on the share of words in common; two labels."""

    def overlap(row: list[str]) -> float:
        first, second = (set(sentence.lower().rstrip(".").split()) for sentence in row[:2])
        return len(first & second) / len(first | second)

    train, dev = ([(overlap(row), row[2] == "1") for row in read(task, split, "en")] for split in ("train", "dev"))

    def accuracy(threshold: float, rows: list[tuple[float, bool]]) -> float:
        return sum((value >= threshold) == label for value, label in rows) / len(rows)

    best = max(sorted({value for value, _ in train}), key=lambda threshold: accuracy(threshold, train))
    return accuracy(best, dev)


def test_words_alone_do_not_tell_paraphrases() -> None:
    assert overlap_accuracy("paraphrase") < 0.55
    assert linear_accuracy("paraphrase", hypothesis_only=False) < 0.55


def test_words_alone_tell_inference_as_far_as_the_data_card_says() -> None:
    assert 0.45 < linear_accuracy("inference", hypothesis_only=True) < 0.57
    assert 0.50 < linear_accuracy("inference", hypothesis_only=False) < 0.63
