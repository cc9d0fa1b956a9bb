from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification
from typer.testing import CliRunner

from study.cli import app
from tests.reference import fisher_trace_by_loop
from tests.trainables.disk import Disk
from trainables.assets import Assets
from trainables.checkpoint_trace import trace_checkpoint
from trainables.config import ModelConfig, TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.curvature import fisher_trace
from trainables.errors import InputError
from trainables.models.build import build_model
from trainables.models.files import load_model_files
from trainables.models.lora import LoraConfig, merged
from trainables.models.saved import ModelSaver
from trainables.rehearsal.check import check
from trainables.schema import identity
from trainables.seeding import Streams
from trainables.trial import fine_tune

BATCH = {
    "input_ids": torch.tensor([[2, 20, 30, 3], [2, 25, 3, 0], [2, 40, 41, 3]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]]),
}
FROZEN = "bert.encoder.layer.0.output.dense.weight"
Build = Callable[..., Any]


@pytest.fixture
def lora(tiny_model: object) -> Build:
    """A function that builds the tiny model with updates that are not zero."""

    def make(**values: Any) -> Any:
        config = ModelConfig(name=str(tiny_model), lora=LoraConfig(**{"rank": 2, "alpha": 6.0, **values}))
        model: Any = build_model(load_model_files(config), config, 3, Streams(0))
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(1)
            for name, parameter in model.named_parameters():
                if ".lora_B." in name:
                    parameter.normal_(std=0.3)
        return model

    return make


def merged_by_hand(model: Any, tiny_model: object) -> Any:
    """A plain classifier with W + (6 / 2) B A, written out."""
    config = ModelConfig(name=str(tiny_model))
    plain = build_model(load_model_files(config), config, 3, Streams(0))
    given = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            stem = name.removesuffix(".weight")
            if f"{stem}.lora_A.default.weight" in given:
                update = given[f"{stem}.lora_B.default.weight"] @ given[f"{stem}.lora_A.default.weight"]
                parameter += 3.0 * update
            elif name in given:
                parameter.copy_(given[name])
    return plain


def test_factors_and_head_are_trained_and_nothing_else(lora: Build) -> None:
    model = lora()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    where = [f"bert.encoder.layer.{i}.attention.self.{part}" for i in (0, 1) for part in ("query", "value")]
    factors = {f"{name}.lora_{factor}.default.weight" for name in where for factor in "AB"}
    # The tiny encoder was saved with its pooler, which is pretrained and so frozen.
    assert trained == factors | {"classifier.weight", "classifier.bias"}
    assert not any(module.training for module in model.modules())


def test_at_the_start_the_function_is_the_encoders(tiny_model: object) -> None:
    def logits(**values: Any) -> torch.Tensor:
        config = ModelConfig(name=str(tiny_model), **values)
        found: torch.Tensor = build_model(load_model_files(config), config, 3, Streams(0))(**BATCH).logits
        return found

    assert torch.equal(logits(), logits(lora=LoraConfig()))


