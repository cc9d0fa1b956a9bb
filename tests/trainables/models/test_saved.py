from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.trainables.disk import Disk
from trainables.assets import Assets
from trainables.checkpoint_trace import trace_checkpoint
from trainables.config import ModelConfig, TrialConfig
from trainables.models.files import load_model_files
from trainables.models.saved import Folder, ModelSaver
from trainables.tokenization.encoding import TokenizerFiles
from trainables.trial import fine_tune


@pytest.fixture(scope="module")
def saved(
    tiny_config: TrialConfig, tiny_assets: Assets, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, float]]:
    folder = tmp_path_factory.mktemp("models")
    saver = ModelSaver(Disk(folder), "all")
    found = fine_tune(tiny_config, tiny_assets, lambda point: None, saver=saver)
    assert saver.note is None
    assert found == fine_tune(tiny_config, tiny_assets, lambda point: None)
    return folder, found.values


def test_every_stage_is_a_folder_that_transformers_loads(
    saved: tuple[Path, dict[str, float]], tiny_config: TrialConfig, tiny_assets: Assets
) -> None:
    folder, values = saved
    assert sorted(path.name for path in folder.iterdir()) == ["stage1", "stage2-de", "stage2-zh"]
    rows = tiny_assets.rows(tiny_config)
    for name, accuracy in (
        ("stage1", values["accuracy.de"]),
        ("stage2-de", values["stage2.de.accuracy_after"]),
    ):
        model = AutoModelForSequenceClassification.from_pretrained(folder / name).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder / name)
        validation = rows.validation["de"]
        batch = tokenizer(
            validation.first, validation.second, padding=True, truncation=True, max_length=24, return_tensors="pt"
        )
        with torch.no_grad():
            predicted = model(**batch).logits.argmax(-1)
        assert (predicted == torch.tensor(validation.labels)).float().mean().item() == pytest.approx(accuracy)
        assert list(model.config.id2label.values()) == list(rows.labels)


def test_the_tokenizer_is_the_one_of_the_trial(
    saved: tuple[Path, dict[str, float]], tiny_config: TrialConfig, tiny_assets: Assets
) -> None:
    before = tiny_assets.model(tiny_config).tokenizer
    after = load_model_files(ModelConfig(name=str(saved[0] / "stage1"))).tokenizer
    assert (after.pad_id, after.uses_token_types, after.special_ids) == (
        before.pad_id, before.uses_token_types, before.special_ids,
    )  # fmt: skip


def test_trace_of_a_saved_model_is_what_the_trial_measured(
    saved: tuple[Path, dict[str, float]], tiny_config: TrialConfig, tiny_assets: Assets, tmp_path: Path
) -> None:
    english = tiny_assets.rows(tiny_config).validation["en"]
    lines = [f"{a}\t{b}" for a, b in zip(english.first, english.second, strict=True)]
    (tmp_path / "rows.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = trace_checkpoint(str(saved[0] / "stage1"), tmp_path / "rows.tsv", max_examples=6, max_length=24)
    assert found.estimate.value == pytest.approx(saved[1]["fisher_trace"], rel=1e-6)
    assert found.warnings == []


def test_stage_1_alone(tiny_config: TrialConfig, tiny_assets: Assets, tmp_path: Path) -> None:
    fine_tune(tiny_config, tiny_assets, lambda point: None, saver=ModelSaver(Disk(tmp_path), "stage1"))
    assert [path.name for path in tmp_path.iterdir()] == ["stage1"]


def test_a_full_disk_ends_no_trial(tiny_config: TrialConfig, tiny_assets: Assets, tmp_path: Path) -> None:
    class Full(Disk):
        def child(self, name: str) -> Folder:
            return Full(self.path / name)

        def write(self, name: str, content: bytes) -> None:
            raise OSError(28, "No space left on device")

    saver = ModelSaver(Full(tmp_path), "stage1")
    fine_tune(tiny_config, tiny_assets, lambda point: None, saver=saver)
    assert saver.note == "stage1 was not saved: [Errno 28] No space left on device"


def test_a_full_temporary_folder_ends_no_trial(
    tiny_config: TrialConfig, tiny_assets: Assets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*rest: object, **options: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", full)
    saver = ModelSaver(Disk(tmp_path), "stage1")
    fine_tune(tiny_config, tiny_assets, lambda point: None, saver=saver)
    assert saver.note is not None
    assert saver.note.startswith("stage1 was not saved: Error while serializing")


def test_sentencepiece_vocabularies_are_saved_too(unigram: TokenizerFiles, tmp_path: Path) -> None:
    from trainables.models.saved import fast_tokenizer

    fast_tokenizer(unigram).save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.backend_tokenizer.encode("ab c", "abc").ids == [*again("ab c", "abc")["input_ids"]]
    assert again.pad_token_id == unigram.pad_id
    assert "token_type_ids" not in again("ab c")
