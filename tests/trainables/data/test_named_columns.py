"""Files with named columns: every value as it stands in the file, and what is wrong with one said in a line."""

import gzip
import json

import pytest

from trainables.data.named_columns import read_named
from trainables.errors import InputError

COLUMNS = ("text", "label")


def read(path, content, columns=COLUMNS):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [fields for _, fields in read_named([path], columns).lines]


def test_quotes_of_a_tab_separated_file_are_text_as_in_a_folder(tmp_path):
    rows = [["plain one", "pos"], ['"Oh no, he began', "neg"], ["middle", "pos"], ['he said "', "neg"], ["last", "pos"]]
    text = "".join(f"{first}\t{label}\r\n" for first, label in [COLUMNS, *rows])
    assert read(tmp_path / "a.tsv", text) == rows
    assert read(tmp_path / "b.tsv", f'{text}"he said ""no"""\tneg\n')[-1] == ['he said "no"', "neg"]
    assert read(tmp_path / "c.tsv.gz", gzip.compress(text.encode("utf-8-sig"))) == rows


def test_fields_of_csv_are_text_as_they_stand(tmp_path):
    text = 'text,label\n007,a\n1e3,b\n1.50,a\nNA,b\n"one, two",a\n'
    assert [row[0] for row in read(tmp_path / "a.csv", text)] == ["007", "1e3", "1.50", "NA", "one, two"]
    many = "text,label\n" + "".join(f"row {i},{i % 2}\n" for i in range(10_500)) + "no label,-\n"
    assert read(tmp_path / "b.csv", many)[-1] == ["no label", "-"]


def test_values_of_json_lines_keep_their_types(tmp_path):
    rows = [{"text": "2020-01-01", "label": 0}, {"text": "b", "label": "-"}, {"text": "c", "label": 2}, {"text": "d"}]
    expected = [["2020-01-01", "0"], ["b", "-"], ["c", "2"], ["d", ""]]
    assert read(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)) == expected
    assert read(tmp_path / "a.json", json.dumps(rows)) == expected


def test_a_missing_number_of_parquet_is_no_class(tmp_path):
    import pandas as pd

    pd.DataFrame({"text": ["a", "b"], "label": [1.0, None]}).to_parquet(tmp_path / "a.parquet")
    assert [fields for _, fields in read_named([tmp_path / "a.parquet"], COLUMNS).lines] == [["a", "1.0"], ["b", ""]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\na,b\nc,d,e\n", r"a.csv cannot be read: .*Expected 2 fields in line 3, saw 3"),
        ("a.csv", "text,label\na,b,c\nd,e,f\n", r"a.csv cannot be read: its rows have more fields than its header"),
        ("a.csv", "", r"a.csv cannot be read: No columns"),
        ("a.csv", "text,label\n", r"a.csv has no row"),
        ("a.csv", "text,label\ncaf\xe9,b\n".encode("latin-1"), r"a.csv cannot be read: .*utf-8"),
        ("a.jsonl", "", r"a.jsonl has no column 'text'; it has none"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text"\n', r"a.jsonl cannot be read: line 2: Expecting"),
        ("a.jsonl", "[1, 2]\n", r"a.jsonl cannot be read: it takes an object for each row"),
        ("a.jsonl", '{"text": {"en": "a"}, "label": "b"}\n', r"column 'text' holds a dict in some row, and not text"),
        ("a.jsonl", '{"text": "a", "label": [0]}\n', r"column 'label' holds a list in some row, and not text"),
        ("a.parquet", "no parquet", r"a.parquet is damaged \(.*\); fetch it again"),
        ("a.txt", "text", r"a.txt is none of .parquet, .json, .jsonl, .csv, .tsv"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_one_line(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / name, content)
    assert "\n" not in str(caught.value)


def test_a_number_beyond_the_names_of_the_labels_is_refused(tmp_path):
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    table = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    table.to_parquet(str(tmp_path / "a.parquet"))
    assert [fields[1] for _, fields in read_named([tmp_path / "a.parquet"], COLUMNS).lines] == ["yes", "no"]
    import pyarrow as pa
    import pyarrow.parquet as pq

    raw = pq.read_table(tmp_path / "a.parquet")
    pq.write_table(raw.set_column(1, raw.schema.field(1), pa.array([1, 5])), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="label 5 is none of the 2 that the file names: no, yes"):
        read_named([tmp_path / "b.parquet"], COLUMNS)
