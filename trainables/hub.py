"""One question about the Hugging Face hub: can it be reached? Without asking first, a look-up waits for 23 seconds."""

from __future__ import annotations

import os
import socket
import urllib.parse
from pathlib import Path

from trainables.errors import InputError

CONNECT_SECONDS = 3.0


def require_hub(what: str, remedy: str, cached_repo: tuple[str, str]) -> None:
    """Go on when the hub answers or the local cache holds the thing, and say at once when neither is so.

    Args:
        what: What is wanted, for the message.
        remedy: What to do without a network, for the message.
        cached_repo: Kind (``model`` or ``dataset``) and id of the repository.

    Raises:
        InputError: There is no network and the cache does not hold the repository.
    """
    from huggingface_hub import constants

    kind, repo = cached_repo
    if (Path(constants.HF_HUB_CACHE) / f"{kind}s--{repo.replace('/', '--')}").is_dir():
        return
    if not constants.HF_HUB_OFFLINE and _reachable(constants.ENDPOINT):
        return
    raise InputError(f"{what} is not in the local cache and the hub cannot be reached; {remedy}")


def _reachable(endpoint: str) -> bool:
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # only the proxy can tell
    url = urllib.parse.urlsplit(endpoint)
    try:
        socket.create_connection((url.hostname or "", url.port or 443), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
