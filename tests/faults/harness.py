"""A tiny study in processes of its own, and the comparison with the same study to which nothing happened.

Nothing but these processes is ever killed: each is known by its id, or by ``FAULTS_RUN`` in its environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from study.store.results import StudyResults, load

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0
"""Seconds that anything may take; a busy machine needs many."""
NOT_MEASURED = ("version.", "run", "seconds", "peak_memory_mib", "device", "host", "commit", "dirty", "continued_from",
                "checkpoint", "model_revision", "config.model.name", "config.data.source")  # fmt: skip
SETTINGS = {
    "data.train_examples": 64,
    "data.stage2_examples": 16,
    "data.max_length": 32,
    "stages.0.epochs": 3,
    "stages.1.epochs": 1,
    "stages.0.optimizer.learning_rate": 1e-3,
    "measure.trace_examples": 8,
}
DAMAGES = {"raises": 1e-6, "out of memory": 1e-5, "silent": 1e-7, "killed": 1e-4, "held": 0.01}
"""What can happen to a trial, and the L2 weight of the trial to which it does."""
ARMS = ",".join(["baseline", "kl=0.6", "l2=0.001", *(f"l2={weight:g}" for weight in DAMAGES.values())])
THREE = "baseline,kl=0.6,l2=0.001"


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``err`` is without the notes on the data."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> list[str]:
        """Its last two lines."""
        return self.out.splitlines()[-2:]


class Study:
    """One storage, the commands typed at it, and the processes that they started."""

    def __init__(self, folder: Path, model: Path, data: Path, arms: str = THREE, languages: str = "de") -> None:
        self.folder = folder
        self.storage = folder / "studies"
        self.notes = folder / "notes"
        self.notes.mkdir(parents=True)
        self.settings: dict[str, object] = {"model.name": model, "data.source": data, **SETTINGS}
        self.arms = arms
        self.languages = languages
        self.id = secrets.token_hex(8)
        self._ray = tempfile.mkdtemp(prefix="f", dir="/tmp")  # the path of a socket must be short

    @property
    def options(self) -> list[str]:
        words = ["pawsx", "--arms", self.arms, "--seeds", "1", "--languages", self.languages]
        for path, value in self.settings.items():
            words += ["--set", f"{path}={value}"]
        return words

    @property
    def path(self) -> Path:
        return self.storage / "pawsx"

    @property
    def location(self) -> str:
        """The storage as it is typed."""
        return str(self.storage)

    def environment(self, faults: Mapping[str, str] | None = None, write: str = "") -> dict[str, str]:
        """What the processes find in their environment."""
        return {
            **os.environ,
            "FAULTS": json.dumps(faults or {}),
            "FAULTS_FOLDER": str(self.notes),
            "FAULTS_RUN": self.id,
            "FAULTS_WRITE": write,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "RAY_TMPDIR": self._ray,  # its own file with an address, too
            "RAY_AUTH_MODE": "disabled",
            # A busy machine is not to end a trial, nor to stop Ray from starting.
            "RAY_memory_monitor_refresh_ms": "0",
            "RAY_agent_register_timeout_ms": "300000",
            "RAY_worker_register_timeout_seconds": "300",
        }

    def start(
        self,
        *words: str,
        faults: Mapping[str, str] | None = None,
        write: str = "",
        within: Sequence[str] = (),
        changes: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Type a command."""
        local = words[0] in ("run", "resume") and "--address" not in words
        return subprocess.Popen(
            [*within, sys.executable, "-m", "tests.faults.driver", *words, "--storage", self.location,
             *(["--concurrency", "1"] if local else [])],
            cwd=ROOT,
            env=self.environment(faults, write) | (changes or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )  # fmt: skip

    def type(
        self,
        *words: str,
        faults: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
        changes: Mapping[str, str] | None = None,
    ) -> Ended:
        """Type a command and wait for its end."""
        return ended(self.start(*words, faults=faults, within=within, changes=changes))

    def records(self) -> dict[str, tuple[bytes, int]]:
        """Trial id to content and time of its record."""
        return {p.stem: (p.read_bytes(), p.stat().st_mtime_ns) for p in self.path.glob("trials/[!.]*.json")}

    def runs(self) -> dict[str, set[str]]:
        """Run to the trials that ran in it."""
        return {run.name: {trial.name for trial in run.iterdir() if trial.is_dir()} for run in self.path.glob("runs/*")}

    def results(self) -> StudyResults:
        return load(str(self.path))

    def provenance(self, label: str) -> dict[str, str]:
        """Where the record of a trial says that it comes from."""
        found = (json.loads(content) for content, _ in self.records().values())
        return next(dict(record["provenance"]) for record in found if record["label"] == label)

    def note(self, name: str) -> dict[str, str]:
        """What a held trial said of itself."""
        return dict(json.loads((self.notes / name).read_text()))

    def processes(self, name: str) -> list[int]:
        """Ids of this study's processes with a word in their command line."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ours = f"FAULTS_RUN={self.id}".encode() in (folder / "environ").read_bytes()
                if ours and name.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
        return found

    def end(self) -> None:
        """Kill what is left of it, and delete Ray's files."""
        for pid in self.processes(""):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self._ray, ignore_errors=True)


