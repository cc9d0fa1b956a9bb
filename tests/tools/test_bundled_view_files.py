"""The bundled dictionaries and translations: where they come from, and that they fit the training files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tools.bundled.data.dictionary import TRANSLATED, dictionary
from tools.bundled.data.grammar import LANGUAGES
from tools.bundled.data.splits import TASKS, build, write
from trainables.data.bundled import DICTIONARIES, FOLDER
from trainables.views.code_switch import read_dictionary


def test_regenerating_gives_the_committed_dictionaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tools.bundled.data.splits.TASKS", {"paraphrase": replace(TASKS["paraphrase"], num_train=4, num_eval=2)}
    )
    write(tmp_path)
    for path in DICTIONARIES.values():
        assert (tmp_path / path.relative_to(FOLDER)).read_bytes() == path.read_bytes()
    assert set(DICTIONARIES) == set(TRANSLATED) == set(LANGUAGES) - {"en"}


@pytest.mark.parametrize("language", TRANSLATED)
def test_entries_are_words_that_the_generator_says(language: str) -> None:
    """Every translation is a word of the language's sentences, if perhaps in another form, and most are so as it is."""
    rows = build(replace(TASKS["inference"], num_train=600, num_eval=0))["train"]
    said = " ".join(row.first[language] + " " + row.second[language] for row in rows)
    english = {word for row in rows for word in (row.first["en"] + " " + row.second["en"]).lower().split()}
    used = [translation for word, translation in dictionary(language) if word in english]
    assert len(used) > 150
    assert sum(translation in said for translation in used) > 0.8 * len(used)


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_committed_file_is_read_as_it_was_written(language: str) -> None:
    found = read_dictionary(DICTIONARIES[language])
    pairs = [(word, translation) for word, translations in found.items() for translation in translations]
    assert sorted(pairs) == sorted(dictionary(language))
    assert any(len(translations) > 1 for translations in found.values())


@pytest.mark.parametrize("language", TRANSLATED)
def test_line_i_of_a_translation_translates_training_row_i(language: str) -> None:
    rows = build(replace(TASKS["inference"], num_eval=0))["train"]
    files = {"en": FOLDER / "inference" / "train-en.tsv", language: FOLDER / f"inference/translations/{language}.tsv"}
    for said, path in files.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line.split("\t")[:2] for line in lines] == [[row.first[said], row.second[said]] for row in rows]
