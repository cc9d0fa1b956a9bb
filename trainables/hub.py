"""The Hugging Face hub: a repository's files in the local cache, and an answer at once where there is no network.

The hub's own libraries try again for 23 seconds without a word when nothing answers. So it is asked first whether
anything does; when not, only the local cache is read, and what it lacks is said with the command that fetches it.
"""

from __future__ import annotations

import functools
import shlex
import socket
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainables.errors import InputError

CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Repository:
    """A repository on the hub, and the files of it that are needed.

    Attributes:
        kind: What it holds.
        name: Its id, ``owner/name``.
        revision: Branch, tag or commit; None takes the default branch.
        patterns: Glob patterns of the files to fetch.
        include: Whether the command that fetches them elsewhere names the patterns; else it fetches everything.
        instead: The setting that replaces the hub, for the message.
    """

    kind: Literal["model", "dataset"]
    name: str
    revision: str | None
    patterns: tuple[str, ...]
    include: bool
    instead: str

    def __str__(self) -> str:
        kind = "model" if self.kind == "model" else "data set"
        return f"{kind} {self.name}" + ("" if self.revision is None else f" at {self.revision}")

    @property
    def command(self) -> str:
        """The command that fetches the files on a machine with a network."""
        words = ["hf", "download", self.name]
        words += ["--repo-type", "dataset"] if self.kind == "dataset" else []
        words += [] if self.revision is None else ["--revision", self.revision]
        for pattern in self.patterns if self.include else ():
            words += ["--include", pattern]
        return shlex.join(words)

    def cached(self) -> Path:
        """Where the local cache keeps the repository.

        Returns:
            The folder, which need not exist.
        """
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE) / f"{self.kind}s--{self.name.replace('/', '--')}"

    def remedy(self) -> str:
        """What to do without a network.

        Returns:
            A clause for the end of a message.
        """
        folder = self.cached()
        return (
            f"fetch it on a machine with a network by `{self.command}` and copy {folder.name} from "
            f"~/.cache/huggingface/hub there into {folder.parent} here (or set HF_HOME to a copy of "
            f"~/.cache/huggingface), or set {self.instead}"
        )


def fetch(repository: Repository, lacking: Callable[[Path], Sequence[str]]) -> Path:
    """The files of a repository in the local cache, fetched first where the hub can be reached.

    Args:
        repository: What is wanted.
        lacking: Gives the files that a folder should have and does not; asked without a network only, since then the
            cache may hold a part of the repository.

    Returns:
        The folder of one commit, whose name is the full commit hash.

    Raises:
        InputError: The hub has no such thing, or it cannot be reached and the cache does not hold all of it.
    """
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub import errors as hub

    unreachable = _unreachable(constants.ENDPOINT, constants.HF_HUB_OFFLINE)
    if unreachable and not repository.cached().is_dir():
        raise InputError(f"{repository} is not in the local cache and {unreachable}; {repository.remedy()}")
    try:
        folder = Path(
            huggingface_hub.snapshot_download(
                repository.name,
                repo_type=repository.kind,
                revision=repository.revision,
                allow_patterns=list(repository.patterns),
                local_files_only=unreachable is not None,
            )
        )
        missing = lacking(folder) if unreachable else ()
    except hub.HFValidationError as error:
        raise InputError(f"{repository}: {_line(error)}") from None
    except hub.RevisionNotFoundError:
        raise InputError(f"{repository}: the hub has no revision {repository.revision!r} of it") from None
    except hub.RepositoryNotFoundError:
        raise InputError(f"{repository}: the hub has none that you may read; or set {repository.instead}") from None
    except (hub.HfHubHTTPError, OSError) as error:
        if not unreachable:
            raise InputError(f"{repository} cannot be fetched ({_line(error)}); {repository.remedy()}") from None
        missing = ("some of its files" if isinstance(error, hub.IncompleteSnapshotError) else "this revision",)
    if missing:
        raise InputError(
            f"the local cache holds {repository} only in part ({repository.cached()} lacks {', '.join(missing)}) and "
            f"{unreachable}; {repository.remedy()}"
        )
    return folder


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


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
