"""The Hugging Face hub: a repository's files in the local cache, and an immediate answer where there is no network.

The hub's own libraries retry silently for 23 seconds when nothing answers. So this module first tests whether anything
does; if not, it reads only the local cache, and a message names the command that fetches what is missing. A refusal or
a broken connection is reported in one line.
"""

from __future__ import annotations

import functools
import os
import socket
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from trainables.errors import InputError, one_line
from trainables.hub.download import download
from trainables.hub.repository import Repository

__all__ = ["Repository", "fetch"]

CONNECT_SECONDS = 3.0
KEPT = "what has arrived is kept"


def fetch(repository: Repository, lacking: Callable[[Path], Sequence[str]]) -> Path:
    """The folder of one commit in the local cache, named by its full hash; fetched first where the hub can be reached.

    Args:
        lacking: Returns the files that a folder should have but does not; only called without a network, when the cache
            may contain only part of the repository.

    Raises:
        InputError: The hub has no such repository, or it cannot be reached and the cache is incomplete.
    """
    from huggingface_hub import constants
    from huggingface_hub import errors as hub

    unreachable = _unreachable(constants.ENDPOINT, constants.HF_HUB_OFFLINE)
    if unreachable and not repository.cached().is_dir():
        raise InputError(f"{repository} is not in the local cache and {unreachable}; {repository.remedy()}")
    try:
        folder = download(repository, local_files_only=unreachable is not None)
        missing = lacking(folder) if unreachable else ()
    except Exception as error:  # from the hub's library, HTTP, invalid JSON or the disk
        if not unreachable:
            raise InputError(_refusal(repository, error)) from None
        missing = ("some of its files" if isinstance(error, hub.IncompleteSnapshotError) else "this revision",)
    if missing:
        raise InputError(
            f"the local cache holds {repository} only in part ({repository.cached()} lacks {', '.join(missing)}) and "
            f"{unreachable}; {repository.remedy()}"
        )
    return folder


def _unreachable(endpoint: str, offline: bool) -> str | None:
    """Why the hub cannot be reached; None when it can."""
    if offline:
        return "HF_HUB_OFFLINE is set"
    return None if _reachable(endpoint) else "the hub cannot be reached"


@functools.cache
def _reachable(endpoint: str) -> bool:
    """Whether something answers where requests to the hub go: the hub itself, or the proxy; asked once per process."""
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

    # A connection's timeout bounds neither the name look-up nor the total over several addresses.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(CONNECT_SECONDS)
    return answered.is_set()


def _refusal(repository: Repository, error: BaseException) -> str:
    """Why a repository cannot be fetched, in one line."""
    from huggingface_hub import constants, errors

    chain = list(_causes(error))

    def caused(*kinds: type[BaseException]) -> BaseException | None:
        return next((cause for cause in chain if isinstance(cause, kinds)), None)

    if (invalid := caused(errors.HFValidationError)) is not None:
        return f"{repository}: {one_line(invalid)}"
    if caused(errors.RevisionNotFoundError):
        return f"{repository}: the hub has no revision {repository.revision!r} of it"
    if caused(errors.GatedRepoError):
        page = "/".join([constants.ENDPOINT, *(["datasets"] if repository.kind == "dataset" else []), repository.name])
        return f"{repository} is gated: accept its licence at {page}, then type `hf auth login` and the command again"
    if caused(errors.RepositoryNotFoundError):
        private = "if it is private, type `hf auth login`"
        return f"{repository}: the hub has none that you may read ({private}); or set {repository.instead}"
    if caused(errors.DisabledRepoError):
        return f"{repository}: the hub has disabled it; set {repository.instead}"
    response = next((r for cause in chain if (r := getattr(cause, "response", None)) is not None), None)
    if response is not None:
        return _answered(repository, response.status_code, error)
    # A broken connection is an HTTP error, or an operating-system error without a file.
    if (broken := caused(errors.HTTPError, ConnectionError, TimeoutError)) is not None:
        return f"{repository}: the connection to the hub broke off ({one_line(broken)}); type the command again: {KEPT}"
    full = next((cause for cause in chain if isinstance(cause, OSError) and cause.errno), None)
    if full is not None and full.errno:
        why = os.strerror(full.errno)
        return f"{repository} cannot be kept in {repository.cached().parent}: {why}; make room, or set HF_HOME"
    if "Consistency check failed" in str(error):
        return f"{repository}: a file did not arrive whole; type the command again: {KEPT}"
    return f"{repository} cannot be fetched ({one_line(error)}); {repository.remedy()}"


def _answered(repository: Repository, status: int, error: BaseException) -> str:
    if status == 429:
        return f"{repository}: the hub answers 429, too many requests; try again in some minutes: {KEPT}"
    if status >= 500:
        return f"{repository}: the hub has an error of its own ({status}); try again later: {KEPT}"
    if status in (401, 403):
        return f"{repository}: the hub refuses your token ({status}); type `hf auth login` and the command again"
    return f"{repository}: the hub answers {status} ({one_line(error)}); or set {repository.instead}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
