"""Views that change tokens: drawn by row, drawn once or anew, and from files that a trial id knows by content."""

from pathlib import Path

import pytest

from trainables.assets import Assets
from trainables.config import TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.data.contract import Rows
from trainables.errors import InputError
from trainables.rehearsal.check import check
from trainables.tokenization.encoding import Encoder
from trainables.views.token_views import TokenViews, ViewFiles
from trainables.views.view import ViewConfig

TEXTS = ["red dogen runs oldo", "housetree cat", "blue dog sleeps fasten", "newo slowen tree"]
ROWS = Rows(TEXTS, TEXTS[::-1], [0, 1, 0, 1])
FILES = ViewFiles(
    {"de": {"dog": ["dogen"], "cat": ["caten", "cato"], "tree": ["treeo"], "red": ["reden"], "blue": ["blueo"]}},
    {"de": Rows([t.replace("e", "en") for t in TEXTS], TEXTS, [0] * 4), "es": Rows(TEXTS[::-1], TEXTS, [0] * 4)},
    "",
)
KINDS = {
    "subword": {"strength": 0.5},
    "code_switch": {"strength": 0.5, "files": "bundled"},
    "translation": {"strength": 0.5, "files": "bundled"},
}


@pytest.fixture(params=KINDS)
def views(request, wordpiece):
    """A function that makes the views of a kind."""

    def make(**fields):
        view = ViewConfig(kind=request.param, **KINDS[request.param], **fields)
        return TokenViews(view, Encoder(wordpiece, 32), ROWS, FILES)

    return make


def test_a_view_depends_on_its_row_and_the_seed_alone(views):
    whole = views().view([0, 1, 2, 3], 7)
    assert views().view([3, 1], 7) == [whole[3], whole[1]]
    assert any(views().view([0, 1, 2, 3], seed) != whole for seed in range(8, 12))


def test_resample_false_keeps_the_first_draw_for_all_uses_and_seeds(views):
    kept = views(resample=False)
    first = kept.view([2, 0], 7)
    assert kept.view([0, 2, 1], 8)[:2] == first[::-1]
    assert views(resample=False).view([2, 0], 9) == first


def test_special_tokens_and_token_types_stay(views, wordpiece):
    clean = Encoder(wordpiece, 32).encode(ROWS)
    for encoded, plain in zip(views().view([0, 1, 2, 3], 1), clean, strict=True):
        special = [i for i in plain.ids if i in wordpiece.special_ids]
        assert [i for i in encoded.ids if i in wordpiece.special_ids] == special
        assert encoded.types == sorted(encoded.types)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "code_switch"}, "view code_switch needs files: there is no default (files: LANG=FILE with commas"),
        ({"kind": "translation"}, "the English training file's translation, line by line)"),
        ({"kind": "subword", "files": "bundled"}, "view subword does not use files"),
        ({"kind": "code_switch", "files": "de"}, "view.files takes 'bundled', or LANG=FILE with commas"),
        ({"kind": "code_switch", "files": "de=a,de=b"}, "each LANG once, got 'de=a,de=b'"),
        ({"kind": "code_switch", "files": "bundled", "strength": 1.5}, "strength of view code_switch is at most 1"),
        ({"kind": "embedding_gaussian", "resample": False}, "view embedding_gaussian does not use resample"),
        ({"kind": "code_switch", "files": "bundled", "drop_single_characters": True}, "does not use drop_single"),
    ],
)
def test_contradictory_fields_are_refused(fields, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is matched below)
        ViewConfig(**fields).resolved()
    assert message in str(caught.value)


VIEW = "stages.0.consistency.view"


@pytest.fixture
def switched(tiny_config, tmp_path):
    """A function that sets a view of the tiny trial and its file's content, in a folder of its own."""

    def make(kind, content, folder="one", **fields):
        path = tmp_path / folder / "file.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        values = {f"{VIEW}.kind": kind, f"{VIEW}.files": f"de={path}"}
        return with_values(tiny_config, values | {f"{VIEW}.{name}": value for name, value in fields.items()})

    return make


def test_equal_content_in_another_folder_is_the_same_trial(switched):
    from study.plan.planning import identify

    configs = [switched("code_switch", "dog dogen\n", "one"), switched("code_switch", "dog dogen\n", "two")]
    configs.append(switched("code_switch", "dog dogo\n", "three"))
    assets = Assets.resolve(configs)
    ids = [identify(config, *assets.fingerprints(config)) for config in configs]
    assert ids[0] == ids[1] != ids[2]


