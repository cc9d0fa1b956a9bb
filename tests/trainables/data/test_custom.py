import shutil

import pytest

from trainables.assets import Assets
from trainables.config import DataConfig, TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.data.task_data import load_task_data
from trainables.errors import InputError
from trainables.rehearsal.check import check
from trainables.trial import fine_tune

NAMES = {"neg": "red", "pos": "blue", "mixed": "tree"}
TRAIN = [f"dog {NAMES[label]} {word}\t{label}" for word in ("fast", "slow", "old", "new") for label in NAMES]
DEV = [f"cat sleeps {word}\t{label}" for word in ("fast", "slow", "old") for label in ("pos", "neg")]


def folder_of(path, train=TRAIN, dev=DEV, languages=("en", "de")):
    path.mkdir()
    (path / "train-en.tsv").write_text("".join(f"{line}\n" for line in train), encoding="utf-8")
    for language in languages:
        (path / f"dev-{language}.tsv").write_text("".join(f"{line}\n" for line in dev), encoding="utf-8")
    return path


def load(folder, **changes):
    config = DataConfig(name="custom", source=str(folder), languages=("de",), train_examples=None)
    return load_task_data(config.model_copy(update=changes))


def test_one_sentence_and_the_sorted_labels_of_the_training_file(tmp_path):
    data = load(folder_of(tmp_path / "own"))
    assert data.labels == ("mixed", "neg", "pos")
    assert (len(data.train), data.train.second) == (12, None)
    first = data.validation["de"].first.index("cat sleeps fast")
    assert data.labels[data.validation["de"].labels[first]] in ("pos", "neg")
    assert data.validation["de"] == data.validation["en"]


def test_two_sentences_and_labels_in_the_order_given(tmp_path):
    folder = folder_of(tmp_path / "own", ["a\tb\tyes\r", "c\td\tno\r"], ["e\tf\tyes", "g\th\tno"])
    data = load(folder, labels=("yes", "no", "maybe"), drop_untranslated=True)
    assert data.labels == ("yes", "no", "maybe")
    assert dict(zip(data.train.first, data.train.labels, strict=True)) == {"a": 0, "c": 1}
    assert data.validation["en"].second is not None
    assert data.fingerprint != load(folder, labels=("no", "yes", "maybe")).fingerprint


def test_equal_first_sentences_stay_on_one_side_of_the_split(tmp_path):
    data = load(folder_of(tmp_path / "own"), stage2_examples=2)
    assert len(data.stage2["de"]) == 2
    assert not set(data.stage2["de"].first) & set(data.validation["de"].first)


def test_the_fingerprint_is_of_the_content_and_not_of_the_folder(tmp_path):
    folder = folder_of(tmp_path / "own")
    shutil.copytree(folder, tmp_path / "moved")
    assert load(tmp_path / "moved").fingerprint == load(folder).fingerprint
    assert load(folder, seed=1).fingerprint != load(folder).fingerprint


@pytest.mark.parametrize(
    ("train", "dev", "message"),
    [
        (["a\tb\tc\tyes"], DEV, r"train-en.tsv, line 1: expected 2 or 3 tab-separated columns .*, found 4"),
        (["yes"], DEV, r"train-en.tsv, line 1: expected 2 or 3 tab-separated columns .*, found 1"),
        ([*TRAIN, "a\tb\tneg"], DEV, r"train-en.tsv, line 13: expected 2 tab-separated columns .* found 3$"),
        (TRAIN, [*DEV, "a\tb\tneg"], r"dev-en.tsv, line 7: expected 2 .* columns \(sentence, label\), found 3$"),
        (TRAIN, [*DEV, "a\tbad"], r"dev-en.tsv, line 7: label 'bad' is not one of mixed, neg, pos"),
        (TRAIN, [*DEV, "a\t "], r"dev-en.tsv, line 7: the label is missing"),
        ([*TRAIN, "a\t"], DEV, r"train-en.tsv, line 13: the label is missing"),
        (["sentence\tlabel", *TRAIN], DEV, r"line 1: label 'label' occurs on no other line, so this seems to be"),
        (["a\tb", "c\td", "e\tf"], DEV, r"holds 3 different labels in 3 lines, so it seems to be no label; name the"),
        (["a\tneg", "b\tneg"], ["c\tneg"], "the training examples have fewer than two labels"),
    ],
)  # fmt: skip
def test_bad_files_name_the_file_and_the_line(tmp_path, train, dev, message):
    with pytest.raises(InputError, match=message) as caught:
        load(folder_of(tmp_path / "own", train, dev))
    assert "\n" not in str(caught.value)


def test_given_labels_are_the_set_for_the_training_file_too(tmp_path):
    with pytest.raises(InputError, match=r"train-en.tsv, line 3: label 'mixed' is not one of pos, neg$"):
        load(folder_of(tmp_path / "own"), labels=("pos", "neg"))


def test_a_long_label_set_is_not_listed_whole(tmp_path):
    labels = tuple(f"intent{i}" for i in range(77))
    with pytest.raises(InputError, match=r"is not one of intent0, .*, intent19 and 57 more$"):
        load(folder_of(tmp_path / "own"), labels=labels)


