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


def with_placeholders(folder, target):
    """A copy with the placeholder in German rows 0 and 5 and Chinese rows 5 and 7."""
    shutil.copytree(folder, target)
    for language, rows in (("de", (0, 5)), ("zh", (5, 7))):
        path = target / f"dev-{language}.tsv"
        lines = path.read_text().split("\n")
        for row in rows:
            first, _, label = lines[row].split("\t")
            lines[row] = f"{first}\tNS\t{label}"
        path.write_text("\n".join(lines))
    return target


def test_untranslated_rows_are_kept_and_counted(tiny_data, tmp_path):
    folder = with_placeholders(tiny_data, tmp_path / "ns")
    data = load_task_data(DataConfig(name="pawsx", source=str(folder), train_examples=None))
    assert len(data.validation["en"]) == 40
    assert data.notes[0] == (
        "data pawsx: rows with a sentence that was not translated (NS), kept: validation de 2, validation zh 2; "
        "data.drop_untranslated=true drops them from every language"
    )


@pytest.mark.parametrize("split", ["random", "file_order"])
def test_untranslated_rows_are_dropped_in_every_language_as_if_the_files_had_never_held_them(
    tiny_data, tmp_path, split
):
    folder = with_placeholders(tiny_data, tmp_path / "ns")
    data = load_task_data(config(folder, split=split, drop_untranslated=True))
    assert data.notes[0] == (
        "data pawsx: 3 of 40 validation rows were dropped from every language, since a sentence was not translated "
        "(NS): de 2, zh 2"
    )
    without = tmp_path / "without"
    shutil.copytree(folder, without)
    for path in without.glob("dev-*.tsv"):
        lines = path.read_text().split("\n")
        path.write_text("\n".join(line for row, line in enumerate(lines) if row not in (0, 5, 7)))
    assert data.fingerprint == load_task_data(config(without, split=split)).fingerprint
    assert data.fingerprint != load_task_data(config(folder, split=split)).fingerprint


def test_only_the_languages_in_use_decide_which_rows_are_dropped(tiny_data, tmp_path):
    folder = with_placeholders(tiny_data, tmp_path / "ns")
    german = DataConfig(
        name="pawsx", source=str(folder), languages=("de",), train_examples=None, drop_untranslated=True
    )
    assert len(load_task_data(german).validation["en"]) == 38


def test_untranslated_training_rows_are_dropped_before_the_draw(tiny_data, tmp_path):
    folder = tmp_path / "ns"
    shutil.copytree(tiny_data, folder)
    with (folder / "train-en.tsv").open("a") as stream:
        stream.write("NS\ta sentence\t0\n")
    everything = {"name": "pawsx", "source": str(folder), "train_examples": None}
    assert len(load_task_data(DataConfig(**everything)).train) == 65
    data = load_task_data(DataConfig(**everything, drop_untranslated=True))
    assert len(data.train) == 64
    assert "NS" not in data.train.first
    assert data.notes[0] == "data pawsx: training rows dropped, since a sentence was not translated (NS): 1"


def test_notes_are_no_part_of_the_fingerprint(tiny_data, tmp_path):
    """Dropping where there is nothing to drop gives the same rows, and the same fingerprint."""
    assert load_task_data(config(tiny_data, drop_untranslated=True)).fingerprint == (
        load_task_data(config(tiny_data)).fingerprint
    )


def test_missing_folder_missing_file_and_unparallel_files(tiny_data, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_task_data(config(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"has no dev-fr.tsv; found: dev-de.tsv, dev-en.tsv"):
        load_task_data(config(tiny_data, languages=("fr",)))
    no_training = tmp_path / "no training"
    shutil.copytree(tiny_data, no_training)
    (no_training / "train-en.tsv").unlink()
    with pytest.raises(InputError, match=r"has no train-en.tsv; found: dev-de.tsv, dev-en.tsv, dev-es.tsv, dev-zh.tsv"):
        load_task_data(config(no_training))
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
    with pytest.raises(InputError, match="data.source=bundled has no dev-fr.tsv; found: dev-de.tsv"):
        load_task_data(DataConfig(name="inference", source="bundled", languages=("fr",)))


def test_the_hub_without_a_network_is_a_clear_error_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"facebook/xnli is not in the local cache .*hf download facebook/xnli"):
        load_task_data(DataConfig(name="xnli", source="hub"))
