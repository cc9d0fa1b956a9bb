import socket
import threading
import time

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from tests.trainables.hub_cache import COMMIT, snapshot
from trainables.errors import InputError
from trainables.hub import repository_files as hub

MODEL = hub.Repository("model", "some/model", None, ("config.json",), include=False, instead="model.name to a folder")
DATA = hub.Repository("dataset", "some/data", "v1", ("en/*",), include=True, instead="data.source to a folder")


def nothing_lacking(folder):
    return []


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty hub cache, no proxy, and no answer kept from another test."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    reachable = hub._reachable
    reachable.cache_clear()
    yield tmp_path
    reachable.cache_clear()


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_reachable", lambda endpoint: True)


@pytest.fixture
def no_network(monkeypatch):
    """HF_HUB_OFFLINE is not set, but every connection is refused; counts the attempts."""
    attempts = []

    def refuse(self, address):
        attempts.append(address)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "https://127.0.0.1:9")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return attempts


def test_an_endpoint_that_answers_is_reachable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert hub._reachable(f"http://127.0.0.1:{port}")


def test_an_endpoint_that_refuses_is_not_reachable_and_is_asked_once(no_network):
    assert not hub._reachable(constants.ENDPOINT)
    assert not hub._reachable(constants.ENDPOINT)
    assert no_network == [("127.0.0.1", 9)]


def test_a_network_that_swallows_everything_is_given_up_in_time(monkeypatch):
    monkeypatch.setattr(hub, "CONNECT_SECONDS", 0.1)
    over = threading.Event()

    def silent(*arguments):  # a name server that does not answer
        over.wait(20)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    before = set(threading.enumerate())
    started = time.monotonic()
    assert not hub._reachable("https://hub.example")
    assert time.monotonic() - started < 5
    over.set()
    for thread in set(threading.enumerate()) - before:
        thread.join()  # it is not to end in another test


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:{}", "127.0.0.1:{}"])
def test_behind_a_proxy_the_proxy_is_asked(monkeypatch, proxy):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.format(server.getsockname()[1]))
        assert hub._reachable("https://hub.invalid")
    hub._reachable.cache_clear()
    assert not hub._reachable("https://hub.invalid")


def test_what_no_cache_holds_is_said_with_the_command_that_fetches_it(no_network, cache):
    with pytest.raises(InputError) as caught:
        hub.fetch(MODEL, nothing_lacking)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("model some/model is not in the local cache and the hub cannot be reached; fetch it")
    assert "`hf download some/model` and copy models--some--model from" in message
    assert f"there into {cache} here (or set HF_HOME" in message
    assert message.endswith("or set model.name to a folder")
    with pytest.raises(
        InputError,
        match=r"data set some/data at v1 .*`hf download some/data --repo-type dataset --revision v1 --include 'en/\*'`",
    ):
        hub.fetch(DATA, nothing_lacking)
    assert len(no_network) == 1


def test_without_a_network_the_cache_answers_and_no_request_is_tried(no_network, cache):
    folder = snapshot(cache, "model", MODEL.name)
    assert hub.fetch(MODEL, nothing_lacking) == folder
    assert folder.name == COMMIT
    assert len(no_network) == 1  # the question whether the hub can be reached


def test_a_part_of_a_repository_is_not_taken_for_all_of_it(cache, monkeypatch):
    folder = snapshot(cache, "model", MODEL.name)
    pattern = (
        r"local cache holds model some/model only in part \(.*models--some--model lacks {}\) and HF_HUB_OFFLINE is set"
    )
    with pytest.raises(InputError, match=pattern.format("config.json, vocab.txt") + ".*`hf download some/model`"):
        hub.fetch(MODEL, lambda asked: ["config.json", "vocab.txt"] if asked == folder else [])
    folder.rmdir()
    with pytest.raises(InputError, match=pattern.format("this revision")):
        hub.fetch(MODEL, nothing_lacking)

    def incomplete(*arguments, **options):
        raise errors.IncompleteSnapshotError("3 files are missing", snapshot_path=str(folder))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", incomplete)
    with pytest.raises(InputError, match=pattern.format("some of its files")):
        hub.fetch(MODEL, nothing_lacking)


def test_online_the_hub_is_asked_and_what_it_has_is_whole(online, cache, monkeypatch):
    asked = []

    def download(name, **options):
        asked.append((name, options))
        return [] if options.get("dry_run") else str(cache / COMMIT)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert hub.fetch(DATA, lambda folder: ["not asked"]) == cache / COMMIT
    options = {"repo_type": "dataset", "revision": "v1", "allow_patterns": ["en/*"]}
    assert asked == [("some/data", options | {"dry_run": True}), ("some/data", options | {"local_files_only": False})]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            errors.RepositoryNotFoundError,
            "data set some/data at v1: the hub has none that you may read .*; or set",
        ),
        (errors.RevisionNotFoundError, "data set some/data at v1: the hub has no revision 'v1' of it"),
        (
            errors.LocalEntryNotFoundError,
            r"cannot be fetched \(LocalEntryNotFoundError\); fetch it on a machine",
        ),
        (OSError, r"data set some/data at v1 cannot be fetched \(OSError\); fetch it on a machine"),
        (errors.HFValidationError, "data set some/data at v1: HFValidationError$"),
    ],
)
def test_what_the_hub_refuses_is_one_line(online, monkeypatch, kind, message):
    def download(name, **options):
        raise kind.__new__(kind)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(InputError, match=message) as caught:
        hub.fetch(DATA, nothing_lacking)
    assert "\n" not in str(caught.value)
