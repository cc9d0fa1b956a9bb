"""Every real file, against the counts of the data's own README."""

import csv

import pytest

from trainables.data.notes import untranslated
from trainables.data.registry import find_set
from trainables.data.tsv import read_table, rows_of
from trainables.errors import InputError

PAWSX = {  # file: rows, rows of label 1, rows with NS, rows of two equal sentences
    "train-en": (8574, 3822, 0, None),
    "dev-en": (2000, 863, 0, 0),
    "dev-de": (2000, 831, 68, 50),
    "dev-es": (2000, 847, 38, 21),
    "dev-zh": (2000, 853, 16, 72),
    "dev-fr": (2000, 860, 8, 58),
    "dev-ja": (2000, 854, 20, 40),
    "dev-ko": (2000, 840, 35, 24),
    "test-en": (2000, 907, 0, 2),
    "test-de": (2000, 895, 32, 33),
    "test-es": (2000, 907, 1, 21),
    "test-zh": (2000, 894, 25, 74),
    "test-fr": (2000, 903, 14, 28),
    "test-ja": (2000, 883, 54, 25),
    "test-ko": (2000, 896, 28, 24),
}
XNLI = {  # file: rows of each label
    "train-en": (5332, 5323, 5235),
    "mnli-matched-dev-en": (3479, 3123, 3213),
    **{f"dev-{language}": (830, 830, 830) for language in ("en", "de", "es", "zh", "fr")},
    **{f"test-{language}": (1670, 1670, 1670) for language in ("en", "de", "es", "zh", "fr")},
}


def test_the_tables_name_every_file(shared):
    for name, table in (("pawsx", PAWSX), ("xnli", XNLI)):
        assert {path.stem for path in (shared / "data" / name).glob("*.tsv")} == set(table)


@pytest.mark.parametrize("name", PAWSX)
def test_pawsx(shared, name):
    rows = rows_of(read_table(shared / "data" / "pawsx" / f"{name}.tsv"), find_set("pawsx"))
    total, ones, placeholders, equal = PAWSX[name]
    assert (len(rows), sum(rows.labels), len(untranslated(rows))) == (total, ones, placeholders)
    assert equal is None or sum(a == b for a, b in rows.examples()) == equal
    assert all(rows.labels[row] == 0 for row in untranslated(rows))


@pytest.mark.parametrize("name", XNLI)
def test_xnli(shared, name):
    rows = rows_of(read_table(shared / "data" / "xnli" / f"{name}.tsv"), find_set("xnli"))
    assert tuple(rows.labels.count(label) for label in range(3)) == XNLI[name]
    assert untranslated(rows) == []


def test_xtremes_own_file_reads_as_a_csv_reader_has_it_and_equals_the_plain_copy(shared):
    raw = shared / "data" / "xtreme-raw" / "pawsx" / "dev-es.tsv"
    rows = rows_of(read_table(raw), find_set("pawsx"))
    with raw.open(newline="", encoding="utf-8") as stream:
        expected = list(csv.reader(stream, delimiter="\t"))
    assert [[*example, str(label)] for example, label in zip(rows.examples(), rows.labels, strict=True)] == expected
    assert rows == rows_of(read_table(shared / "data" / "pawsx" / "dev-es.tsv"), find_set("pawsx"))


@pytest.mark.parametrize("path", ["pawsx/test-de.tsv", "xnli/test-zh.tsv"])
def test_xtremes_test_files_have_no_labels_and_are_refused(shared, path):
    with pytest.raises(InputError, match=r"line 1: expected 3 .* found 2; files without labels cannot be used here"):
        rows_of(read_table(shared / "data" / "xtreme-raw" / path), find_set(path.split("/")[0]))
