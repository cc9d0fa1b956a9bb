import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from study.cli import app
from tests.reference import fisher_trace_by_loop
from trainables import checkpoint_trace
from trainables.checkpoint_trace import trace_checkpoint
from trainables.config import ModelConfig
from trainables.errors import InputError
from trainables.models.build import build_model
from trainables.models.files import load_model_files
from trainables.seeding import Streams

PAIRS = "red dog\tblue cat\t1\nold tree runs\tfast house\t0\nslow\tnew cat sleeps fast\t1\n"


@pytest.fixture(scope="module")
def classifier(tiny_model, tmp_path_factory):
    """The tiny model with a head of three classes, as save_pretrained leaves it."""
    folder = tmp_path_factory.mktemp("classifier") / "model"
    shutil.copytree(tiny_model, folder)
    config = ModelConfig(name=str(tiny_model))
    build_model(load_model_files(config), config, 3, Streams(0)).save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text(PAIRS)
    return path


def test_the_value_is_the_definition_on_the_file(classifier, data):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    found = trace_checkpoint(str(classifier), data)
    model = AutoModelForSequenceClassification.from_pretrained(classifier, attn_implementation="eager").eval()
    rows = [line.split("\t") for line in PAIRS.splitlines()]
    batch = AutoTokenizer.from_pretrained(classifier)(
        [r[0] for r in rows], [r[1] for r in rows], padding=True, return_tensors="pt"
    )
    expected = fisher_trace_by_loop(model, batch)
    assert found.estimate.per_example.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert found.estimate.value == pytest.approx(float(expected.mean()), rel=1e-4)
    assert found.warnings == []


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_one_two_and_three_columns(classifier, tmp_path, columns):
    path = tmp_path / "data.tsv"
    path.write_text("\n".join("\t".join(line.split("\t")[:columns]) for line in PAIRS.splitlines()))
    assert trace_checkpoint(str(classifier), path, max_examples=2).estimate.num_examples == 2


def test_the_empirical_fisher_has_its_own_name(classifier, data):
    found = trace_checkpoint(str(classifier), data, estimator="empirical")
    assert "not Tr(F)" in found.title
    fields = json.loads(found.to_json(per_layer=False))
    assert "fisher_trace" not in fields
    assert fields["empirical_fisher_trace"] > 0


def test_monte_carlo_is_seeded(classifier, data):
    values = [
        trace_checkpoint(str(classifier), data, estimator="monte-carlo", seed=seed).estimate.value for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


def test_an_untrained_head_and_cut_examples_are_said(tiny_model, data):
    found = trace_checkpoint(str(tiny_model), data, max_length=8)
    assert any("untrained head" in warning for warning in found.warnings)
    assert any("fill --max-length 8 and may have been cut" in warning for warning in found.warnings)


def test_the_command_prints_and_writes_what_was_asked_for(classifier, data, tmp_path):
    out, csv = tmp_path / "out.json", tmp_path / "each.csv"
    options = ["--data", str(data), "--per-layer", "--json", str(out), "--per-example", str(csv)]
    done = CliRunner().invoke(app, ["trace", str(classifier), *options])
    assert done.exit_code == 0, done.output
    assert "Tr(F): " in done.output
    assert "3 examples, 3 classes" in done.output
    assert "fast path" in done.output
    fields = json.loads(out.read_text())
    assert {
        "fisher_trace", "standard_error", "num_examples", "num_classes", "num_parameters", "estimator", "path",
        "seconds", "per_layer",
    } <= set(fields)  # fmt: skip
    assert sum(fields["per_layer"].values()) == pytest.approx(fields["fisher_trace"])
    lines = csv.read_text().splitlines()
    assert lines[0] == "line,value"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3"]
    assert sum(float(line.split(",")[1]) for line in lines[1:]) / 3 == pytest.approx(fields["fisher_trace"])


def damaged(folder, tmp_path, edit):
    target = tmp_path / "damaged"
    shutil.copytree(folder, target)
    edit(target)
    return target


def set_config(**changes):
    def edit(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def spoil_weights(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] = torch.full_like(weights["classifier.bias"], float("nan"))
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pytorch_model.bin is a pickle"),
        (lambda f: (f / "config.json").unlink(), "no config.json there"),
        (set_config(model_type="clip"), "transformers has no sequence classifier for the model type 'clip'"),
        (set_config(id2label={"0": "only"}, label2id={"only": 0}), "weights do not fit config.json|one class"),
        (spoil_weights, "logits are not finite at example 0"),
    ],
)
def test_bad_checkpoints(classifier, data, tmp_path, edit, message):
    with pytest.raises(InputError, match=message):
        trace_checkpoint(str(damaged(classifier, tmp_path, edit)), data)


def test_one_class(classifier, data, monkeypatch):
    original = checkpoint_trace.build_classifier

    def single(files):
        model, new = original(files)
        model.config.num_labels = 1
        return model, new

    monkeypatch.setattr(checkpoint_trace, "build_classifier", single)
    with pytest.raises(InputError, match="has one class: Tr.F. needs a softmax over two or more"):
        trace_checkpoint(str(classifier), data)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        ("a\tb\t1\td\n", {}, "line 1: expected 1 to 3 tab-separated columns .* found 4"),
        ("a\tb\nc\n", {}, "line 2: 1 columns, but line 1 has 2"),
        ("a\tb\n", {"estimator": "empirical"}, "has no third column: the empirical Fisher needs observed labels"),
        ("a\tb\t0\na\tb\tmaybe\n", {"estimator": "empirical"}, "line 2: label 'maybe' is not one of LABEL_0, LABEL_1"),
        (
            "a\n",
            {"estimator": "hutchinson"},
            "known: auto, exact, signs, monte-carlo, empirical",
        ),
        ("a\n", {"device": "quantum"}, "device 'quantum' cannot be used"),
    ],
)
def test_bad_files_and_options(classifier, tmp_path, text, options, message):
    path = tmp_path / "bad.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        trace_checkpoint(str(classifier), path, **options)


def test_a_missing_file_and_a_missing_checkpoint(classifier, data, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        trace_checkpoint(str(classifier), tmp_path / "none.tsv")
    with pytest.raises(InputError, match=r"model \./none: no such folder"):
        trace_checkpoint("./none", data)


def test_nothing_is_written_when_something_is_wrong(classifier, data, tmp_path):
    out = tmp_path / "out.json"
    done = CliRunner().invoke(app, ["trace", "./none", "--data", str(data), "--json", str(out)])
    assert done.exit_code != 0
    assert not out.exists()
    missing = tmp_path / "missing" / "out.json"
    done = CliRunner().invoke(app, ["trace", str(classifier), "--data", str(data), "--json", str(missing)])
    assert isinstance(done.exception, InputError)
    assert "there is no folder" in str(done.exception)


def test_a_result_that_cannot_be_written_is_one_line(classifier, data, tmp_path):
    (tmp_path / "taken").mkdir()
    done = CliRunner().invoke(app, ["trace", str(classifier), "--data", str(data), "--json", str(tmp_path / "taken")])
    assert isinstance(done.exception, InputError)
    assert "cannot write" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
