"""Error messages for a storage that cannot be used: one line with the cause and what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from pyarrow import fs

from trainables.errors import InputError, one_line

AWAY = "check the network and the address, and type the command again: what is finished is kept"
CREDENTIALS = {
    "s3": "the keys (AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and perhaps AWS_SESSION_TOKEN)",
    "gs": "the login (gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS)",
    "gcs": "the login (gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS)",
}
SILENT = re.compile(
    r"NETWORK_CONNECTION|curl|not connect|not resolve|time(d )?out|SLOW_?DOWN|THROTTL|UNAVAILABLE|INTERNAL"
    r"|\b(429|5\d\d)\b",
    re.IGNORECASE,
)
REFUSED = re.compile(
    r"DENIED|ACCESS_?KEY|SIGNATURE|TOKEN|CREDENTIAL|AUTH|FORBIDDEN|PERMISSION|\b40[13]\b", re.IGNORECASE
)
NO_BUCKET = re.compile(r"NO_?SUCH_?BUCKET|bucket.*not (found|exist)|not find bucket", re.IGNORECASE)
NOISE = re.compile(
    r"google::cloud::Status\(|Retry policy exhausted, with a last message of | error_info=.*| \(Request ID: [^)]*\)"
    r"|; Details: .*|No response body\.?"
)


class StorageError(InputError, OSError):
    """A storage cannot be read or written.

    Args:
        message: Cause and remedy.
        cause: The cause alone, for messages that give their own remedy.
    """

    def __init__(self, message: str, cause: str | None = None) -> None:
        super().__init__(message)
        self.cause = message if cause is None else cause


class MissingFileError(StorageError, FileNotFoundError):
    """There is no such file, which most callers handle."""


def cause(error: Exception) -> str:
    """Why a storage could not be used, in one line, without a remedy."""
    if isinstance(error, StorageError):
        return error.cause
    return one_line(error)


@contextmanager
def told(failure: str, location: str, filesystem: fs.FileSystem | None, *, otherwise: str) -> Iterator[None]:
    """Turn whatever a file system raises into a one-line error.

    Args:
        failure: What does not work, as the beginning of a sentence.
        filesystem: None while it is being looked up from the location.
        otherwise: What to do if the cause suggests nothing better.

    Raises:
        MissingFileError: There is no such file.
        StorageError: Whatever else went wrong.
    """
    local = isinstance(filesystem, fs.LocalFileSystem)
    # A file system written in Python raises whatever its own libraries raise.
    any_kind = filesystem is None or isinstance(filesystem, fs.PyFileSystem)
    try:
        yield
    except Exception as error:
        if isinstance(error, StorageError) or not (any_kind or isinstance(error, OSError | pa.ArrowException)):
            raise
        number = getattr(error, "errno", None)
        text = os.strerror(number) if local and number else NOISE.sub("", cause(error)).rstrip(" :;.")
        message = f"{failure}: {text}; {_remedy(text, location, local, otherwise)}"
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise (MissingFileError if missing else StorageError)(message, text) from None


def _remedy(text: str, location: str, local: bool, otherwise: str) -> str:
    if local:
        return otherwise
    if NO_BUCKET.search(text):
        return "make the bucket first, or choose another --storage"
    if SILENT.search(text):
        return AWAY
    if REFUSED.search(text):
        return f"check {CREDENTIALS.get(location.partition('://')[0], 'the credentials')} and what they may do there"
    return otherwise
