import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from study.cli import app
from tests.reference import fisher_trace_by_loop, squared_scores_at
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


def test_draws_that_auto_does_not_make_are_said(classifier, data):
    (note,) = trace_checkpoint(str(classifier), data, samples=4).warnings
    assert note == "with 3 labels auto is exact and draws nothing: 4 draws need --estimator=signs"


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
        (
            lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
            "pytorch_model.bin is damaged or holds more than tensors",
        ),
        (lambda f: (f / "config.json").unlink(), "no config.json there"),
        (set_config(model_type="clip"), "transformers has no sequence classifier for the model type 'clip'"),
        (set_config(id2label={"0": "only"}, label2id={"only": 0}), "weights do not fit config.json|one class"),
        (spoil_weights, "logits are not finite at example 0"),
    ],
)
def test_bad_checkpoints(classifier, data, tmp_path, edit, message):
    with pytest.raises(InputError, match=message):
        trace_checkpoint(str(damaged(classifier, tmp_path, edit)), data)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        ("a\tb\t1\td\n", {}, "expected 1 to 3 tab-separated columns .* found 4"),
        ("a\tb\nc\n", {}, "line 2: 1 columns, but line 1 has 2"),
        (
            "a\tb\n",
            {"estimator": "empirical"},
            "bad.tsv: 1 pair, no labels, but the empirical Fisher needs observed labels",
        ),
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


WORDS = [
    "red dog",
    "blue cat",
    "old tree runs",
    "fast house",
    "slow",
    "new cat sleeps fast",
    "red tree",
    "old dog runs",
]


@pytest.fixture
def named(classifier, tmp_path):
    """A function that gives the classifier with other class names."""

    def make(*names, **changes):
        folder = tmp_path / f"named-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(classifier, folder)
        id2label = {str(number): name for number, name in enumerate(names)}
        set_config(id2label=id2label, label2id={name: number for number, name in enumerate(names)}, **changes)(folder)
        return folder

    return make


def written(tmp_path, labels, sentences=2, first="", end="\n"):
    rows = [
        "\t".join([*(WORDS[(i + k) % len(WORDS)] for k in range(sentences)), str(label)])
        for i, label in enumerate(labels)
    ]
    path = tmp_path / "rows.tsv"
    path.write_bytes((first + "".join(row + end for row in rows)).encode())
    return path


