import json
import shutil

import pytest
import torch

from trainables.assets import Assets
from trainables.config.dotted_paths import with_values
from trainables.errors import InputError
from trainables.models.build import build_model
from trainables.rehearsal.check import check
from trainables.seeding import Streams


def checked(config, **values):
    changed = with_values(config, {key.replace("__", "."): value for key, value in values.items()})
    return check(Assets.resolve([changed]), [changed])


def test_a_good_trial_passes_without_a_note(tiny_config):
    notes = checked(tiny_config, stages__0__consistency__weight=0.5)
    assert notes == ["data pawsx: rows whose two sentences are identical: training 1"]


def test_what_would_fail_in_every_trial_is_found_before(tiny_config):
    with pytest.raises(InputError, match="model.num_hidden_layers=99, but .* has 2 layers"):
        checked(tiny_config, model__num_hidden_layers=99)


def test_examples_that_the_model_cannot_hold_are_cut_and_said(tiny_config):
    _, note = checked(tiny_config, data__max_length=64)
    assert "has positions for 32 pieces, so longer examples are cut there" in note


def test_a_kind_of_dropout_that_the_encoder_does_not_have(tiny_config, tiny_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "mpnet"}))
    with pytest.raises(InputError, match="model.dropout.classifier: .* has no such dropout"):
        checked(tiny_config, model__name=str(folder), model__dropout__classifier=0.1)


def test_models_and_data_are_read_once(tiny_config):
    configs = [with_values(tiny_config, {"seed": seed}) for seed in (0, 1)]
    assets = Assets.resolve(configs)
    assert (len(assets.models), len(assets.data)) == (1, 1)
    assert assets.fingerprints(configs[0]) == assets.fingerprints(configs[1])


def test_what_is_known_of_the_data_is_said_once_and_kept(tiny_config, tiny_data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder)
    lines = (folder / "train-en.tsv").read_text().splitlines(keepends=True)
    (folder / "train-en.tsv").write_text("".join([*lines, lines[0]]))
    values = {"data.source": str(folder), "data.train_examples": None}
    configs = [with_values(tiny_config, {**values, "seed": seed}) for seed in (0, 1)]
    assets = Assets.resolve(configs)
    notes = check(assets, configs)
    assert notes.count("data pawsx: 1 of the 65 training examples repeat an earlier one") == 1
    assert assets.notes == notes


def test_the_trials_seed_and_the_datas_seed_are_independent(tiny_config):
    """The one decides the new head and nothing of the rows, the other the rows and nothing of the head."""
    config, other_trial, other_data = (
        with_values(tiny_config, values) for values in ({}, {"seed": 1}, {"data.seed": 1})
    )
    assets = Assets.resolve([config, other_trial, other_data])

    def head(config):
        return build_model(assets.model(config), config.model, 2, Streams(config.seed)).classifier.weight

    assert assets.rows(other_trial) is assets.rows(config)
    assert assets.rows(other_data).train != assets.rows(config).train
    assert assets.rows(other_data).validation != assets.rows(config).validation
    assert torch.equal(head(other_data), head(config))
    assert not torch.equal(head(other_trial), head(config))
