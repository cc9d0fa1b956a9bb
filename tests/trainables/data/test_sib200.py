"""SIB-200: language codes, splits that are pooled, and second stages in some of the languages."""

import pytest

from trainables.config import DataConfig
from trainables.data.sets.sib200 import TASK
from trainables.data.task_data import load_task_data
from trainables.data.tsv import read_table, rows_of
from trainables.errors import InputError

SIZES = {"train": 701, "dev": 99, "test": 204}
SHORT = {code: short for short, code in TASK.codes.items()}


def write(folder, code, split, rows):
    path = folder / code / f"{split}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{number}\t{TASK.labels[number % 3]}\t{code} sentence {number}" for number in rows]
    path.write_text("\n".join(["index_id\tcategory\ttext", *lines]) + "\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    for code in ("eng_Latn", "deu_Latn", "zho_Hans"):
        for split, rows in (("train", range(20)), ("dev", range(20, 26)), ("test", range(26, 34))):
            write(tmp_path, code, split, rows)
    return tmp_path


def load(folder, languages=("de", "zh"), **changes):
    values = {"train_examples": 12, "stage2_examples": 4} | changes
    return load_task_data(DataConfig(name="sib200", source=str(folder), languages=languages, **values))


def numbers(rows):
    return [int(text.rsplit(" ", 1)[1]) for text in rows.first]


def test_every_row_trains_or_validates_and_none_does_both_in_any_language(folder):
    data = load(folder)
    train, stage2, validation = numbers(data.train), numbers(data.stage2["de"]), numbers(data.validation["en"])
    assert (len(train), len(stage2), len(validation)) == (12, 4, 34 - 12 - 4)
    assert sorted(train + stage2 + validation) == list(range(34))
    assert numbers(data.stage2["zh"]) == stage2
    for language, code in (("de", "deu_Latn"), ("zh", "zho_Hans")):
        assert numbers(data.validation[language]) == validation
        assert all(text.startswith(f"{code} ") for text in data.validation[language].first)
        assert data.validation[language].labels == [number % 3 for number in validation]


def test_a_larger_draw_begins_with_the_smaller_one(folder):
    assert numbers(load(folder, train_examples=15).train)[:12] == numbers(load(folder).train)


def test_codes_of_flores_are_taken_too_and_give_the_same_rows(folder):
    short, long = load(folder), load(folder, ("deu_Latn", "zho_Hans"))
    assert short.validation["de"] == long.validation["deu_Latn"]


@pytest.mark.parametrize(
    ("language", "said"),
    [("deu-Latn", "did you mean deu_Latn"), ("xx", "it has ar, bn, de"), ("jp", "did you mean ")],
)
def test_an_unknown_language_is_one_line_with_what_may_be_meant(folder, language, said):
    with pytest.raises(InputError, match=f"data.languages: sib200 has no language '{language}'; {said}"):
        load(folder, (language,))


def test_a_language_without_a_split_names_the_file(folder):
    (folder / "deu_Latn" / "test.tsv").unlink()
    with pytest.raises(InputError, match=r"has no test-de\.tsv; found: .*deu_Latn/dev\.tsv"):
        load(folder)


@pytest.mark.parametrize(
    ("split", "rows", "name"),
    [("train", range(1, 21), "training"), ("dev", range(21, 27), "validation"), ("test", range(27, 35), "test")],
)
def test_labels_that_differ_between_languages_are_refused(folder, split, rows, name):
    write(folder, "deu_Latn", split, rows)
    with pytest.raises(InputError, match=f"{name} rows must be parallel, but the labels of en and de differ"):
        load(folder)


@pytest.mark.parametrize("change", [{"test": True}, {"unlabelled": "drop"}, {"drop_untranslated": True}])
def test_what_would_take_rows_away_is_refused(folder, change):
    (name,) = change
    with pytest.raises(InputError, match=f"data.{name} is not for data.name=sib200"):
        load(folder, **change)


def test_second_stages_in_some_languages(folder):
    data = load(folder, stage2_languages=("zh",))
    assert list(data.stage2) == ["zh"]
    assert list(data.validation) == ["en", "de", "zh"]
    with pytest.raises(ValueError, match=r"data.stage2_languages: 'fr' is not among data.languages, de,zh"):
        load(folder, stage2_languages=("fr",))
    with pytest.raises(ValueError, match="data.stage2_examples=4, but data.stage2_languages names no language"):
        load(folder, stage2_languages=())


def test_the_real_files_are_complete_parallel_and_equally_labelled(shared):
    root = shared / "data" / "sib200"
    codes = sorted(path.name for path in root.iterdir() if path.is_dir())
    assert len(codes) == 22
    assert set(codes) <= set(TASK.codes.values())
    for split, size in SIZES.items():
        labels = {code: rows_of(read_table(root / code / f"{split}.tsv"), TASK).labels for code in codes}
        assert {len(found) for found in labels.values()} == {size}
        assert len({tuple(found) for found in labels.values()}) == 1


def test_the_real_rows_of_every_language(shared):
    languages = tuple(SHORT[code] for code in SHORT if code != "eng_Latn")
    data = load(shared / "data" / "sib200", languages, train_examples=501, stage2_examples=100)
    assert {len(rows) for rows in data.validation.values()} == {1004 - 501 - 100}
    assert len(data.validation) == 22
