"""The bundled dictionaries and translations: where they come from, and that they fit the training files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trainables.augmentations.code_switch import read_dictionary
from trainables.data.bundled import FOLDER
from trainables.data.bundled.dictionary import FILES, dictionary
from trainables.data.bundled.grammar import LANGUAGES
from trainables.data.bundled.splits import TASKS, build, translations, write


def test_regenerating_gives_the_committed_dictionaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "trainables.data.bundled.splits.TASKS", {"paraphrase": replace(TASKS["paraphrase"], num_train=4, num_eval=2)}
    )
    write(tmp_path)
    for path in FILES.values():
        assert (tmp_path / path.relative_to(FOLDER)).read_bytes() == path.read_bytes()
    assert set(FILES) == set(LANGUAGES) - {"en"}


@pytest.mark.parametrize("language", sorted(FILES))
def test_entries_are_words_that_the_generator_says(language: str) -> None:
    """Every translation is a word of the language's sentences, if perhaps in another form, and most are so as it is."""
    rows = build(replace(TASKS["inference"], num_train=600, num_eval=0))["train"]
    said = " ".join(row.first[language] + " " + row.second[language] for row in rows)
    english = {word for row in rows for word in (row.first["en"] + " " + row.second["en"]).lower().split()}
    used = [translation for word, translation in dictionary(language) if word in english]
    assert len(used) > 150
    assert sum(translation in said for translation in used) > 0.8 * len(used)


@pytest.mark.parametrize("language", sorted(FILES))
def test_the_committed_file_is_read_as_it_was_written(language: str) -> None:
    found = read_dictionary(FILES[language])
    pairs = [(word, translation) for word, translations in found.items() for translation in translations]
    assert sorted(pairs) == sorted(dictionary(language))
    assert any(len(translations) > 1 for translations in found.values())


def test_translations_are_row_by_row_those_of_the_training_file() -> None:
    task = replace(TASKS["paraphrase"], num_train=40)
    rows = build(replace(task, num_eval=0))["train"]
    found = translations(task)
    assert set(found) == set(LANGUAGES) - {"en"}
    for language, pairs in found.items():
        assert pairs == [(row.first[language], row.second[language]) for row in rows]


def test_the_committed_training_file_has_the_rows_that_are_translated() -> None:
    lines = (FOLDER / "inference" / "train-en.tsv").read_text(encoding="utf-8").splitlines()
    rows = build(replace(TASKS["inference"], num_eval=0))["train"]
    assert [line.split("\t")[:2] for line in lines] == [[row.first["en"], row.second["en"]] for row in rows]