def naive(folder, classes, sentences=2, trace=False):
    """The mean over the rows that ``written`` writes, one example at a time, at given classes or over all."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    columns = [[WORDS[(i + k) % len(WORDS)] for i in range(len(classes))] for k in range(sentences)]
    batch = AutoTokenizer.from_pretrained(folder)(*columns, padding=True, return_tensors="pt")
    values = fisher_trace_by_loop(model, batch) if trace else squared_scores_at(model, batch, classes)
    return float(values.mean())


def empirical(folder, path, **options):
    return trace_checkpoint(str(folder), path, estimator="empirical", **options)


@pytest.mark.parametrize(
    ("names", "labels", "classes", "reading"),
    [
        (("1", "2", "3"), "1 2 3 3", [0, 1, 2, 2], "names"),
        (("2", "0", "1"), "0 0 0", [1, 1, 1], None),
        (("1", "2", "3"), "0 1 2 2", [0, 1, 2, 2], "numbers"),
        (("0", "1", "2"), "2 0 1", [2, 0, 1], "names"),
        (("1.0", "2.0", "very bad"), "2.0\tvery bad\t1.0", [1, 2, 0], "names"),
        (("Entailment", "NEUTRAL", "contradiction"), "neutral contradictory entailment", [1, 2, 0], "names"),
        (("a", "A", "b"), "A a B", [1, 0, 2], "names"),
        (("LABEL_0", "LABEL_1", "LABEL_2"), "2 0 1", [2, 0, 1], "numbers"),
    ],
)
def test_observed_labels_are_names_first(named, tmp_path, names, labels, classes, reading):
    labels = labels.split("\t") if "\t" in labels else labels.split()
    folder, path = named(*names), written(tmp_path, labels)
    if reading is None:  # every label is a name and a class number as well, and the classes differ
        with pytest.raises(InputError, match=r"'0' \(line 1\) is the name of class 1; say which they are by --labels"):
            empirical(folder, path)
        found = empirical(folder, path, labels="names")
    else:
        found = empirical(folder, path)
        assert found.read.endswith(f"labels in column 3, class {reading}")
    assert found.estimate.value == pytest.approx(naive(folder, classes), rel=1e-4)


def test_a_file_that_fits_both_ways_is_settled_by_an_option(named, tmp_path):
    folder, path = named("1", "2", "3"), written(tmp_path, [1, 2, 2])
    with pytest.raises(InputError, match="all labels are names .* and all are class numbers too") as caught:
        empirical(folder, path)
    assert "\n" not in str(caught.value)
    assert empirical(folder, path, labels="names").estimate.value == pytest.approx(naive(folder, [0, 1, 1]), rel=1e-4)
    assert empirical(folder, path, labels="numbers").estimate.value == pytest.approx(naive(folder, [1, 2, 2]), rel=1e-4)


@pytest.mark.parametrize(
    ("names", "labels", "options", "message"),
    [
        (("1", "2", "3"), "1 2 3 4", {}, "line 4: label '4' is not one of 1, 2, 3, nor a class number .0 to 2.$"),
        (("neg", "pos", "mid"), "neg pos 2", {}, "line 3: label '2' is not one of neg, pos, mid, as others are: give"),
        (("neg", "pos", "mid"), "neg - pos", {}, "line 2: label '-' is not one of neg, pos, mid, nor a class number"),
        (("LABEL_0", "LABEL_1", "LABEL_2"), "neg pos pos", {}, "label 'neg' .* name the classes in id2label"),
        (("1", "2", "3"), "1 2 3", {"labels": "numbers"}, "line 3: label '3' is not a class number .0 to 2.$"),
        (("1", "2", "3"), "0 1 2", {"labels": "names"}, "line 1: label '0' is not one of 1, 2, 3$"),
        (("1", "2", "3"), "1 2 3", {"labels": "words"}, "--labels: expected names or numbers, got 'words'"),
        (("a", "b", "c"), "a b c", {"label2id": {"a": 1}}, "'a' is the name of class 0 and of class 1"),
        (("a", "b", "c"), "a b c", {"label2id": {"d": 3}}, "'d' has the number 3, but there are 3 classes, from 0"),
    ],
)
def test_labels_that_do_not_fit(classifier, named, tmp_path, names, labels, options, message):
    changes = {key: options.pop(key) for key in ("label2id",) if key in options}
    folder = named(*names)
    set_config(**changes)(folder)
    with pytest.raises(InputError, match=message):
        empirical(folder, written(tmp_path, labels.split()), **options)


@pytest.mark.parametrize("label2id", [None, {"neg": "0", "pos": "1", "mid": "2"}])
def test_half_a_label_map_and_one_with_text_for_numbers(named, tmp_path, label2id):
    folder = named("neg", "pos", "mid")
    set_config(label2id=label2id)(folder)
    found = empirical(folder, written(tmp_path, ["mid", "neg"]))
    assert found.estimate.value == pytest.approx(naive(folder, [2, 0]), rel=1e-4)


@pytest.mark.parametrize(("first", "end"), [("", "\n"), ("\ufeff", "\r\n"), ("", " \n")])
def test_one_sentence_and_its_label(named, tmp_path, first, end):
    folder = named("neg", "pos", "mid")
    path = written(tmp_path, ["pos", "mid", "pos", "neg"], sentences=1, first=first, end=end)
    found = trace_checkpoint(str(folder), path)
    assert found.read == "4 sentences, labels in column 2"
    assert json.loads(found.to_json(per_layer=False))["columns"] == {"first": 1, "second": None, "label": 2}
    assert found.estimate.value == pytest.approx(naive(folder, [1, 2, 1, 0], sentences=1, trace=True), rel=1e-4)
    expected = naive(folder, [1, 2, 1, 0], sentences=1)
    assert empirical(folder, path).estimate.value == pytest.approx(expected, rel=1e-4)
    assert trace_checkpoint(str(folder), path, columns="first=1, second=2").read == "4 pairs, no labels"


def test_the_command_prints_what_was_taken_for_what(named, tmp_path):
    folder, path = named("neg", "pos", "mid"), written(tmp_path, ["pos", "mid"] * 3)
    done = CliRunner().invoke(
        app, ["trace", str(folder), "--data", str(path), "--columns", "first=2,second=none,label=3"]
    )
    assert done.exit_code == 0, done.output
    assert "6 sentences in column 2, labels in column 3" in done.output


def test_a_header_and_blank_lines_are_no_examples(named, tmp_path):
    folder = named("neg", "pos", "mid")
    path = written(tmp_path, ["pos", "mid", "neg"])
    text = path.read_text()
    path.write_text(text + "\n  \n")
    found = trace_checkpoint(str(folder), path)
    assert found.estimate.value == pytest.approx(naive(folder, [1, 2, 0], trace=True), rel=1e-4)
    assert found.read == "3 pairs, labels in column 3"
    path.write_text(text + "\n" + text)
    with pytest.raises(InputError, match="line 4: the line is blank; remove it"):
        trace_checkpoint(str(folder), path)
    path.write_text(f"Satz\tSatz\tKlasse\n{text}")
    with pytest.raises(InputError, match="line 1: .*seems to be a header; remove the line"):
        trace_checkpoint(str(folder), path)
    path.write_text(f"premise\thypothesis\tlabel\n{text}")  # as published files have it, which the study reads, too
    found = trace_checkpoint(str(folder), path)
    assert (found.read, found.lines) == ("3 pairs, labels in column 3", [2, 3, 4])
    assert found.estimate.value == pytest.approx(naive(folder, [1, 2, 0], trace=True), rel=1e-4)


def test_a_head_that_does_not_fit_is_named(classifier, data, tmp_path):
    edit = set_config(id2label={"0": "a", "1": "b"}, label2id={"a": 0, "b": 1})
    message = (
        r"weights do not fit config.json, which names 2 classes: classifier.bias is \[3\], not \[2\]; "
        r"classifier.weight is \[3, 16\], not \[2, 16\]$"
    )
    with pytest.raises(InputError, match=message):
        trace_checkpoint(str(damaged(classifier, tmp_path, edit)), data)


def without_tokenizer(folder):
    for path in folder.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()


def test_one_class_is_said_before_a_tokenizer_that_lacks(classifier, data, tmp_path):
    folder = damaged(classifier, tmp_path, set_config(id2label={"0": "only"}, label2id={"only": 0}))
    without_tokenizer(folder)
    with pytest.raises(InputError, match="has one class: Tr.F. needs a softmax over two or more$"):
        trace_checkpoint(str(folder), data)


def test_the_tokenizer_of_another_folder(classifier, data, tmp_path):
    folder = damaged(classifier, tmp_path, without_tokenizer)
    with pytest.raises(InputError, match="--tokenizer names another folder's$") as caught:
        trace_checkpoint(str(folder), data)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"model \./none: no such folder"):
        trace_checkpoint(str(folder), data, tokenizer="./none")
    found = trace_checkpoint(str(folder), data, tokenizer=str(classifier))
    assert found.estimate.value == trace_checkpoint(str(classifier), data).estimate.value


def more_pieces(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["zebra"] = len(vocabulary)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def one_token_type(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "token_type" in name)
    weights[name] = weights[name][:1].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    set_config(type_vocab_size=1)(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            more_pieces,
            r"\(piece 'zebra'\) is outside the model's tables, which have 131 pieces \(the tokenizer 132\): is",
        ),
        (one_token_type, r"the token type 1 of a second sentence is outside the model's tables \(1 types\)"),
    ],
)
def test_ids_outside_the_models_tables(classifier, tmp_path, edit, message):
    path = tmp_path / "rows.tsv"
    path.write_text("red dog\tzebra runs\n")
    with pytest.raises(InputError, match=message):
        trace_checkpoint(str(damaged(classifier, tmp_path, edit)), path)


def test_a_missing_relative_folder_is_no_hub_id(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "checkpoint-10").mkdir(parents=True)
    with pytest.raises(InputError, match="model runs/checkpoint-20: no such folder; runs holds checkpoint-10$"):
        trace_checkpoint("runs/checkpoint-20", data)
    with pytest.raises(
        InputError, match="^there is no folder other/best here, and model other/best is not in the local"
    ):
        trace_checkpoint("other/best", data)
    (tmp_path / "weights").write_text("")
    with pytest.raises(InputError, match="model weights: a file; name the folder that holds it"):
        trace_checkpoint("weights", data)


def test_the_file_that_is_read_is_not_written_over(classifier, data):
    done = CliRunner().invoke(app, ["trace", str(classifier), "--data", str(data), "--json", str(data)])
    assert isinstance(done.exception, InputError)
    assert data.read_text() == PAIRS


def test_token_types_for_a_model_without_them(classifier, tiny_model, data, tmp_path):
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    folder = tmp_path / "distilbert"
    shutil.copytree(tiny_model, folder)
    config = DistilBertConfig(vocab_size=200, dim=16, n_layers=1, n_heads=2, hidden_dim=32, num_labels=3)
    DistilBertForSequenceClassification(config).save_pretrained(folder)
    with pytest.raises(InputError, match="takes no token types, but its tokenizer gives them: is this the model's"):
        trace_checkpoint(str(folder), data)


def test_empty_sentences_are_said(classifier, tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("red dog\tblue cat\nold tree\t \n")
    assert trace_checkpoint(str(classifier), path).warnings == ["1 of 2 examples have an empty sentence"]
