"""Fetching a repository's files; an interrupted download resumes where it stopped, even in a later command."""

from __future__ import annotations

import sys
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from trainables.hub.repository import Repository

if TYPE_CHECKING:
    from huggingface_hub import DryRunFileInfo

TRIES, PAUSE_SECONDS = 5, 1.0
"""How often a file is requested without anything arriving, and the pause between requests."""


def download(repository: Repository, local_files_only: bool) -> Path:
    """The folder of one commit of a repository in the local cache."""
    import huggingface_hub
    from huggingface_hub import errors
    from huggingface_hub.utils import disable_progress_bars, logging

    options: dict[str, Any] = {
        "repo_type": repository.kind,
        "revision": repository.revision,
        "allow_patterns": list(repository.patterns),
    }
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)  # errors are reported here
    try:
        with disable_progress_bars():
            if not local_files_only:
                try:
                    files = huggingface_hub.snapshot_download(repository.name, dry_run=True, **options)
                except errors.DryRunError:  # the hub failed, but the cache may be complete
                    files = []
                if needed := [file for file in files if file.will_download]:
                    size = sum(file.file_size or 0 for file in needed) / 1e6
                    print(f"note: fetching {repository} from the hub ({size:.1f} MB)", file=sys.stderr, flush=True)
                for file in needed:
                    _fetch_file(repository, file)
            return Path(
                huggingface_hub.snapshot_download(repository.name, local_files_only=local_files_only, **options)
            )
    finally:
        logging.set_verbosity(verbosity)


def _fetch_file(repository: Repository, file: DryRunFileInfo) -> None:
    """Put a file where the hub's library finds it; that library itself discards partial downloads."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import WeakFileLock, build_hf_headers

    url = hf_hub_url(repository.name, file.filename, repo_type=repository.kind, revision=file.commit_hash)
    found = get_hf_file_metadata(url, retry_on_errors=True)
    if found.etag is None or found.size is None:
        return  # the hub's library reports what is wrong
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if urllib.parse.urlsplit(found.location).netloc != urllib.parse.urlsplit(url).netloc:
        headers.pop("authorization", None)  # the token is for the hub, not for the file server
    blob = repository.cached() / "blobs" / found.etag
    part = blob.with_name(f"{found.etag}.part")
    blob.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(blob.with_name(f"{found.etag}.lock")):
        if blob.exists():
            return
        with part.open("ab") as stream:
            _go_on(found.location, headers, stream, found.size)
        part.replace(blob)


def _go_on(url: str, headers: dict[str, str], stream: BinaryIO, size: int) -> None:
    """Read the rest of a file, resuming where it broke off as long as anything arrives."""
    from huggingface_hub import constants, errors, get_session
    from huggingface_hub.utils import hf_raise_for_status

    tries = TRIES
    while (done := stream.tell()) != size:
        broken: Exception = OSError(f"{done} of {size} bytes arrived")
        try:
            rest = headers | ({"Range": f"bytes={done}-"} if 0 < done < size else {})
            timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
            with get_session().stream("GET", url, headers=rest, timeout=timeout, follow_redirects=True) as response:
                hf_raise_for_status(response)
                if response.status_code != 206:  # the whole file
                    stream.truncate(done := 0)
                for chunk in response.iter_bytes():
                    stream.write(chunk)
        except errors.HTTPError as error:
            if isinstance(error, errors.HfHubHTTPError):  # the hub answered
                raise
            broken = error
        tries = TRIES if done < stream.tell() <= size else tries - 1
        if not tries:
            raise broken
        time.sleep(0.0 if tries == TRIES else PAUSE_SECONDS)
