"""Data sets as single files: found by name or by path, on a hub or as its copy, parallel or not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from huggingface_hub import constants

from tests.trainables.hub_cache import snapshot
from tests.trainables.hub_server import Hub, serving
from trainables.config import DataConfig
from trainables.data import sets
from trainables.data.registry import NAMES, find_set
from trainables.data.task_data import load_task_data
from trainables.errors import InputError
from trainables.hub import repository_files as hub

OWN = '''"""Moods of sentences: a made-up set."""

from trainables.data.contract import HubFiles, Task

MOODS = Task(
    name="moods",
    sentences=1,
    hub=HubFiles("someone/moods", "{split}/{language}.csv", ("words", "mood"), splits=("train", "test", "test")),
    languages=("german", "english"),
    codes={"de": "german", "en": "english"},
)
'''
SETS = Path(sets.__file__).parent
SIZES = {"train": 12, "validation": 8, "test": 4}


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(name="custom", languages=("de",), **changes):
    return load_task_data(DataConfig(name=name, languages=languages, **{"train_examples": None} | changes))


def moods(folder):
    for language in ("english", "german"):
        for split, size in (("train", 12), ("test", 6)):
            lines = [f'"{language} {split}, {n}",{("glad", "sad")[n % 2]}' for n in range(size)]
            path = folder / split / f"{language}.csv"
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n".join(["words,mood", *lines]) + "\n")
    return folder


def test_every_set_of_the_package_is_one_small_file():
    assert {"xnli", "pawsx", "sib200", "massive", "massive_scenario", "americas_nli"} <= set(NAMES)
    for name in NAMES:
        assert find_set(name).name == name
        assert len((SETS / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 25


def test_a_set_of_ones_own_takes_one_file_and_is_read_from_the_hub_and_from_a_copy(cache, tmp_path):
    assert len(OWN.splitlines()) <= 25
    (tmp_path / "my_set.py").write_text(OWN)
    name = f"{tmp_path}/my_set.py:MOODS"
    folder = moods(snapshot(cache, "dataset", "someone/moods"))
    data = load(name, stage2_examples=2)
    assert data.labels == ("glad", "sad")
    assert (len(data.train), len(data.stage2["de"]), len(data.validation["de"])) == (12, 2, 4)
    assert sorted(data.train.first)[0] == "english train, 0"
    assert load(name, stage2_examples=2, source=str(folder)).fingerprint == data.fingerprint
    with pytest.raises(InputError, match="moods has no language 'germn'; did you mean german"):
        load(name, ("germn",))


def test_a_set_file_that_is_wrong_is_one_line(tmp_path):
    (tmp_path / "my_set.py").write_text("SET = 3\n")
    (tmp_path / "bad.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match=r"my_set.py:SET: it defines no Task of that name"):
        load(f"{tmp_path}/my_set.py:SET")
    with pytest.raises(InputError, match=r"bad.py fails with ZeroDivisionError: division by zero"):
        load(f"{tmp_path}/bad.py:SET")
    with pytest.raises(InputError, match=r"there is no file .*none.py"):
        load(f"{tmp_path}/none.py:SET")


def parquet(folder, language, split, names=("no", "yes"), size=None, label="answer"):
    size = SIZES[split] if size is None else size
    path = folder / language / f"{split}-00000-of-00001.parquet"
    path.parent.mkdir(exist_ok=True)
    features = Features({"question": Value("string"), label: ClassLabel(names=list(names))})
    rows = {"question": [f"{language} {split} {n}" for n in range(size)], label: [n % 2 for n in range(size)]}
    Dataset.from_dict(rows, features=features).to_parquet(str(path))


HUB = {"repository": "someone/answers", "files": "{language}/{split}-*.parquet", "columns": ("question", "answer")}


@pytest.fixture
def answers(cache):
    folder = snapshot(cache, "dataset", "someone/answers")
    for language in ("en", "de"):
        for split in SIZES:
            parquet(folder, language, split)
    return folder


def test_any_set_of_the_hub_with_labels_as_its_files_name_them(answers):
    parquet(answers, "de", "validation", names=("yes", "no"))
    data = load(test=True, **HUB)
    assert data.labels == ("no", "yes")
    assert (len(data.train), data.train.second, len(data.test["de"])) == (12, None, 4)
    for language, turned in (("en", 0), ("de", 1)):
        found = dict(zip(data.validation[language].first, data.validation[language].labels, strict=True))
        assert found == {f"{language} validation {n}": (n + turned) % 2 for n in range(8)}


def test_label_sets_that_differ_between_languages(answers):
    parquet(answers, "de", "validation", names=("no", "perhaps"))
    with pytest.raises(InputError, match=r"de/validation.*names a label 'perhaps', which is not one of no, yes: label"):
        load(**HUB)


def test_columns_that_a_hub_set_does_not_have_are_listed(answers):
    with pytest.raises(InputError, match=r"has no column 'text'; it has question, answer"):
        load(**HUB | {"columns": ("text", "answer")})


def test_a_language_without_the_split(answers):
    (answers / "de" / "test-00000-of-00001.parquet").unlink()
    load(**HUB)
    with pytest.raises(InputError, match=r"de/test-\*.parquet"):
        load(test=True, **HUB)


def test_fewer_than_two_labels_after_dropping(cache):
    folder = snapshot(cache, "dataset", "someone/answers")
    for language, split in (("en", "train"), ("en", "validation"), ("de", "validation")):
        path = folder / language / f"{split}-0.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"question": list("abcdef"), "answer": [*["yes"] * 5, None]}), path)
    with pytest.raises(InputError, match="the training examples have fewer than two labels"):
        load(unlabelled="drop", **HUB)


def test_files_that_are_not_parallel_are_drawn_in_each_language(answers):
    parquet(answers, "de", "validation", size=6)
    data = load(stage2_examples=2, **HUB)
    assert {language: len(rows) for language, rows in data.validation.items()} == {"en": 6, "de": 4}
    assert not set(data.stage2["de"].first) & set(data.validation["de"].first)
    assert {language: len(rows) for language, rows in data.validation_rows.items()} == {"en": 6, "de": 4}
    assert data.notes[0] == (
        "data custom: files are not parallel (en 8, de 6 rows), so rows are drawn and dropped in each language by "
        "itself"
    )
    with pytest.raises(InputError, match="data.validation_examples=5, but 4 of the 6 rows of the de validation file"):
        load(stage2_examples=2, validation_examples=5, **HUB)


def test_a_set_arrives_from_a_hub_that_answers(answers, monkeypatch, tmp_path):
    expected = load(**HUB).fingerprint
    held = Hub()
    files = {path.relative_to(answers).as_posix(): path.read_bytes() for path in answers.rglob("*.parquet")}
    held.add("datasets/someone/answers", "1" * 40, files, "main")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    hub._reachable.cache_clear()
    with serving(held):
        monkeypatch.setattr(constants, "ENDPOINT", held.url)
        template = held.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "other"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        assert load(**HUB).fingerprint == expected
        assert sorted(name.split("-")[0] for name, _ in held.served) == ["de/validation", "en/train", "en/validation"]
        with pytest.raises(InputError, match=r"answers has no file fi/validation-\*.parquet, so no dev split in fi"):
            load(languages=("fi",), **HUB)
    hub._reachable.cache_clear()


def numbers(rows):
    return {int(text.split()[-1]) for text in rows.first}


@pytest.mark.parametrize("split", ["random", "file_order"])
def test_the_second_stage_from_training_files_has_no_twin_of_an_english_example(answers, split):
    data = load(train_examples=7, stage2_examples=5, stage2_source="train", split=split, **HUB)
    assert numbers(data.train) | numbers(data.stage2["de"]) == set(range(12))
    assert all(text.startswith("de train") for text in data.stage2["de"].first)
    assert numbers(data.validation["de"]) == set(range(8))
    assert [int(t.split()[-1]) % 2 for t in data.stage2["de"].first] == data.stage2["de"].labels


def test_twins_in_both_stages_are_refused_or_noted(answers):
    with pytest.raises(InputError, match="=6, but of the 12 training rows in de 5 have no twin that trains in en"):
        load(train_examples=7, stage2_examples=6, stage2_source="train", **HUB)
    data = load(stage2_examples=6, stage2_source="train", stage2_twins=True, **HUB)
    assert data.notes[0] == "data custom: second-stage examples whose English twin trained the English stage: de 6"
    parquet(answers, "de", "train", size=9)
    with pytest.raises(InputError, match=r"of en and de are not parallel \(12 and 9 rows\), so twins"):
        load(train_examples=7, stage2_examples=2, stage2_source="train", **HUB)
    assert len(load(stage2_examples=6, stage2_source="train", stage2_twins=True, **HUB).stage2["de"]) == 6


def test_massive_is_read_as_the_hub_keeps_it(cache):
    folder = snapshot(cache, "dataset", "mteb/amazon_massive_intent")
    for split, size in SIZES.items():
        (folder / split).mkdir()
        for language in ("en", "de", "zh-CN"):
            rows = [
                {"id": str(n), "label": f"intent_{n % 3}", "label_text": "x", "text": f"{split} {n}", "lang": language}
                for n in range(size)
            ]
            with gzip.open(folder / split / f"{language}.json.gz", "wt") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
    data = load("massive", ("de", "zh"), train_examples=6, stage2_examples=6, stage2_source="train")
    assert data.labels == ("intent_0", "intent_1", "intent_2")
    assert list(data.stage2) == ["de", "zh"]
    assert len(find_set("massive").languages) == 51


def test_americas_nli_trains_on_xnli(cache):
    def write(folder, language, split, size):
        (folder / language).mkdir(exist_ok=True)
        texts = [f"{language} {split} {n}" for n in range(size)]
        rows = {"premise": texts, "hypothesis": texts, "label": [n % 3 for n in range(size)]}
        pq.write_table(pa.table(rows), folder / language / f"{split}-0.parquet")

    english, folder = (snapshot(cache, "dataset", name) for name in ("facebook/xnli", "nala-cub/americas_nli"))
    write(english, "en", "train", 9)
    write(english, "en", "validation", 8)
    write(folder, "aym", "validation", 6)
    write(folder, "oto", "validation", 5)
    data = load("americas_nli", ("aym", "oto"), stage2_examples=2)
    assert {language: len(rows) for language, rows in data.validation.items()} == {"en": 6, "aym": 4, "oto": 3}
    assert data.train.first[0].startswith("en train")
    with pytest.raises(InputError, match="nala-cub/americas_nli has no train split, so there is none in aym"):
        load("americas_nli", ("aym",), stage2_examples=2, stage2_source="train")
    with pytest.raises(InputError, match="americas_nli has no language 'quz'; did you mean quy"):
        load("americas_nli", ("quz",))