@pytest.mark.parametrize("targets", [("query", "value"), ("dense",), ("layer.1.output.dense",)])
def test_the_trace_is_the_definition_over_the_trained_parameters(lora: Build, targets: tuple[str, ...]) -> None:
    model = lora(targets=targets)
    found = fisher_trace(model, [BATCH], slow="error")
    expected = fisher_trace_by_loop(model, BATCH)
    assert found.per_example.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert found.num_parameters == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_the_merged_trace_is_the_definition_over_the_merged_weights(lora: Build, tiny_model: object) -> None:
    model = lora()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plain = merged_by_hand(model, tiny_model)
    found = fisher_trace(merged(model), [BATCH], slow="error")
    expected = fisher_trace_by_loop(plain, BATCH)
    assert found.per_example.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert found.num_parameters == sum(p.numel() for p in plain.parameters())
    assert torch.allclose(merged(model)(**BATCH).logits, model(**BATCH).logits, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    # Flat in one is not flat in the other.
    assert found.value != pytest.approx(fisher_trace(model, [BATCH]).value, rel=0.1)


def test_the_factors_are_the_seeds(tiny_model: object) -> None:
    def factor(seed: int) -> torch.Tensor:
        config = ModelConfig(name=str(tiny_model), lora=LoraConfig())
        model: Any = build_model(load_model_files(config), config, 3, Streams(seed))
        found: torch.Tensor = model.bert.encoder.layer[0].attention.self.query.lora_A["default"].weight
        return found

    assert torch.equal(factor(0), factor(0))
    assert not torch.equal(factor(0), factor(1))


def test_targets_that_match_nothing_are_one_line_with_the_names_that_exist(lora: Build) -> None:
    with pytest.raises(InputError) as caught:
        lora(targets=("query", "q_proj"))
    text = str(caught.value)
    assert "model.lora.targets='q_proj' matches no linear layer of the encoder" in text
    assert text.endswith("the names that exist: dense, key, query, value")
    assert "\n" not in text


@pytest.mark.parametrize("rank", [17, 99999999999])
def test_a_rank_above_the_smaller_side_of_a_layer_is_one_line_before_the_sweep(
    rank: int, tiny_config: TrialConfig, tiny_assets: Assets
) -> None:
    values = {"model.lora.rank": rank, "model.lora.targets": "query,intermediate.dense"}
    with pytest.raises(InputError) as caught:
        check(tiny_assets, [with_values(tiny_config, values)])
    text = str(caught.value)
    assert f"model.lora.rank={rank} is above 16, the smaller side of bert.encoder.layer.0." in text
    assert text.endswith("set it to at most 16")
    assert "\n" not in text


def test_a_rank_may_be_the_smaller_side(lora: Build) -> None:
    assert lora(rank=16, targets=("intermediate.dense",)).bert.encoder.layer[0].intermediate.dense.r == {"default": 16}


def test_without_peft_one_line_says_what_to_install(lora: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"^LoRA needs the library peft, which cannot be imported .*pip install peft$"):
        lora()


def test_a_configuration_without_updates_keeps_its_identity(tiny_config: TrialConfig) -> None:
    assert "lora" not in identity(tiny_config)["model"]
    found = identity(with_values(tiny_config, {"model.lora.rank": 4}))
    assert found["model"]["lora"] == {"rank": 4, "alpha": 16.0, "dropout": 0.0, "targets": ["query", "value"]}


def test_bad_targets_are_found_before_the_sweep(tiny_config: TrialConfig, tiny_assets: Assets) -> None:
    with pytest.raises(InputError, match=r"model\.lora\.targets='nothing' matches no linear layer"):
        check(tiny_assets, [with_values(tiny_config, {"model.lora.targets": "nothing"})])


@pytest.fixture(scope="module")
def lora_config(tiny_config: TrialConfig) -> TrialConfig:
    """A trial with every penalty."""
    values = {
        "model.lora.rank": 2,
        "model.lora.dropout": 0.1,
        "data.languages": "de",
        "stages.0.penalties.fisher.weight": 0.01,
        "stages.0.penalties.l2.weight": 0.001,
        "stages.0.penalties.l2_sp.weight": 0.01,
    }
    return with_values(tiny_config, values)


@pytest.fixture(scope="module")
def saved(lora_config: TrialConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    folder = tmp_path_factory.mktemp("models")
    saver = ModelSaver(Disk(folder), "stage1")
    found = fine_tune(lora_config, Assets.resolve([lora_config]), lambda point: None, saver=saver)
    assert saver.note is None
    return folder, found.values


def test_what_trains_all_weights_can_be_rehearsed_with_updates(lora_config: TrialConfig) -> None:
    terms = [{"stages.0.consistency.preset": preset} for preset in ("mvr", "lnsr", "vat_d", "smart", "parameter_noise")]
    terms += [{"stages.0.optimizer.sam_rho": 0.05}, {"measure.expansion.draws": 1}]
    configs = [with_values(lora_config, values) for values in terms]
    notes = check(Assets.resolve(configs), configs)
    assert not any("slow path" in note for note in notes)


def test_a_trial_measures_both_traces(saved: tuple[Path, dict[str, float]]) -> None:
    values = saved[1]
    assert values["fisher_trace.merged"] > 0
    assert values["fisher_trace_se.merged"] > 0
    assert values["fisher_trace"] != values["fisher_trace.merged"]
    assert values["penalty.l2_sp"] > 0
    assert "fisher_trace_layers.embeddings" not in values


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # of peft itself
def test_the_adapter_folder_is_one_of_peft(
    saved: tuple[Path, dict[str, float]], tiny_model: Path, tiny_config: TrialConfig
) -> None:
    from peft import PeftModel

    folder = saved[0]
    assert sorted(path.name for path in folder.iterdir()) == ["stage1", "stage1-adapter"]
    whole = AutoModelForSequenceClassification.from_pretrained(folder / "stage1").eval()
    base = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=2)
    adapted = PeftModel.from_pretrained(base, folder / "stage1-adapter").eval()
    assert torch.allclose(adapted(**BATCH).logits, whole(**BATCH).logits, atol=1e-5)
    start = dict(base.named_parameters())
    assert torch.equal(whole.bert.encoder.layer[0].output.dense.weight, start[FROZEN])  # what is not a target is frozen


def test_trace_of_the_adapter_has_both_numbers_of_the_trial(
    saved: tuple[Path, dict[str, float]], lora_config: TrialConfig, tmp_path: Path
) -> None:
    folder, values = saved
    english = Assets.resolve([lora_config]).rows(lora_config).validation["en"]
    data = tmp_path / "rows.tsv"
    lines = [f"{a}\t{b}" for a, b in zip(english.first, english.second or [], strict=True)]
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = trace_checkpoint(str(folder / "stage1-adapter"), data, max_examples=6, max_length=24)
    assert found.estimate.value == pytest.approx(values["fisher_trace"], rel=1e-5)
    assert found.merged is not None
    assert found.merged.value == pytest.approx(values["fisher_trace.merged"], rel=1e-5)
    assert found.warnings == []
    fields = json.loads(found.to_json(per_layer=False))
    assert fields["fisher_trace_merged"] == found.merged.value
    assert fields["num_parameters"] < fields["num_parameters_merged"]
    whole = trace_checkpoint(str(folder / "stage1"), data, max_examples=6, max_length=24)
    assert whole.merged is None
    assert whole.estimate.value == pytest.approx(found.merged.value, rel=1e-5)
    done = CliRunner().invoke(app, ["trace", str(folder / "stage1-adapter"), "--data", str(data)])
    assert done.exit_code == 0, done.output
    assert "weights, the adapter merged into them: " in done.output


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "adapter_model.safetensors").unlink(), "no adapter_model.safetensors there"),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"x" * 99), "adapter_model.safetensors is damaged"),
        (lambda f: (f / "adapter_config.json").write_text("{"), "adapter_config.json is damaged"),
        (lambda f: edit(f, peft_type="IA3"), "an adapter of the kind IA3 for .*, and only plain LoRA is read: merge"),
        (lambda f: edit(f, use_dora=True), "an adapter of the kind LORA with use_dora"),
        (lambda f: edit(f, init_lora_weights="pissa_niter_4"), "an adapter of the kind pissa"),
        (lambda f: edit(f, target_modules=["nothing"]), "the adapter does not fit its base"),
        (lambda f: edit(f, target_modules=["key"]), "lacks 4 of the adapter's tensors"),
        (lambda f: edit(f, r=3), "does not fit its base .*size mismatch"),
        (lambda f: edit(f, base_model_name_or_path="./none"), "model ./none: no such folder"),
    ],
)
def test_a_damaged_adapter_is_one_line(
    saved: tuple[Path, dict[str, float]], tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(saved[0] / "stage1-adapter", folder)
    damage(folder)
    (tmp_path / "rows.tsv").write_text("red dog\tblue cat\n")
    with pytest.raises(InputError, match=message) as caught:
        trace_checkpoint(str(folder), tmp_path / "rows.tsv")
    assert "\n" not in str(caught.value)


def test_an_adapter_of_others_takes_classes_and_tokenizer_from_what_there_is(
    saved: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(saved[0] / "stage1-adapter" / name, folder)
    (tmp_path / "rows.tsv").write_text("red dog\tblue cat\n")
    alone = trace_checkpoint(str(folder), tmp_path / "rows.tsv").estimate
    beside = trace_checkpoint(str(saved[0] / "stage1-adapter"), tmp_path / "rows.tsv").estimate
    assert alone.value == pytest.approx(beside.value, rel=1e-6)
    assert alone.num_classes == 2


def edit(folder: Path, **changes: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
