"""The Hugging Face hub: a repository's files in the local cache, and an answer at once where there is no network.

The hub's own libraries retry silently for 23 seconds when nothing answers. So it is first tested whether anything
does; if not, only the local cache is read, and a message names the command that fetches what it lacks. Whatever the
hub refuses or breaks off is one line.
"""

from __future__ import annotations

import functools
import socket
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from trainables.errors import InputError
from trainables.hub.download import download
from trainables.hub.refusal import refusal
from trainables.hub.repository import Repository

__all__ = ["Repository", "fetch"]

CONNECT_SECONDS = 3.0


def fetch(repository: Repository, lacking: Callable[[Path], Sequence[str]]) -> Path:
    """The folder of one commit in the local cache, named by its full hash; fetched first where the hub can be reached.

    Args:
        lacking: Gives the files that a folder should have and does not; asked without a network only, since then the
            cache may hold a part of the repository.

    Raises:
        InputError: The hub has no such thing, or it cannot be reached and the cache does not hold all of it.
    """
    from huggingface_hub import constants
    from huggingface_hub import errors as hub

    unreachable = _unreachable(constants.ENDPOINT, constants.HF_HUB_OFFLINE)
    if unreachable and not repository.cached().is_dir():
        raise InputError(f"{repository} is not in the local cache and {unreachable}; {repository.remedy()}")
    try:
        folder = download(repository, local_files_only=unreachable is not None)
        missing = lacking(folder) if unreachable else ()
    except Exception as error:  # those of the hub's library, of HTTP, of JSON that is none, of the disk
        if not unreachable:
            raise InputError(refusal(repository, error)) from None
        missing = ("some of its files" if isinstance(error, hub.IncompleteSnapshotError) else "this revision",)
    if missing:
        raise InputError(
            f"the local cache holds {repository} only in part ({repository.cached()} lacks {', '.join(missing)}) and "
            f"{unreachable}; {repository.remedy()}"
        )
    return folder


def _unreachable(endpoint: str, offline: bool) -> str | None:
    """Why the hub cannot be asked; None when it can."""
    if offline:
        return "HF_HUB_OFFLINE is set"
    return None if _reachable(endpoint) else "the hub cannot be reached"


@functools.cache
def _reachable(endpoint: str) -> bool:
    """Whether something answers where requests to the hub go: the hub itself, or the proxy; asked once in a process."""
    url = urllib.parse.urlsplit(endpoint)
    host, port = url.hostname or "", url.port or (80 if url.scheme == "http" else 443)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(host):
        parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
        host, port = parts.hostname or "", parts.port or 80
    answered = threading.Event()

    def ask() -> None:
        try:
            socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
        except OSError:
            return
        answered.set()

    # The timeout of a connection bounds neither the look-up of the name nor several addresses together.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(CONNECT_SECONDS)
    return answered.is_set()
