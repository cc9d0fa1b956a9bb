"""An object storage that does not answer, refuses or goes away: one line with what to do, from every command."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from study.__main__ import main
from study.store.folders import studies
from study.store.lock import is_running, live_holder
from study.store.record_files import read_trials
from study.store.storage import STUDY_FILE, Store, open_store
from study.store.storage_error import MissingFileError, StorageError
from study.store.working_files import read_draws
from trainables.errors import InputError

SILENT = "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect to server"
DENIED = "AWS Error ACCESS_DENIED during PutObject operation: No response body. (Request ID: AB12)"
AWAY = "check the network and the address, and type the command again: what is finished is kept"


class Broken(fs.FileSystemHandler):  # type: ignore[misc]
    """A file system that keeps files on this machine until something happens to it, which every access then says."""

    def __init__(self, error: BaseException | None = None, files: fs.FileSystem | None = None) -> None:
        self.error = error
        self.files = files

    def _do(self, method: str, *arguments: Any, **options: Any) -> Any:
        if self.error is not None:
            raise self.error
        return getattr(self.files, method)(*arguments, **options)

    def get_type_name(self) -> str:
        return "broken"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> Any:
        return self._do("get_file_info", paths)

    def get_file_info_selector(self, selector: Any) -> Any:
        return self._do("get_file_info", selector)

    def create_dir(self, path: str, recursive: bool) -> None:
        self._do("create_dir", path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self._do("delete_dir", path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        self._do("delete_dir_contents", path)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        self._do("delete_file", path)

    def move(self, source: str, target: str) -> None:
        self._do("move", source, target)

    def copy_file(self, source: str, target: str) -> None:
        self._do("copy_file", source, target)

    def open_input_stream(self, path: str) -> Any:
        return self._do("open_input_stream", path)

    def open_input_file(self, path: str) -> Any:
        return self._do("open_input_file", path)

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        return self._do("open_output_stream", path)

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        raise NotImplementedError


def broken(error: BaseException | None, path: Path = Path("/bucket")) -> tuple[Broken, Store]:
    handler = Broken(error, fs.LocalFileSystem())
    return handler, Store(fs.PyFileSystem(handler), str(path), "s3://bucket")


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["show", "quick"],
        ["report", "quick"],
        ["resume", "quick"],
        ["export", "quick", "--optuna", "out.db"],
        ["run", "quick", "--dry-run"],
        ["run", "quick"],
    ],
)
def test_every_command_says_in_one_line_that_nothing_answers(
    words: list[str], closed_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    location = f"s3://key:secret@bucket/studies?scheme=http&region=x&endpoint_override=127.0.0.1:{closed_port}"
    monkeypatch.setattr(sys, "argv", ["fisher-study", *words, "--storage", location])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"fisher-study: cannot use the storage {location}: ")
    assert "Could not connect to server" in err
    assert err.endswith(f"; {AWAY}\n")


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("s3://", "it names no bucket; choose another --storage"),
        ("s3://bucket/x?retries=3", "Unexpected query parameter in S3 URI: 'retries'; choose another --storage"),
        (
            "gs://bucket/x?retry_limit_seconds=soon",
            "retry_limit_seconds must be a positive integer, got 'soon'; choose",
        ),
        ("abfs://container@account/x?key=1", ".*; choose another --storage"),
        ("hdfs://nowhere:1/x", ".*; choose another --storage"),
        ("memory://x", "Unrecognized filesystem type in URI: memory://x; choose another --storage"),
    ],
)
def test_a_location_that_means_nothing_is_one_line(location: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"^cannot use the storage {location.replace('?', '.')}: {message}") as caught:
        open_store(location)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "cause", "advice"),
    [
        (OSError(SILENT), SILENT, AWAY),
        (OSError(f"{SILENT}; Details: to 10.0.0.1 after 3 ms"), SILENT, AWAY),
        (OSError("google::cloud::Status(UNAVAILABLE: CURL [7] error_info={a=b})"), "UNAVAILABLE: CURL [7]", AWAY),
        (OSError("AWS Error SLOW_DOWN during PutObject operation"), "AWS Error SLOW_DOWN during PutObject", AWAY),
        (OSError(DENIED), "AWS Error ACCESS_DENIED during PutObject operation", "check the keys (AWS_PROFILE, "),
        (OSError("AWS Error NO_SUCH_BUCKET during PutObject"), "AWS Error NO_SUCH_BUCKET", "make the bucket first"),
        (RuntimeError("of a library\nof its own"), "of a library", "choose another --storage"),
    ],
)  # fmt: skip
def test_every_access_says_what_is_wrong(error: Exception, cause: str, advice: str) -> None:
    _, store = broken(error)
    for access in (
        lambda: store.exists("x"),
        lambda: store.names(),
        lambda: store.read("x"),
        lambda: store.modified("x"),
        lambda: store.delete("x"),
        lambda: store.write("x", b""),
        lambda: store.make(),
    ):
        with pytest.raises(StorageError) as caught:
            access()
        said = str(caught.value)
        assert isinstance(caught.value, InputError)
        assert isinstance(caught.value, OSError)
        assert "\n" not in said
        assert said.startswith(
            ("s3://bucket/x cannot be read: ", "s3://bucket cannot be read: ", "cannot write to s3://b")
        )
        assert f": {cause}" in said
        assert f"; {advice}" in said
        assert caught.value.cause.startswith(cause)


def test_a_file_that_is_not_there_is_no_fault_of_the_storage(tmp_path: Path) -> None:
    _, remote = broken(None, tmp_path)
    (tmp_path / "file").write_text("")
    for store in (remote, open_store(str(tmp_path)), open_store(str(tmp_path / "file"))):
        with pytest.raises(MissingFileError):
            store.read("none")


def test_a_storage_that_is_away_is_neither_empty_nor_free(tmp_path: Path) -> None:
    handler, storage = broken(None, tmp_path)
    folder = storage.child("study")
    folder.write(STUDY_FILE, b"{}")
    folder.child("trials").write("a.json", b"{}")
    folder.child("draws").write("a.json", b"{}")
    assert studies(storage) == ["study"]
    assert live_holder(folder) is None
    assert not is_running(folder)
    # It lists, but gives no file.
    handler.open_input_stream = lambda path: (_ for _ in ()).throw(OSError(SILENT))  # type: ignore[method-assign]
    for access in (live_holder, read_trials, read_draws):
        with pytest.raises(StorageError, match="cannot be read: AWS Error NETWORK_CONNECTION"):
            access(folder)
    handler.error = OSError(SILENT)
    with pytest.raises(StorageError, match="cannot be read: AWS Error NETWORK_CONNECTION"):
        studies(storage)


def test_a_local_cause_is_said_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"^cannot write to \S+/file/x: Not a directory; choose another --storage$"):
        open_store(str(tmp_path / "file" / "x")).write("a", b"")