class Cluster:
    """A cluster on this machine that a study can join; ``cluster.py`` in a process of its own."""

    def __init__(self, study: Study, faults: Mapping[str, str] | None = None, two: bool = True) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.cluster", *(["--two"] if two else [])],
            cwd=ROOT,
            env=study.environment(faults),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.address, *self.nodes = self._line().split()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def remove(self) -> None:
        """Take the second node away as if its plug had been pulled."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        assert self._line() == "removed\n"

    def end(self) -> None:
        """Take the whole cluster down."""
        self._process.communicate(timeout=PATIENCE)


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a command; whatever happened, it shows no stack trace."""
    out, err = process.communicate(timeout=PATIENCE)
    print(f"--- exit code {process.returncode}\n{out}--- stderr\n{err}---")  # shown when the test fails
    assert "Traceback" not in out + err
    messages = [line for line in err.splitlines(keepends=True) if not line.startswith("note: ")]
    return Ended(process.returncode, out, "".join(messages))


def until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait for an event of a running command."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"waited in vain: {process.communicate()}")
        time.sleep(0.02)


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL a driver."""
    process.kill()
    process.communicate(timeout=PATIENCE)


def mended(study: Study, whole: Study, kept: Mapping[str, tuple[bytes, int]], *options: str, code: int = 0) -> Ended:
    """Resume a study and hold it against the one to which nothing happened.

    Args:
        study: What something happened to.
        whole: The same trials, and perhaps more, without a fault.
        kept: Its finished records before.
        options: Of resume.
        code: The expected exit code.

    Returns:
        How the resume ended.
    """
    before = study.runs()
    done = study.type("resume", "pawsx", *options)
    assert (done.code, done.err) == (code, "")
    same_as(study, whole)
    after = study.records()
    assert {trial: after[trial] for trial in kept} == dict(kept), "a finished record was written again"
    again = {trial for run, trials in study.runs().items() if run not in before for trial in trials}
    assert again & set(kept) == set(), "a finished trial ran again"
    return done


def same_as(study: Study, whole: Study) -> None:
    """The account sums to the plan, all is complete, and each measurement equals the undisturbed one bit for bit."""
    found, expected = study.results(), whole.results()
    planned = [row["trial_id"] for row in found.study["plan"]]
    counts = dict(found.account)
    assert counts.pop("planned") == len(planned) == sum(counts.values()) == counts["complete"]
    assert list(found.trials.trial_id) == planned
    assert len(set(planned)) == len(planned)
    assert not found.running
    tables = [(found.trials, expected.trials), (found.curves, expected.curves)]
    for one, other in tables:
        chosen = other[other.trial_id.isin(planned)].dropna(axis="columns", how="all").reset_index(drop=True)
        columns = [column for column in chosen if not column.startswith(NOT_MEASURED)]
        assert len(columns) >= 7
        mine = one.dropna(axis="columns", how="all")
        assert columns == [column for column in mine if not column.startswith(NOT_MEASURED)]
        pd.testing.assert_frame_equal(mine[columns], chosen[columns], check_exact=True)
