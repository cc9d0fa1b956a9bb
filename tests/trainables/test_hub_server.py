"""Fetching from a hub on loopback: what it holds arrives, and every way to fail is one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.trainables.hub_server import Hub, serving
from trainables.errors import InputError
from trainables.hub import download as hub_download
from trainables.hub import repository_files as hub

ONE, TWO = "1" * 40, "2" * 40
WEIGHTS = bytes(range(256)) * 4096
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}


def model(name: str = "some/model", revision: str | None = None) -> hub.Repository:
    return hub.Repository("model", name, revision, ("*.json", "*.safetensors"), False, "model.name to a folder")


DATA = hub.Repository("dataset", "some/data", None, ("en/*.parquet",), True, "data.source to a folder")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub with two commits of a model and a data set, an empty cache, and no waiting between tries."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    held = Hub()
    held.add("models/some/model", ONE, {**FILES, "config.json": b"[1]"}, "v1", "old")
    held.add("models/some/model", TWO, FILES, "main")
    held.add("models/model", TWO, FILES, "main")
    held.add("datasets/some/data", ONE, {"en/a.parquet": b"rows", "de/a.parquet": b"others"}, "main")
    hub._reachable.cache_clear()
    with serving(held):
        monkeypatch.setattr(constants, "ENDPOINT", held.url)
        template = held.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
        monkeypatch.setattr(hub_download, "PAUSE_SECONDS", 0.0)
        yield held
    hub._reachable.cache_clear()


def refused(repository: hub.Repository) -> str:
    with pytest.raises(InputError) as caught:
        hub.fetch(repository, lambda folder: [])
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_what_the_hub_holds_arrives_and_nothing_else_is_said(server: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    folder = hub.fetch(model(), lambda folder: [])
    assert folder.name == TWO
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert capfd.readouterr() == ("", "note: fetching model some/model from the hub (1.0 MB)\n")
    assert hub.fetch(model(), lambda folder: []) == folder
    assert len(server.served) == len(FILES)
    assert capfd.readouterr() == ("", "")


def test_a_data_set_comes_through_the_same_door(server: Hub) -> None:
    folder = hub.fetch(DATA, lambda folder: [])
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")] == ["en/a.parquet"]
    server.status = 503
    server.commits.clear()
    assert hub.fetch(DATA, lambda folder: []) == folder


@pytest.mark.parametrize(("revision", "commit"), [("v1", ONE), ("old", ONE), (ONE, ONE), (TWO, TWO), (None, TWO)])
def test_a_branch_a_tag_and_a_commit_give_the_commit(server: Hub, revision: str | None, commit: str) -> None:
    assert hub.fetch(model(revision=revision), lambda folder: []).name == commit


def test_an_id_without_an_owner(server: Hub) -> None:
    assert hub.fetch(model("model"), lambda folder: []).name == TWO
    assert refused(model("modle")).startswith("model modle: the hub has none that you may read (if it is private, ")


def test_a_revision_that_is_not_there(server: Hub) -> None:
    assert refused(model(revision="v9")) == "model some/model at v9: the hub has no revision 'v9' of it"


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "GatedRepo", r"is gated: accept its licence at http\S+/some/model, then type `hf auth login` and the"),
        (401, "GatedRepo", r"is gated: accept its licence at http\S+/some/model, then type `hf auth login` and the"),
        (401, "RepoNotFound", r": the hub has none that you may read \(if it is private, type `hf auth login`\); or"),
        (403, "", r": the hub refuses your token \(403\); type `hf auth login` and the command again$"),
        (429, "", r": the hub answers 429, too many requests; try again in some minutes: what has arrived is kept$"),
        (500, "", r": the hub has an error of its own \(500\); try again later: what has arrived is kept$"),
        (503, "", r": the hub has an error of its own \(503\); try again later: what has arrived is kept$"),
        (418, "", r": the hub answers 418 "),
    ],
)
def test_what_the_hub_refuses(server: Hub, status: int, code: str, message: str) -> None:
    server.status, server.code = status, code
    said = refused(model())
    assert re.search(f"^model some/model{message}" if message[0] == ":" else f"^model some/model {message}", said)
    assert "copy" not in said


def test_a_file_that_breaks_off_goes_on_where_it_stopped(server: Hub) -> None:
    server.cut["model.safetensors"] = 300_000
    folder = hub.fetch(model(), lambda folder: [])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert [first for name, first in server.served if name == "model.safetensors"] == [0, 300_000, 600_000, 900_000]


def test_the_next_command_goes_on_where_a_file_broke_off(server: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    server.cut["model.safetensors"] = 300_000
    server.down_after = 2
    said = refused(model())
    assert said.startswith("model some/model: the connection to the hub broke off (")
    assert said.endswith("); type the command again: what has arrived is kept")
    assert capfd.readouterr() == ("", "note: fetching model some/model from the hub (1.0 MB)\n")
    server.down_after = None
    server.cut.clear()
    server.served.clear()
    folder = hub.fetch(model(), lambda folder: [])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    # How far the first command came, a cut or two, depends on the order in which files are fetched side by side.
    assert [first for name, first in server.served if name == "model.safetensors"] in ([300_000], [600_000])


def test_a_hub_that_is_silent_in_the_middle(server: Hub) -> None:
    server.silent.add("model.safetensors")
    assert refused(model()).startswith("model some/model: the connection to the hub broke off (")


def test_a_cache_that_cannot_be_written(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub_download, "_go_on", full)
    assert refused(model()) == (
        f"model some/model cannot be kept in {tmp_path}: No space left on device; make room, or set HF_HOME"
    )


def test_something_else_answers_in_place_of_the_hub(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("json.dumps", lambda *arguments, **options: "<html>Sign in to the network</html>")
    assert refused(model()).startswith("model some/model cannot be fetched (")
