"""What a running study keeps beside its records: the draws of trials that started, and their checkpoints."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from study.store.storage import STUDY_FILE, Store
from trainables.config import TrialConfig
from trainables.config.dotted_paths import parse

CHECKPOINTS, MODELS, PREDICTIONS = "checkpoints", "models", "predictions"


@dataclass(frozen=True)
class WorkerFolder:
    """A folder at a path inside a study's, that workers write to for as long as they see the study there.

    A node with a disk of its own would otherwise fill it with files that nobody finds or deletes.
    """

    study: Store
    path: str

    def child(self, name: str) -> WorkerFolder:
        """The folder of that name inside this one."""
        return WorkerFolder(self.study, f"{self.path}/{name}")

    def read(self, name: str) -> bytes:
        """The content of a file; FileNotFoundError when there is none."""
        return self.study.child(self.path).read(name)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, all of it or nothing; FileNotFoundError where the study is not to be seen."""
        if not self.study.exists(STUDY_FILE):
            raise FileNotFoundError(f"{socket.gethostname()} does not see {self.study.location}/{STUDY_FILE}")
        self.study.child(self.path).write(name, content)


def write_draw(folder: Store, trial_id: str, config: TrialConfig) -> None:
    """Write what was drawn for a trial, when it starts."""
    folder.child("draws").write(f"{trial_id}.json", config.model_dump_json(indent=1).encode() + b"\n")


def read_draws(folder: Store) -> dict[str, dict[str, Any]]:
    """Read what was drawn last for each trial that started: trial id to configuration.

    A damaged file counts as absent: a trial that ends carries its draw in its record.
    """
    found = {}
    draws = folder.child("draws")
    for trial_id in draws.json_files():
        content = draws.read(f"{trial_id}.json")
        with suppress(ValueError):
            found[trial_id] = parse(json.loads(content)).model_dump(mode="json")
    return found


def tidy_checkpoints(folder: Store) -> None:
    """Delete the half-written files of workers that were killed, and the folder of checkpoints when it is empty.

    No driver may run the study.
    """
    checkpoints = folder.child(CHECKPOINTS)
    with suppress(OSError):  # tidiness is no reason to end a run with an error
        for name in checkpoints.names():
            if name.startswith("."):
                checkpoints.delete(name)
        if not checkpoints.names():
            checkpoints.delete()
