"""Fetching a repository's files; what broke off goes on where it stopped, in the next command too."""

from __future__ import annotations

import sys
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.hub_repository import Repository

if TYPE_CHECKING:
    from huggingface_hub import DryRunFileInfo


def download(repository: Repository, local_files_only: bool) -> Path:
    """The files of a repository in the local cache.

    Args:
        repository: What is wanted.
        local_files_only: Do not ask the hub.

    Returns:
        The folder of one commit.
    """
    import huggingface_hub
    from huggingface_hub import errors
    from huggingface_hub.utils import disable_progress_bars, logging

    options: dict[str, Any] = {
        "repo_type": repository.kind,
        "revision": repository.revision,
        "allow_patterns": list(repository.patterns),
    }
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)  # what goes wrong is said here
    try:
        with disable_progress_bars():
            if not local_files_only:
                try:
                    files = huggingface_hub.snapshot_download(repository.name, dry_run=True, **options)
                except errors.DryRunError:  # the hub has an error: perhaps the cache holds all
                    files = []
                _fetch_files(repository, [file for file in files if file.will_download])
            return Path(
                huggingface_hub.snapshot_download(repository.name, local_files_only=local_files_only, **options)
            )
    finally:
        logging.set_verbosity(verbosity)


def _fetch_files(repository: Repository, files: list[DryRunFileInfo]) -> None:
    """Put files where the hub's library finds them; that library itself throws away what broke off."""
    if not files:
        return
    size = sum(file.file_size or 0 for file in files) / 1e6
    print(f"note: fetching {repository} from the hub ({size:.1f} MB)", file=sys.stderr, flush=True)
    for file in files:
        _fetch_file(repository, file)


def _fetch_file(repository: Repository, file: DryRunFileInfo) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import WeakFileLock, build_hf_headers

    url = hf_hub_url(repository.name, file.filename, repo_type=repository.kind, revision=file.commit_hash)
    found = get_hf_file_metadata(url, retry_on_errors=True)
    if found.etag is None or found.size is None:
        return  # the hub's library says what is wrong with that
    headers = build_hf_headers()
    if urllib.parse.urlsplit(found.location).netloc != urllib.parse.urlsplit(url).netloc:
        headers.pop("authorization", None)  # the token is the hub's, not its carrier's
    blob = repository.cached() / "blobs" / found.etag
    part = blob.with_name(f"{found.etag}.part")
    blob.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(blob.with_name(f"{found.etag}.lock")):
        if blob.exists():
            return
        with part.open("ab") as stream:
            done = stream.tell()
            if done > found.size:
                stream.truncate(done := 0)
            http_get(found.location, stream, resume_size=done, headers=headers, expected_size=found.size)
        part.replace(blob)
