import shutil

import pytest

from trainables.config import DataConfig
from trainables.data.task_data import load_task_data
from trainables.errors import InputError


def config(folder, **changes):
    return DataConfig(
        name="pawsx", source=str(folder), train_examples=32, stage2_examples=16, validation_examples=16, **changes
    )


def test_languages_are_parallel_and_the_second_stage_shares_no_row_with_validation(tiny_data):
    data = load_task_data(config(tiny_data))
    assert list(data.validation) == ["en", "de", "es", "zh"]
    assert list(data.stage2) == ["de", "es", "zh"]
    assert data.validation["de"].labels == data.validation["en"].labels
    assert [text.replace("en", "") for text in data.validation["de"].first[:1]] == data.validation["en"].first[:1]
    assert not set(data.stage2["de"].first) & set(data.validation["de"].first)


def test_the_fingerprint_is_of_the_content_and_not_of_the_folder(tiny_data, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(tiny_data, moved)
    assert load_task_data(config(moved)).fingerprint == load_task_data(config(tiny_data)).fingerprint
    text = (moved / "dev-zh.tsv").read_text()
    (moved / "dev-zh.tsv").write_text(text.replace("red", "read"))
    assert load_task_data(config(moved)).fingerprint != load_task_data(config(tiny_data)).fingerprint


def test_swapped_languages_change_the_fingerprint(tiny_data, tmp_path):
    swapped = tmp_path / "swapped"
    shutil.copytree(tiny_data, swapped)
    shutil.copy(tiny_data / "dev-de.tsv", swapped / "dev-es.tsv")
    shutil.copy(tiny_data / "dev-es.tsv", swapped / "dev-de.tsv")
    assert load_task_data(config(swapped)).fingerprint != load_task_data(config(tiny_data)).fingerprint


def test_missing_folder_missing_file_and_unparallel_files(tiny_data, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_task_data(config(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"has no dev-fr.tsv; found: dev-de.tsv, dev-en.tsv"):
        load_task_data(config(tiny_data, languages=("fr",)))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"it holds no .tsv file at all"):
        load_task_data(config(empty))
    short = tmp_path / "short"
    shutil.copytree(tiny_data, short)
    (short / "dev-zh.tsv").write_text("a\tb\t1\n")
    with pytest.raises(InputError, match="must be parallel, but en has 40 and zh has 1"):
        load_task_data(config(short))


def test_one_class_cannot_be_trained_on(tiny_data, tmp_path):
    flat = tmp_path / "flat"
    shutil.copytree(tiny_data, flat)
    (flat / "train-en.tsv").write_text("a\tb\t1\n" * 40)
    with pytest.raises(InputError, match="fewer than two labels"):
        load_task_data(config(flat))


def test_sources_that_a_task_does_not_have():
    with pytest.raises(InputError, match="data.name=pawsx is not bundled"):
        load_task_data(DataConfig(name="pawsx", source="bundled"))
    with pytest.raises(InputError, match="data.name=inference is not on the hub"):
        load_task_data(DataConfig(name="inference", source="hub"))


def test_the_hub_without_a_network_is_a_clear_error_at_once(monkeypatch):
    monkeypatch.setattr("trainables.hub._reachable", lambda endpoint: False)
    with pytest.raises(InputError, match=r"facebook/xnli is not in the local cache .*hf download facebook/xnli"):
        load_task_data(DataConfig(name="xnli", source="hub"))


def test_real_data_reads_whole(shared):
    for name, rows in (("xnli", 2490), ("pawsx", 2000)):
        data = load_task_data(
            DataConfig(
                name=name, source=str(shared / "data" / name), languages=("de", "es", "zh", "fr"), train_examples=4000
            )
        )
        assert {len(part) for part in data.validation.values()} == {rows}