@pytest.mark.parametrize("kind", ["subword", "embedding_gaussian"])
def test_a_one_sentence_task_trains_in_both_stages(tiny_model, tmp_path, kind):
    config = with_values(
        TrialConfig(),
        {
            "model.name": str(tiny_model),
            "data.name": "custom",
            "data.source": str(folder_of(tmp_path / "own")),
            "data.languages": "de",
            "data.train_examples": None,
            "data.stage2_examples": 2,
            "data.max_length": 16,
            "stages.0.epochs": 1,
            "stages.0.batch_size": 4,
            "stages.0.consistency.weight": 0.5,
            "stages.0.consistency.view.kind": kind,
            "stages.0.consistency.view.strength": 0.2,
            "stages.0.penalties.fisher.weight": 0.1,
            "stages.1.epochs": 1,
            "stages.1.batch_size": 2,
            "measure.trace_examples": 4,
        },
    )
    assets = Assets.resolve([config])
    assert check(assets, [config]) == []
    found = fine_tune(config, assets, lambda point: None)
    assert {"accuracy.en", "fisher_trace", "stage2.de.gain", "penalty.consistency"} <= set(found.values)


def test_a_language_under_two_names_is_refused(tmp_path):
    task = 'T = Task("t", ("neg", "pos"), 1, codes={"en": "eng", "de": "deu"})'
    (tmp_path / "t.py").write_text(f"from trainables.data.contract import Task\n{task}\n", encoding="utf-8")
    folder = folder_of(
        tmp_path / "own", [line for line in TRAIN if "mixed" not in line], DEV, ("en", "de", "deu", "eng")
    )
    changes = {"name": f"{tmp_path / 't.py'}:T"}
    assert len(load(folder, **changes).validation["de"]) == 6
    for languages, message in ((("de", "deu"), "deu is de under another name"), (("eng",), "eng is en under another")):
        with pytest.raises(InputError, match=f"data.languages: {message}"):
            load(folder, **changes, languages=languages)


def test_a_task_of_ones_own_says_how_files_number_its_labels(tmp_path):
    numbered = [line.replace("neg", "0").replace("pos", "1") for line in TRAIN if "mixed" not in line]
    folder = folder_of(tmp_path / "own", numbered, [line.replace("neg", "0").replace("pos", "1") for line in DEV])
    for name, more in (("A", ""), ("B", ', numbered=("pos", "neg")')):
        text = f'from trainables.data.contract import Task\n{name} = Task("t", ("neg", "pos"), 1{more})\n'
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    first = load(folder, name=f"{tmp_path / 'A.py'}:A", labels=("neg", "pos")).train.labels
    assert first == [1 - label for label in load(folder, name=f"{tmp_path / 'B.py'}:B").train.labels]
    with pytest.raises(InputError, match="data.labels must be the labels of t in another order: neg, pos"):
        load(folder, name=f"{tmp_path / 'A.py'}:A", labels=("yes", "no"))
    with pytest.raises(InputError, match="data.labels=neg,pos"):
        load(folder, name=f"{tmp_path / 'A.py'}:A")


def test_files_of_equal_length_and_other_labels_are_not_parallel(tmp_path):
    folder = folder_of(tmp_path / "own")
    turned = [line.replace("pos", "x").replace("neg", "pos").replace("x", "neg") for line in DEV]
    (folder / "dev-de.tsv").write_text("".join(f"{line}\n" for line in turned), encoding="utf-8")
    found = load(folder)
    assert not found.parallel
    assert any("files are not parallel" in note for note in found.notes)


def test_twins_are_counted_in_the_files_and_not_in_what_dropping_leaves(tmp_path):
    rows = {
        language: [f"{language} word {i}\t{('neg', 'pos')[i % 2]}" for i in range(30)]
        for language in ("en", "de", "zh")
    }
    rows["en"][5] = "en word 5\t-"
    rows["de"][20] = "de word 20\t-"
    del rows["zh"][29]
    folder = folder_of(tmp_path / "own", languages=("en", "de", "zh"))
    for language, lines in rows.items():
        (folder / f"train-{language}.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    changes = {
        "languages": ("de", "zh"), "stage2_languages": ("de",), "train_examples": 15, "stage2_examples": 5,
        "stage2_source": "train", "unlabelled": "drop",
    }  # fmt: skip
    for seed in range(20):
        found = load(folder, **changes, seed=seed)
        trained = {text.split()[-1] for text in found.train.first}
        assert not trained & {text.split()[-1] for text in found.stage2["de"].first}
    with pytest.raises(InputError, match=r"training files of en and zh are not parallel \(30 and 29 rows\)"):
        load(folder, **changes | {"stage2_languages": ("zh",)})


def test_a_header_of_another_task_is_refused(tmp_path):
    folder = folder_of(tmp_path / "own", ["index\tquestion\tsentence\tlabel", "0\tWhen?\tIn May.\tyes"])
    with pytest.raises(InputError, match=r"train-en.tsv: the header names question, which would not be read"):
        load(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('"a/b", "{lang}/{split}.csv"', r"the pattern takes \{language\} and \{split\}"),
        ('"a/b", "**{language}/{split}.csv"', r"\*\* must be a whole part of the pattern"),
        ('"a/b", splits=("train", "test")', "splits are the names of train, dev and test"),
        ('"a/b", columns=("text",)', "columns one or two sentences and the label"),
    ],
)  # fmt: skip
def test_a_mistake_in_ones_own_hub_files_is_one_line(tmp_path, arguments, message):
    text = f"from trainables.data.contract import HubFiles, Task\nT = Task('t', hub=HubFiles({arguments}))\n"
    (tmp_path / "t.py").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"data.name=.*: a/b: .*{message}"):
        load(folder_of(tmp_path / "own"), name=f"{tmp_path / 't.py'}:T")
