import socket
import time

import pytest

from trainables import hub
from trainables.errors import InputError

REPO = ("model", "some/model")


@pytest.fixture
def no_proxy(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_an_endpoint_that_answers_is_reachable_and_one_that_refuses_is_not(no_proxy):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert hub._reachable(f"http://127.0.0.1:{port}")
    started = time.monotonic()
    assert not hub._reachable(f"http://127.0.0.1:{port}")
    assert time.monotonic() - started < hub.CONNECT_SECONDS + 1


def test_behind_a_proxy_only_the_proxy_can_tell(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert hub._reachable("https://127.0.0.1:1")


def test_what_the_cache_holds_needs_no_network(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="the thing is not in the local cache and the hub cannot be reached; do that"):
        hub.require_hub("the thing", "do that", REPO)  # the tests run with HF_HUB_OFFLINE=1
    (tmp_path / "models--some--model").mkdir()
    hub.require_hub("the thing", "do that", REPO)


def test_online_an_uncached_repository_is_left_to_the_hub(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_reachable", lambda endpoint: True)
    hub.require_hub("the thing", "do that", REPO)
