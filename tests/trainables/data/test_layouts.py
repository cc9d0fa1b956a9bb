"""Published data sets as they are unpacked, and what is said where a file is not found."""

import pytest

from trainables.config import DataConfig
from trainables.data.task_data import load_task_data
from trainables.errors import InputError
from trainables.views.translation import read_parallel

XNLI_HEADER = "language\tgold_label\tsentence1_binary_parse\tsentence1\tsentence2\tpromptID\tlabel1"


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def load(folder, name, *languages, **changes):
    return load_task_data(
        DataConfig(
            name=name, source=str(folder), languages=languages, train_examples=None, split="file_order", **changes
        )
    )


@pytest.mark.parametrize("inside", ["", "x-final/"])
def test_pawsx_as_unpacked_with_header_and_ids(tmp_path, inside):
    header = "id\tsentence1\tsentence2\tlabel"
    write(tmp_path / f"{inside}en/train.tsv", header, "7\ta\tb\t1", "8\tc\td\t0")
    for language in ("en", "de"):
        write(tmp_path / f"{inside}{language}/dev_2k.tsv", header, f"1\te {language}\tf\t1", "2\tg\th\t0")
        write(tmp_path / f"{inside}{language}/test_2k.tsv", header, f"1\tt {language}\tu\t0")
    data = load(tmp_path, "pawsx", "de", test=True)
    assert sorted(data.train.examples()) == [("a", "b"), ("c", "d")]
    assert data.validation["de"].examples() == [("e de", "f"), ("g", "h")]
    assert (data.validation["de"].labels, data.test["de"].labels) == ([1, 0], [0])
    assert data.test["de"].examples() == [("t de", "u")]


@pytest.mark.parametrize("places", [("", ""), ("XNLI-MT-1.0/multinli/", "XNLI-1.0/")])
def test_xnli_as_unpacked_with_all_languages_in_a_file(tmp_path, places):
    train, dev = places
    write(tmp_path / f"{train}multinli.train.en.tsv", "premise\thypo\tlabel", "a\tb\tneutral", "c\td\tcontradictory")
    rows = [
        f"{lang}\t{label}\t( x )\tp {lang}\th\t1\tx" for lang in ("de", "en") for label in ("entailment", "neutral")
    ]
    write(tmp_path / f"{dev}xnli.dev.tsv", XNLI_HEADER, *rows)
    data = load(tmp_path, "xnli", "de")
    assert sorted(data.train.labels) == [1, 2]
    assert data.validation["de"].examples() == [("p de", "h")] * 2
    assert data.validation["en"].labels == [0, 1]
    with pytest.raises(InputError, match=r"xnli.dev.tsv has no line of language 'fr'; it has de, en"):
        load(tmp_path, "xnli", "fr")


def test_translations_are_read_from_published_files(tmp_path):
    write(tmp_path / "translated_train.tsv", "id\tsentence1\tsentence2\tlabel", "1\tA\tB\t1", "2\tC\tD\t0")
    assert read_parallel(tmp_path / "translated_train.tsv", 2, 2).examples() == [("A", "B"), ("C", "D")]
    write(tmp_path / "multinli.train.de.tsv", "premise\thypo\tlabel", "A\tB\tneutral")
    assert read_parallel(tmp_path / "multinli.train.de.tsv", 1, 2).examples() == [("A", "B")]


def test_a_file_by_another_name_is_listed_with_the_rename(tmp_path):
    write(tmp_path / "train-en.tsv", "a\tb\t1", "c\td\t0")
    write(tmp_path / "translated" / "german.tsv", "a\tb\t1")
    found = "found: train-en.tsv, translated/german.tsv; rename the one that is meant to dev-en.tsv$"
    with pytest.raises(InputError, match=f"has no dev-en.tsv; {found}"):
        load(tmp_path, "pawsx", "de")


def test_a_header_without_a_second_sentence_is_not_of_a_pair_task(tmp_path):
    write(tmp_path / "train-en.tsv", "index_id\tcategory\ttext", "1\tx\ta")
    write(tmp_path / "dev-en.tsv", "a\tb\t1")
    with pytest.raises(InputError, match="line 1: the header names 1 sentences an example, but data.name=pawsx has 2"):
        load(tmp_path, "pawsx")


def test_sib200_reads_as_a_custom_task(shared):
    data = load(shared / "data" / "sib200", "custom", "deu_Latn", "zho_Hans", test=True)
    assert len(data.labels) == 7
    assert (len(data.train), data.train.second) == (701, None)
    assert {language: len(rows) for language, rows in data.test.items()} == {
        "en": 204,
        "deu_Latn": 204,
        "zho_Hans": 204,
    }
    assert data.validation["deu_Latn"].labels == data.validation["en"].labels


def test_the_file_of_all_languages_says_which_is_which(tmp_path):
    write(tmp_path / "train-en.tsv", "a\tb\tneutral", "c\td\tentailment")
    write(tmp_path / "xnli.dev.tsv", "p\tq\tneutral", "r\ts\tentailment")
    with pytest.raises(InputError, match=r"xnli.dev.tsv is the file of all languages, so it needs a header line"):
        load_task_data(DataConfig(name="xnli", source=str(tmp_path), languages=("de",), train_examples=None))
