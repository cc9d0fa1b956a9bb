import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from trainables.config import ModelConfig
from trainables.errors import InputError
from trainables.models import pickled
from trainables.models.files import load_model_files


@pytest.fixture
def folder(tiny_model, tmp_path, monkeypatch):
    """The tiny model with a pickle in the place of its safetensors, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    target = tmp_path / "model"
    shutil.copytree(tiny_model, target)
    (target / "model.safetensors").unlink()
    return target


@pytest.fixture
def tensors(tiny_model):
    return load_file(tiny_model / "model.safetensors")


def read(folder):
    return load_model_files(ModelConfig(name=str(folder))).weights


def shard(folder, tensors):
    names = list(tensors)
    parts = {"pytorch_model-00001-of-00002.bin": names[:5], "pytorch_model-00002-of-00002.bin": names[5:]}
    for file, some in parts.items():
        torch.save({name: tensors[name] for name in some}, folder / file)
    where = {name: file for file, some in parts.items() for name in some}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": where}))


@pytest.mark.parametrize(
    "save",
    [
        lambda folder, tensors: torch.save(tensors, folder / "pytorch_model.bin"),
        lambda folder, tensors: torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False),
        shard,
    ],
    ids=["one file", "the old format", "shards"],
)
def test_pickled_weights_are_the_same_and_opened_once(folder, tensors, save, monkeypatch):
    save(folder, tensors)
    found = read(folder)
    assert found.keys() == tensors.keys()
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in tensors.items())
    monkeypatch.setattr(torch, "load", None)  # now the cache answers
    again = read(folder)
    assert all(np.array_equal(again[name], found[name]) for name in found)
    assert not list(pickled.cache().glob("*.part"))


def test_tensors_that_share_memory_are_all_there(folder, tensors):
    table = tensors["embeddings.word_embeddings.weight"]
    torch.save(
        {**tensors, "cls.predictions.decoder.weight": table, "a.part": table[1:3].T}, folder / "pytorch_model.bin"
    )
    for _ in range(2):  # from the pickle, from the cache
        found = read(folder)
        assert np.array_equal(found["cls.predictions.decoder.weight"], table.numpy())
        assert np.array_equal(found["a.part"], table[1:3].T.numpy())


class Runs:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def test_a_file_that_would_run_code_is_refused_and_does_not_run_it(folder, tensors, tmp_path):
    torch.save({**tensors, "x": Runs(str(tmp_path / "ran"))}, folder / "pytorch_model.bin")
    with pytest.raises(
        InputError, match=r"pytorch_model.bin is damaged or holds more than tensors, which could run code, so"
    ):
        read(folder)
    assert not (tmp_path / "ran").exists()
    assert not list(pickled.cache().glob("*"))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda f: f.write_bytes(b"x" * 100), "pytorch_model.bin is damaged"),
        (lambda f: f.write_bytes(b"PK\x03\x04" + b"x" * 100), "pytorch_model.bin is damaged"),
        (lambda f: f.write_bytes(b""), "pytorch_model.bin is damaged"),
        (lambda f: torch.save({"epoch": 3}, f), r"no plain file of weights \('epoch' is of type int\)"),
        (lambda f: torch.save({"model": {}}, f), r"no plain file of weights \('model' is of type dict\)"),
    ],
)
def test_what_is_no_file_of_weights_is_one_line(folder, write, message):
    write(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=message) as refusal:
        read(folder)
    assert "\n" not in str(refusal.value)


def test_a_damaged_cache_and_one_that_cannot_be_written_do_no_harm(folder, tensors, monkeypatch, tmp_path):
    torch.save(tensors, folder / "pytorch_model.bin")
    read(folder)
    (kept,) = pickled.cache().iterdir()
    kept.write_bytes(b"x")
    assert read(folder).keys() == tensors.keys()
    assert load_file(kept).keys() == tensors.keys()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert read(folder).keys() == tensors.keys()


def test_safetensors_are_read_where_there_are_both(folder, tiny_model, tensors):
    (folder / "pytorch_model.bin").write_bytes(b"x")
    shutil.copy(tiny_model / "model.safetensors", folder)
    assert read(folder).keys() == tensors.keys()


@pytest.mark.parametrize("both", [False, True])
def test_the_hub_is_asked_for_pickles_only_where_it_has_no_safetensors(folder, tiny_model, tensors, both, monkeypatch):
    asked = []

    def fetch(repository, lacking):
        asked.append(any("pytorch_model" in pattern for pattern in repository.patterns))
        if both:
            shutil.copy(tiny_model / "model.safetensors", folder)
        elif asked[-1]:
            torch.save(tensors, folder / "pytorch_model.bin")
        return folder

    monkeypatch.setattr("trainables.models.folders.fetch", fetch)
    found = load_model_files(ModelConfig(name="some/model"))
    assert found.weights.keys() == tensors.keys()
    assert asked == ([False] if both else [False, True])
