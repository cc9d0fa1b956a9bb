"""Rows without a usable label, labels by number, and the test files."""

import pytest

from trainables.config import DataConfig
from trainables.data.contract import Rows
from trainables.data.notes import NOTHING, Dropped, describe
from trainables.data.task_data import load_task_data
from trainables.errors import InputError

TRAIN = ["a\tb\tneutral", "c\td\tentailment", "e\tf\tcontradiction", "g\th\tneutral"]
DEV = [f"{n}\tx\tneutral" for n in range(6)]


def folder_of(path, **files):
    for name, lines in {"train-en": TRAIN, "dev-en": DEV, "dev-de": DEV, **files}.items():
        (path / f"{name.replace('_', '-')}.tsv").write_text("".join(f"{line}\n" for line in lines))
    return path


def load(folder, name="xnli", **changes):
    return load_task_data(
        DataConfig(name=name, source=str(folder), languages=("de",), train_examples=None, split="file_order", **changes)
    )


@pytest.mark.parametrize("mark", ["-", "-1", ""])
def test_a_row_without_a_label_is_refused_with_the_option_or_dropped_in_every_language(tmp_path, mark):
    german = [line.replace("neutral", mark) if line[0] in "14" else line for line in DEV]
    folder = folder_of(tmp_path, train_en=[*TRAIN, f"i\tj\t{mark}"], dev_de=german)
    with pytest.raises(
        InputError, match="line 5: the label is missing.*, as on 1 of 5 lines; data.unlabelled=drop"
    ) as e:
        load(folder)
    assert "\n" not in str(e.value)
    data = load(folder, unlabelled="drop")
    assert [len(data.train), data.train_total] == [4, 5]
    assert data.validation_rows == dict.fromkeys(("en", "de"), (0, 2, 3, 5))
    assert data.validation["en"].first == data.validation["de"].first == ["0", "2", "3", "5"]
    assert set(data.train.labels) == {0, 1, 2}
    assert data.notes[:2] == (
        "data xnli: 2 of 6 validation rows were dropped from every language, since there is no label: de 2",
        "data xnli: training rows dropped, since there is no label: 1",
    )


def test_nothing_to_drop_changes_no_fingerprint(tmp_path):
    folder = folder_of(tmp_path)
    assert load(folder, unlabelled="drop").fingerprint == load(folder).fingerprint


def test_a_split_without_any_label_is_refused(tmp_path):
    folder = folder_of(tmp_path, dev_de=["x\ty\t-"] * 6)
    with pytest.raises(InputError, match="no validation row is left"):
        load(folder, unlabelled="drop")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["-1", "0", "1"], ("-1", "0", "1")),
        (["-2", "-1", "2"], ("-1", "-2", "2")),
        (["-1", "0", "1", "2"], ("0", "1", "2")),
        (["-1", "neg", "pos"], ("neg", "pos")),
        (["-", "0", "1"], ("0", "1")),
    ],
)
def test_minus_one_is_a_class_on_a_scale_only(tmp_path, labels, classes):
    lines = [f"{n} {label}\t{label}" for n in range(3) for label in labels]
    folder = folder_of(tmp_path, train_en=lines, dev_en=lines, dev_de=lines)
    data = load(folder, "custom", unlabelled="drop")
    assert data.labels == classes
    assert ("data custom: label -1 is a class here; if it means none, name data.labels" in data.notes) == (
        "-1" in classes
    )


def test_numbers_stand_for_the_names_in_the_order_given(tmp_path):
    numbers = ["a\tb\t0", "c\td\t1", "e\tf\t2", "g\th\t0"]
    folder = folder_of(tmp_path, train_en=numbers)
    with pytest.raises(
        InputError, match="label '0' is not one of .*say in which order: data.labels=entailment,neutral"
    ):
        load(folder)
    data = load(folder, labels=("contradiction", "entailment", "neutral"))
    assert data.labels == ("entailment", "neutral", "contradiction")
    assert dict(zip(data.train.first, data.train.labels, strict=True)) == {"a": 2, "c": 0, "e": 1, "g": 2}
    assert data.validation["en"].labels == [1] * 6


def test_numbers_of_a_custom_task(tmp_path):
    lines = ["a\t1", "b\t0", "c\t1"]
    folder = folder_of(tmp_path, train_en=lines, dev_en=["x\tpos", "y\tneg"], dev_de=["x\t0", "y\t1"])
    data = load(folder, "custom", labels=("pos", "neg"))
    assert dict(zip(data.train.first, data.train.labels, strict=True)) == {"a": 1, "b": 0, "c": 1}
    assert (data.validation["en"].labels, data.validation["de"].labels) == ([0, 1], [0, 1])


def test_a_file_that_mixes_names_and_numbers_is_refused(tmp_path):
    folder = folder_of(tmp_path, train_en=["a\tpos", "b\tneg", "c\t1"], dev_en=["x\tpos"], dev_de=["x\tpos"])
    with pytest.raises(InputError, match="line 3: label '1' is not one of pos, neg"):
        load(folder, "custom", labels=("pos", "neg"))


def test_test_rows_are_read_with_the_option_alone_and_are_part_of_the_fingerprint(tmp_path):
    test = ["0\tx\tneutral", "q\tb\tentailment", "a\tb\tneutral"]
    folder = folder_of(tmp_path, test_en=test, test_de=test)
    assert load(folder).test == {}
    data = load(folder, test=True)
    assert (data.test["de"].first, data.test_rows["de"]) == (["0", "q", "a"], (0, 1, 2))
    assert data.fingerprint != load(folder).fingerprint
    assert data.notes == (
        "data xnli: test examples that are a training example too: en 1 (of 3 a language)",
        "data xnli: test examples that share a sentence with a training example: en 2 (of 3 a language)",
        "data xnli: test examples that are a validation example too: en 1, de 1 (of 3 a language)",
        "data xnli: test examples that share a sentence with a validation example: en 1, de 1 (of 3 a language)",
    )


def test_a_missing_or_unlabelled_test_file_is_named(tmp_path):
    folder = folder_of(tmp_path, test_en=["a\tb"])
    with pytest.raises(InputError, match="has no test-de.tsv; found: "):
        load(folder, test=True)
    (folder / "test-de.tsv").write_text("a\tb\n")
    with pytest.raises(InputError, match="test-en.tsv, line 1: .*files without labels cannot be used here"):
        load(folder, test=True)


def test_empty_and_identical_sentences_are_counted():
    rows = Rows(["a", " ", "b"], ["a ", "c", "d"], [0, 1, 0])
    fine = Rows(["e"], ["f"], [1])
    assert describe("t", rows, {}, {"en": fine, "de": rows}, NOTHING, Dropped(0, 0, 1, {}, test=4)) == (
        "data t: test rows dropped from every language, since there is no label: 4",
        "data t: rows with an empty sentence: validation de 1, training 1",
        "data t: rows whose two sentences are identical: validation de 1, training 1",
    )
