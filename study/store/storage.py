"""A folder on any pyarrow file system, local or object storage, with files that are whole or absent.

A study accesses its storage only through this module. Any failure becomes one line that says what to do, within seconds
when nothing answers.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from pyarrow import fs

from study.store.storage_error import StorageError, told

STUDY_FILE = "study.json"
"""The file that makes a folder a study."""
CONNECT_SECONDS, REQUEST_SECONDS, ATTEMPTS = 3.0, 5.0, 3
"""Limits of an object store request: time to connect, time to answer (restarted by each byte), number of attempts."""
CHOOSE = "choose another --storage: a folder, or a URI such as s3://BUCKET/FOLDER"


class Store:
    """One folder of a file system, at a path that need not exist; ``location`` is how people write the folder."""

    def __init__(self, filesystem: fs.FileSystem, path: str, location: str) -> None:
        self.filesystem = filesystem
        self.path = path.rstrip("/") or "/"
        self.location = location.rstrip("/") or "/"

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine's own file system."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.rpartition("/")[2]

    @property
    def parent_location(self) -> str:
        """The parent folder, as people write it."""
        address, question, options = _parts(self.location)
        return f"{address.rpartition('/')[0] or '/'}{question}{options}"

    def child(self, name: str) -> Store:
        """The subfolder with this name."""
        return Store(self.filesystem, f"{self.path}/{name}", self.place(name))

    def place(self, name: str) -> str:
        """A file or folder inside this one, as people write it."""
        return inside(self.location, name)

    def exists(self, name: str = "") -> bool:
        """Whether a file or folder of that name exists; without a name, whether the folder itself does."""
        with self._reading(name):
            return bool(self.filesystem.get_file_info(self._at(name)).type != fs.FileType.NotFound)

    def names(self) -> list[str]:
        """Names of the files and folders inside, sorted; none if the folder does not exist. StorageError for a file."""
        selector = fs.FileSelector(self.path, allow_not_found=True)
        with self._reading():
            try:
                return sorted(info.base_name for info in self.filesystem.get_file_info(selector))
            except NotADirectoryError:
                raise StorageError(f"{self.location} is a file, not a folder") from None

    def json_files(self) -> list[str]:
        """Names of the JSON files inside, sorted, without extension; dot files (files being written) are left out."""
        return [n.removesuffix(".json") for n in self.names() if n.endswith(".json") and not n.startswith(".")]

    def read(self, name: str) -> bytes:
        """The content of a file."""
        with self._reading(name), self.filesystem.open_input_stream(self._at(name)) as stream:
            return bytes(stream.read())

    def write(self, name: str, content: bytes) -> None:
        """Write to a temporary file, then rename it, so that no reader ever sees a partial file."""
        with self._writing():
            aside = self._at(f".{name}.{os.getpid()}.part")
            self.filesystem.create_dir(self.path, recursive=True)
            with self.filesystem.open_output_stream(aside) as stream:
                stream.write(content)
            self.filesystem.move(aside, self._at(name))

    def make(self) -> None:
        """Make the folder, which may already exist."""
        with self._writing():
            self.filesystem.create_dir(self.path, recursive=True)

    def delete(self, name: str = "") -> None:
        """Delete a file or, without a name, the folder and all its content. A missing file or folder is no error."""
        if not self.exists(name):
            return
        with self._writing():
            if name:
                self.filesystem.delete_file(self._at(name))
            else:
                self.filesystem.delete_dir(self.path)

    def modified(self, name: str) -> float | None:
        """When a file was last written (seconds since 1970), or None if it does not exist."""
        with self._reading(name):
            info = self.filesystem.get_file_info(self._at(name))
        return None if info.mtime is None else float(info.mtime.timestamp())

    def require_writable(self) -> None:
        """Raise a StorageError if the nearest existing local path is not a folder, or this user may not write to it."""
        if not self.is_local:
            return
        nearest = next(path for path in (Path(self.path), *Path(self.path).parents) if path.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise StorageError(f"cannot write to the storage {self.location}: choose another with --storage")

    @contextmanager
    def _reading(self, name: str = "") -> Iterator[None]:
        place = self.place(name) if name else self.location
        advice = "see that you may read it" if self.is_local else "choose another --storage"
        with told(f"{place} cannot be read", self.location, self.filesystem, otherwise=advice):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        failure = f"cannot write to {self.location}"
        with told(failure, self.location, self.filesystem, otherwise="choose another --storage"):
            yield

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path


def inside(location: str, name: str) -> str:
    """A file or folder inside a folder (path or URI), as people write it.

    The options of a URI (``?endpoint_override=...``) stay at the end.
    """
    address, question, options = _parts(location.rstrip("/"))
    return f"{address}/{name}{question}{options}"


def _parts(location: str) -> tuple[str, str, str]:
    """A location without the options of a URI, and these."""
    return location.partition("?") if "://" in location else (location, "", "")


def open_store(location: str) -> Store:
    """The folder at a local path or a URI that pyarrow supports (``s3://bucket/folder``), whether it exists or not.

    StorageError when the URI is not understood, or its file system cannot be reached.
    """
    return Store(*_filesystem_of(location), location)


def _filesystem_of(location: str) -> tuple[fs.FileSystem, str]:
    """The file system of a local path or of a URI that pyarrow supports, and the path on it.

    Raises:
        StorageError: The URI is not understood, nothing answers there, the credentials are refused, or there is no
            such bucket.
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
    """The same file system with time limits, which the options of a URI cannot set.

    Google's client retries for 15 minutes. Credentials that are not in the URI are looked up anew, so that those that
    expire are renewed.
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
