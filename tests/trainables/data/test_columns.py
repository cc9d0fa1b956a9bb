import pytest

from trainables.data.columns import find_columns, parse_columns
from trainables.data.labels import ClassNames
from trainables.errors import InputError

NAMES = ClassNames({"neg": 0, "pos": 1}, 2)


def found(tmp_path, text, given=None):
    lines = [(number, line.split("\t")) for number, line in enumerate(text.split("\n"), start=1)]
    return find_columns(tmp_path / "rows.tsv", lines, NAMES.fit, given and parse_columns(given)).describe(len(lines))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a b", "1 sentence, no labels"),
        ("a b\tc d\ne f\tg h", "2 pairs, no labels"),
        ("a b\tpos\ne f\tneg", "2 sentences, labels in column 2"),
        ("a b\t1\ne f\t0", "2 sentences, labels in column 2"),
        ("a b\tPOS\ne f\tpos ", "2 sentences, labels in column 2"),
        ("a b\tc d\tpos\ne f\tg h\tneg", "2 pairs, labels in column 3"),
        ("a b\tc d\tyes\ne f\tg h\tno", "2 pairs, labels in column 3"),
        ("a b\tc d\tpos\ne f\tg h\t-\ni\tj\tneg", "3 pairs, labels in column 3"),
    ],
)
def test_columns_that_are_in_no_doubt(tmp_path, text, said):
    assert found(tmp_path, text) == said


LONG = "a sentence that nobody would take for the name of a class"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n".join(["a b\tgood", "c d\tbad"] * 2), "column 2 holds 2 different values in 4 lines, as labels do"),
        ("a b\tpos\nc d\tneg\ne f\t-", "column 2 holds 3 different values in 3 lines, as labels do"),
        ("pos\ta b\nneg\tc d", "column 1 holds labels of the classifier and no sentences"),
        ("12\ta b\tpos\n13\tc d\tneg", "column 1 holds no sentences"),
        ("a b\t\nc d\t\ne f\t", "column 2 holds no sentences"),
        (f"0\tpolitics\t{LONG}\n1\thealth\t{LONG} too", "column 3 seems to hold sentences and no labels"),
        ("id\ta b\tc d\tpos", "expected 1 to 3 tab-separated columns .*, found 4"),
    ],
)
def test_doubt_is_refused_and_settled(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"rows.tsv: ({message}).*; say which is which by --columns") as caught:
        found(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert "in column 2" in found(tmp_path, text, "first=2")


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("sentence\na b", None),
        ("sentence1\tsentence2\na b\tc d", None),
        ("Premise\tHypothesis\tgold_label\na\tb\tpos", None),
        ("Satz\tKlasse\na b\tpos\nc d\tneg", None),
        ("Satz\tSatz\tKlasse\n" + "\n".join(["a b\tc d\tja", "e f\tg h\tnein"] * 3), None),
        ("index_id\tcategory\ttext\n0\tpos\ta b", "first=3,label=2"),
        ("nr\tKlasse\tSatz\n0\tpos\ta b\n1\tneg\tc d", "first=3,label=2"),
    ],
)
def test_headers(tmp_path, text, given):
    with pytest.raises(InputError, match=r"rows.tsv, line 1: .* seems to be a header; remove the line$"):
        found(tmp_path, text, given)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a\n\nb", "line 2: the line is blank; remove it"), ("a\tb\nc", "line 2: 1 columns, but line 1 has 2")],
)
def test_lines_that_are_not_as_they_must_be(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        found(tmp_path, text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "expected first=N,second=N|none,label=N|none, with columns counted from 1; got ''"),
        ("first=0", "expected first=N"),
        ("first=one", "expected first=N"),
        ("third=1", "expected first=N"),
        ("first=1,first=2", "expected first=N"),
        ("label=2", "first is missing in 'label=2'"),
        ("first=none", "first is missing"),
        ("first=2,label=2", "a column has two roles"),
        ("first=1,label=3", "names column 3, but the file has 2"),
    ],
)
def test_wrong_columns(tmp_path, given, message):
    with pytest.raises(InputError, match="--columns") as caught:
        find_columns(tmp_path / "rows.tsv", [(1, ["a b", "c d"])], NAMES.fit, parse_columns(given))
    assert message in str(caught.value)
