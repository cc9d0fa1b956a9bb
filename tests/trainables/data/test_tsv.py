import pytest

from trainables.data.sets.pawsx import TASK as PAWSX
from trainables.data.sets.xnli import TASK as XNLI
from trainables.data.tsv import read_table, rows_of
from trainables.errors import InputError


def write(path, data):
    path.write_bytes(data)
    return path


def test_crlf_csv_quoting_and_control_characters(tmp_path):
    path = write(tmp_path / "dev-es.tsv", 'a "" b\t"c ""d"" e"\t1\r\n"f"\tg\x85\x1c h\t0\r\n'.encode())
    rows = rows_of(read_table(path), PAWSX)
    assert rows.first == ['a "" b', '"f"']
    assert rows.second == ['c "d" e', "g\x85\x1c h"]
    assert rows.labels == [1, 0]


def test_a_byte_order_mark_is_no_part_of_the_first_sentence(tmp_path):
    path = write(tmp_path / "dev-de.tsv", b"\xef\xbb\xbfa\tb\t1\n")
    assert rows_of(read_table(path), PAWSX).first == ["a"]


def test_quotes_of_a_sentence_are_kept(tmp_path):
    lines = ['"a"\tsaid "b"\t1', '""\t"a" and "b"\t0', '"\t"a""\t0']
    rows = rows_of(read_table(write(tmp_path / "dev-en.tsv", "\n".join(lines).encode())), PAWSX)
    assert rows.examples() == [('"a"', 'said "b"'), ('""', '"a" and "b"'), ('"', '"a""')]


def test_labels_by_name_and_alias(tmp_path):
    path = write(tmp_path / "train-en.tsv", b"a\tb\tentailment\nc\td\tcontradictory\ne\tf\tneutral\n")
    assert rows_of(read_table(path), XNLI).labels == [0, 2, 1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a\tb\t1\nonly one\n", r"bad.tsv, line 2: expected 3 tab-separated columns .* found 1$"),
        (b"a\tb\n", r"line 1: .* found 2; files without labels cannot be used here"),
        (b"a\tb\t1\nc\td\tmaybe\n", r"line 2: label 'maybe' is not one of 0, 1"),
        (b"a\tb\t1\nc\td\t \n", r"line 2: the label is missing"),
        (b"a\tb\t1\n\nc\td\t1\n", r"line 2: expected 3 .* but the line is blank: found 1$"),
        (b"s1\ts2\tgold\nc\td\t1\n", r"line 1: label 'gold' is not one of 0, 1; if the line is a header, remove it$"),
        (b"\n \n", r"bad.tsv is empty"),
        (b"", r"bad.tsv is empty"),
        (b"a\xff\tb\t1\n", r"is not UTF-8 text \(invalid start byte at byte 1\)"),
    ],
)
def test_bad_files_name_the_line(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        rows_of(read_table(write(tmp_path / "bad.tsv", data)), PAWSX)


def test_blank_lines_at_the_end_are_none(tmp_path):
    assert len(rows_of(read_table(write(tmp_path / "dev-en.tsv", b"a\tb\t1\nc\td\t0\n\n \r\n")), PAWSX)) == 2