def test_a_trial_without_files_keeps_its_data_fingerprint(tiny_config, tiny_assets):
    assert tiny_assets.fingerprints(tiny_config)[1] == tiny_assets.rows(tiny_config).fingerprint


def test_translations_are_those_of_the_drawn_rows(switched, tiny_data):
    lines = (tiny_data / "train-en.tsv").read_text().splitlines()
    config = switched("translation", "\n".join(f"{i}: {line.rpartition(chr(9))[0]}" for i, line in enumerate(lines)))
    assets = Assets.resolve([config])
    (files,) = assets.files(config).values()
    drawn, translated = assets.rows(config).train, files.translations["de"]
    assert len(drawn) == len(translated) == 36
    for i, (first, second) in enumerate(zip(drawn.first, drawn.second, strict=True)):
        number, _, text = translated.first[i].partition(": ")
        assert text == first
        assert translated.second[i] == second
        assert int(number) == assets.rows(config).train_rows[i]


def test_a_short_parallel_file_is_refused_before_any_trial(switched):
    with pytest.raises(InputError, match="line 2: the file ends after 1 lines, but the English training file has 64"):
        Assets.resolve([switched("translation", "a\tb\n")])


def test_translation_is_refused_in_the_second_stage(tiny_config):
    values = {"stages.1.noise.kind": "translation", "stages.1.noise.files": "de=x"}
    with pytest.raises(InputError, match="translates the English training file, so stages.1 cannot have it"):
        with_values(tiny_config, values)


def test_the_bundled_translation_is_of_the_bundled_tasks_alone(tiny_config):
    config = with_values(tiny_config, {f"{VIEW}.kind": "translation", f"{VIEW}.files": "bundled"})
    with pytest.raises(InputError, match="translates the bundled training examples, and data.source is"):
        Assets.resolve([config])


def test_bundled_files_serve_both_kinds():
    base = with_values(
        TrialConfig(),
        {"model.name": "mini", "data.name": "inference", "data.source": "bundled", "data.train_examples": 9},
    )
    configs = [
        with_values(base, {f"{VIEW}.kind": kind, f"{VIEW}.files": "bundled"}) for kind in ("code_switch", "translation")
    ]
    assets = Assets.resolve(configs)
    dictionary = next(iter(assets.files(configs[0]).values())).dictionaries
    assert dictionary["de"]["dog"] == ["Hund"]
    assert "rot" in dictionary["de"]["red"]
    assert dictionary["es"]["red"] == ["rojo", "roja"]
    translated = next(iter(assets.files(configs[1]).values())).translations
    assert set(translated) == {"de", "es", "zh"}
    assert all(len(rows) == 9 for rows in translated.values())


def test_drop_single_characters_is_refused_before_any_trial_where_the_vocabulary_is_unigram(tiny_config, unigram):
    from dataclasses import replace

    config = with_values(tiny_config, {f"{VIEW}.kind": "subword", f"{VIEW}.drop_single_characters": True})
    assets = Assets.resolve([config])
    ((key, files),) = assets.models.items()
    assets.models[key] = replace(files, tokenizer=unigram)
    with pytest.raises(InputError, match="drop_single_characters is a rule of WordPiece; this tokenizer's vocabulary"):
        check(assets, [config])


def test_a_code_switched_trial_runs(switched, tiny_config):
    from trainables.trial import fine_tune

    content = "".join(f"{word} {word}en\n" for word in ("red", "dog", "house", "old"))
    config = switched("code_switch", content, strength=0.5)
    config = with_values(config, {"stages.0.consistency.preset": "xtune_r1", "stages.0.consistency.weight": 1})
    found = fine_tune(config, Assets.resolve([config]), lambda point: None)
    assert found.values["penalty.consistency"] > 0


def test_paths_of_view_files_become_absolute(tiny_config, tmp_path, monkeypatch):
    from study.plan.narrowing import absolute_folders

    monkeypatch.chdir(tmp_path)
    config = with_values(tiny_config, {f"{VIEW}.kind": "code_switch", f"{VIEW}.files": "de=a.txt,es=~/b.txt"})
    files = absolute_folders(config).stages[0].consistency.view.files
    assert files == f"de={tmp_path / 'a.txt'},es={Path('~/b.txt').expanduser()}"
    bundled = with_values(config, {f"{VIEW}.files": "bundled"})
    assert absolute_folders(bundled) == bundled
