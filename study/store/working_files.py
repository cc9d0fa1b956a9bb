"""What a running study keeps besides its records: the draws and the checkpoints of trials that have started."""

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
    """A folder inside a study's folder, which workers write to only while they see the study there.

    Otherwise a node with its own disk would fill it with files that nobody finds or deletes.
    """

    study: Store
    path: str

    def child(self, name: str) -> WorkerFolder:
        """The subfolder with this name."""
        return WorkerFolder(self.study, f"{self.path}/{name}")

    def read(self, name: str) -> bytes:
        """The content of a file; FileNotFoundError if it does not exist."""
        return self.study.child(self.path).read(name)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, all of it or nothing; FileNotFoundError when the study cannot be seen from here."""
        if not self.study.exists(STUDY_FILE):
            raise FileNotFoundError(f"{socket.gethostname()} does not see {self.study.location}/{STUDY_FILE}")
        self.study.child(self.path).write(name, content)


def write_draw(folder: Store, trial_id: str, config: TrialConfig) -> None:
    """Write what was drawn for a trial; called when it starts."""
    folder.child("draws").write(f"{trial_id}.json", config.model_dump_json(indent=1).encode() + b"\n")


def read_draws(folder: Store) -> dict[str, dict[str, Any]]:
    """Read what was last drawn for each trial that has started: trial id to configuration.

    A damaged file counts as absent, since the record of a trial that has ended contains its draw.
    """
    found = {}
    draws = folder.child("draws")
    for trial_id in draws.json_files():
        content = draws.read(f"{trial_id}.json")
        with suppress(ValueError):
            found[trial_id] = parse(json.loads(content)).model_dump(mode="json")
    return found


def tidy_checkpoints(folder: Store) -> None:
    """Delete the partial files of workers that were killed, and the checkpoints' folder if it is empty.

    Call it only when no trial of the study is running.
    """
    checkpoints = folder.child(CHECKPOINTS)
    with suppress(OSError):  # a failed clean-up must not end a run with an error
        for name in checkpoints.names():
            if name.startswith("."):
                checkpoints.delete(name)
        if not checkpoints.names():
            checkpoints.delete()
