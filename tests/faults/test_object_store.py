"""What happens to an object store: it does not answer, refuses the key, has no such bucket, hangs, goes away."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from study.store.results import StudyResults, load
from study.store.storage import Store, open_store
from tests.faults.harness import PATIENCE, Ended, Study, ended, mended, same_as, until

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(importlib.util.find_spec("moto") is None, reason="needs moto: pip install .[faults]"),
]
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
HANGS = 45.0


class ObjectStore:
    """The S3 API on loopback, in memory, in a process of its own; without ``open`` it knows no key."""

    def __init__(self, open: bool = True) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            env=os.environ | ({} if open else {"INITIAL_NO_AUTH_ACTION_COUNT": "0"}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self.process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)

    def make_bucket(self, name: str) -> None:
        urlopen(Request(f"http://127.0.0.1:{self.port}/{name}", method="PUT")).close()

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class RemoteStudy(Study):
    """A study in a bucket."""

    port = 9

    @property
    def location(self) -> str:
        return f"s3://bucket/studies?scheme=http&region=us-east-1&endpoint_override=127.0.0.1:{self.port}"

    @property
    def place(self) -> str:
        """The study's folder as it is printed."""
        return self.location.replace("studies?", "studies/pawsx?")

    @property
    def remote(self) -> Store:
        return open_store(self.location).child("pawsx")

    def records(self) -> dict[str, tuple[bytes, int]]:
        trials = self.remote.child("trials")
        names = [name for name in trials.names() if not name.startswith(".")]
        return {
            name.removesuffix(".json"): (trials.read(name), int(1e9 * (trials.modified(name) or 0))) for name in names
        }

    def runs(self) -> dict[str, set[str]]:
        runs = self.remote.child("runs")
        return {name: {trial for trial in runs.child(name).names() if "." not in trial} for name in runs.names()}

    def results(self) -> StudyResults:
        return load(self.remote.location)


@pytest.fixture
def study(tmp_path: Path, tiny_model: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteStudy]:
    """Three trials, to whose object store something will happen."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    study = RemoteStudy(tmp_path, tiny_model, tiny_data)
    yield study
    study.end()


@pytest.fixture
def store(study: RemoteStudy) -> Iterator[ObjectStore]:
    store = ObjectStore()
    store.make_bucket("bucket")
    study.port = store.port
    yield store
    store.process.kill()
    store.process.wait()


def commands(study: RemoteStudy) -> list[tuple[str, ...]]:
    export = ("export", "pawsx", "--optuna", f"sqlite:///{study.folder}/out.db")
    return [
        ("list",),
        ("show", "pawsx"),
        ("report", "pawsx"),
        export,
        ("resume", "pawsx"),
        ("run", *study.options, "--dry-run"),
        ("run", *study.options),
    ]


def refused(study: RemoteStudy, message: str, advice: str) -> None:
    """Every command ends at once with one line."""
    for words in commands(study):
        done = study.type(*words)
        assert (done.code, done.out.strip()) == (2, "")
        assert done.err.count("\n") == 1
        assert done.err.startswith(f"fisher-study: cannot use the storage {study.location}: {message}")
        assert done.err.endswith(f"; {advice}\n")


def test_nothing_answers(study: RemoteStudy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        study.port = free.getsockname()[1]
    message = "When getting information for bucket 'bucket': AWS Error NETWORK_CONNECTION during HeadBucket operation"
    refused(study, message, "check the network and the address, and type the command again: what is finished is kept")


def test_the_key_is_refused(study: RemoteStudy) -> None:
    store = ObjectStore(open=False)
    study.port = store.port
    try:
        message = "When getting information for bucket 'bucket': AWS Error ACCESS_DENIED during HeadBucket operation"
        keys = "AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and perhaps AWS_SESSION_TOKEN"
        refused(study, message, f"check the keys ({keys}) and what they may do there")
    finally:
        store.process.kill()
        store.process.wait()


def test_there_is_no_such_bucket(study: RemoteStudy) -> None:
    store = ObjectStore()
    study.port = store.port
    try:
        choose = "choose another --storage: a folder, or a URI such as s3://BUCKET/FOLDER"
        refused(study, "there is no bucket bucket", f"make it first, or {choose}")
    finally:
        store.process.kill()
        store.process.wait()


def first_then_hang(
    study: RemoteStudy, store: ObjectStore
) -> tuple[subprocess.Popen[str], dict[str, tuple[bytes, int]]]:
    """A driver with one finished trial, whose second one finds a store that does not answer."""
    driver = study.start("run", *study.options, faults={"kl": "waits"})
    until(driver, (study.notes / "kl").exists)
    kept = study.records()
    assert len(kept) == 1
    store.hang()
    (study.notes / "go").touch()
    return driver, kept


def test_it_hangs_in_the_middle(study: RemoteStudy, whole: Study, store: ObjectStore) -> None:
    driver, kept = first_then_hang(study, store)
    time.sleep(HANGS)
    store.go_on()
    done = ended(driver)
    assert (done.code, done.err) == (0, "")
    same_as(study, whole)
    assert {trial: study.records()[trial] for trial in kept} == kept


def test_it_goes_away_in_the_middle(study: RemoteStudy, whole: Study, store: ObjectStore) -> None:
    driver, kept = first_then_hang(study, store)
    stopped: Ended = ended(driver)
    assert (stopped.code, stopped.err) == (1, "")
    reason, advice = stopped.last
    assert reason.startswith("interrupted (the record of kl=0.6 cannot be written: ")
    assert f"What is in {study.place} cannot be read now: " in reason
    assert advice.startswith("when it can, go on with: fisher-study resume pawsx --storage ")
    store.go_on()
    assert {trial: record for trial, record in study.records().items() if trial in kept} == kept
    mended(study, whole, kept)
