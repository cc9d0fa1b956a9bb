import csv

import pytest

from trainables.data.pawsx import TASK as PAWSX
from trainables.data.tsv import read_tsv
from trainables.data.xnli import TASK as XNLI
from trainables.errors import InputError


def write(path, data):
    path.write_bytes(data)
    return path


def test_crlf_csv_quoting_and_control_characters(tmp_path):
    path = write(tmp_path / "dev-es.tsv", 'a "" b\t"c ""d"" e"\t1\r\n"f"\tg\x85\x1c h\t0\r\n'.encode())
    rows = read_tsv(path, PAWSX)
    assert rows.first == ['a "" b', '"f"']
    assert rows.second == ['c "d" e', "g\x85\x1c h"]
    assert rows.labels == [1, 0]


def test_labels_by_name_and_alias(tmp_path):
    path = write(tmp_path / "train-en.tsv", b"a\tb\tentailment\nc\td\tcontradictory\ne\tf\tneutral\n")
    assert read_tsv(path, XNLI).labels == [0, 2, 1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a\tb\t1\nonly one\n", r"bad.tsv, line 2: expected 3 tab-separated columns .* found 1$"),
        (b"a\tb\n", r"line 1: .* found 2; files without labels cannot be used here"),
        (b"a\tb\t1\nc\td\tmaybe\n", r"line 2: label 'maybe' is not one of 0, 1"),
        (b"", r"bad.tsv is empty"),
        (b"a\xff\tb\t1\n", r"is not UTF-8 text \(invalid start byte at byte 1\)"),
    ],
)
def test_bad_files_name_the_line(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        read_tsv(write(tmp_path / "bad.tsv", data), PAWSX)


def test_xtremes_own_file_reads_as_a_csv_reader_has_it_and_equals_the_plain_copy(shared):
    raw = shared / "data" / "xtreme-raw" / "pawsx" / "dev-es.tsv"
    rows = read_tsv(raw, PAWSX)
    with raw.open(newline="", encoding="utf-8") as stream:
        expected = list(csv.reader(stream, delimiter="\t"))
    assert rows.first == [line[0] for line in expected]
    assert rows.second == [line[1] for line in expected]
    assert rows == read_tsv(shared / "data" / "pawsx" / "dev-es.tsv", PAWSX)
    with pytest.raises(InputError, match="files without labels"):
        read_tsv(shared / "data" / "xtreme-raw" / "pawsx" / "test-de.tsv", PAWSX)


def test_korean_rows_with_control_characters_stay_whole(shared):
    assert len(read_tsv(shared / "data" / "pawsx" / "dev-ko.tsv", PAWSX)) == 2000
