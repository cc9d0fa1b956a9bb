"""A location as a pyarrow file system that says within seconds that nothing answers."""

from __future__ import annotations

import urllib.parse
from datetime import timedelta
from pathlib import Path

from pyarrow import fs

from study.store.storage_error import StorageError, told

CONNECT_SECONDS, REQUEST_SECONDS, ATTEMPTS = 3.0, 5.0, 3
"""Limits of a request to an object store: to connect, to answer (counted anew with each byte), and how many tries."""
CHOOSE = "choose another --storage: a folder, or a URI such as s3://BUCKET/FOLDER"


def filesystem_of(location: str) -> tuple[fs.FileSystem, str]:
    """The file system of a local path or of a URI that pyarrow knows, and the path on it.

    Raises:
        StorageError: The URI is not understood, nothing answers there, it refuses the credentials, or has no such
            bucket.
    """
    if "://" not in location:
        return fs.LocalFileSystem(), str(Path(location).expanduser().absolute())
    failure = f"cannot use the storage {location}"
    with told(failure, location, None, otherwise=CHOOSE):
        found, path = fs.FileSystem.from_uri(location)
        filesystem = _hasty(found, location)
    if isinstance(filesystem, fs.S3FileSystem | fs.GcsFileSystem):
        bucket = path.partition("/")[0]
        if not bucket:
            raise StorageError(f"{failure}: it names no bucket; {CHOOSE}")
        with told(failure, location, filesystem, otherwise=CHOOSE):
            missing = filesystem.get_file_info(bucket).type == fs.FileType.NotFound
        if missing and "allow_bucket_creation" not in location:
            raise StorageError(f"{failure}: there is no bucket {bucket}; make it first, or {CHOOSE}")
    return filesystem, path


def _hasty(filesystem: fs.FileSystem, location: str) -> fs.FileSystem:
    """The same file system with limits to its patience, which the options of a URI cannot set.

    Google's client tries again for 15 minutes. Credentials that the URI does not hold are looked up anew, so that those
    that expire are renewed.
    """
    if not isinstance(filesystem, fs.S3FileSystem | fs.GcsFileSystem):
        return filesystem
    kept = {name: value for name, value in filesystem.__reduce__()[1][0].items() if value or value is False}
    if isinstance(filesystem, fs.GcsFileSystem):
        return fs.GcsFileSystem(**{"retry_time_limit": timedelta(seconds=REQUEST_SECONDS)} | kept)
    drop = {"proxy_options"}
    if urllib.parse.urlsplit(location).username is None:
        drop |= {"access_key", "secret_key", "session_token"}
    return fs.S3FileSystem(
        **{name: value for name, value in kept.items() if name not in drop}
        | {
            "connect_timeout": CONNECT_SECONDS,
            "request_timeout": REQUEST_SECONDS,
            "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        }
    )
