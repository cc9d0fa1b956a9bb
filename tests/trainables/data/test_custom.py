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
