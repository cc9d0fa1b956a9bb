from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyarrow import fs

from study.store.storage import Store, open_store
from trainables.errors import InputError


@pytest.fixture(params=["path", "uri", "subtree"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "path":
        return open_store(str(tmp_path / "a"))
    if request.param == "uri":
        return open_store(f"file://{tmp_path}/a")
    return Store(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "a", "a")


def test_files_come_back_and_can_be_replaced(store: Store) -> None:
    assert not store.exists()
    assert store.names() == []
    assert store.modified("x.json") is None
    for content in (b"one", b"two"):
        store.write("x.json", content)
        assert store.read("x.json") == content
    assert store.names() == ["x.json"]
    assert store.modified("x.json") is not None
    store.delete("x.json")
    store.delete("x.json")
    assert store.exists()
    assert not store.exists("x.json")
    store.delete()
    assert not store.exists()


def test_children_are_folders_inside(store: Store) -> None:
    store.child("b").write("x", b"1")
    assert store.names() == ["b"]
    assert store.child("b").read("x") == b"1"
    assert store.child("b").location == f"{store.location}/b"


def test_a_write_that_fails_leaves_the_old_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("x", b"old")
    with pytest.raises(TypeError):
        store.write("x", "not bytes")  # type: ignore[arg-type]
    assert store.read("x") == b"old"


def test_a_relative_path_means_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("./studies/")
    assert store.path == str(tmp_path / "studies")
    assert store.location == "./studies"


@pytest.mark.parametrize("location", ["nosuch://x/y", "file://relative"])
def test_uris_that_mean_nothing_are_refused(location: str) -> None:
    with pytest.raises(InputError, match=f"cannot use the storage {location}"):
        open_store(location)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is a file, not a folder"):
        open_store(str(tmp_path / "file")).names()
    with pytest.raises(InputError, match="cannot write to the storage .*file/study"):
        open_store(str(tmp_path / "file" / "study")).require_writable()


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(str(tmp_path / "new" / "study")).require_writable()
    monkeypatch.setattr(os, "access", lambda *_: False)  # as for a read-only file system, or for a user who is not root
    with pytest.raises(InputError, match="choose another with --storage"):
        open_store(str(tmp_path / "new" / "study")).require_writable()


def test_the_options_of_a_uri_stay_last() -> None:
    storage = Store(fs.LocalFileSystem(), "/bucket/studies", "s3://bucket/studies?scheme=http&endpoint_override=host:9")
    study = storage.child("quick")
    assert study.location == "s3://bucket/studies/quick?scheme=http&endpoint_override=host:9"
    assert study.place("study.json") == "s3://bucket/studies/quick/study.json?scheme=http&endpoint_override=host:9"
    assert study.parent_location == storage.location
    assert study.name == "quick"


def test_a_question_mark_in_a_path_is_a_letter() -> None:
    study = open_store("/data/why?/studies").child("quick")
    assert study.location == "/data/why?/studies/quick"
    assert study.parent_location == "/data/why?/studies"
