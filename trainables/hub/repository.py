"""A repository on the hub, and what to do without a network."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Repository:
    """A repository on the hub, and those of its files that are needed.

    Attributes:
        name: Its id, ``owner/name``.
        revision: Branch, tag or commit; None takes the default branch.
        patterns: Glob patterns of the files to fetch.
        include: Whether the command that fetches them elsewhere names the patterns; else it fetches everything.
        instead: The setting that replaces the hub, for the message.
    """

    kind: Literal["model", "dataset"]
    name: str
    revision: str | None
    patterns: tuple[str, ...]
    include: bool
    instead: str

    def __str__(self) -> str:
        kind = "model" if self.kind == "model" else "data set"
        return f"{kind} {self.name}" + ("" if self.revision is None else f" at {self.revision}")

    @property
    def command(self) -> str:
        """The command that fetches the files on a machine with a network."""
        words = ["hf", "download", self.name]
        words += ["--repo-type", "dataset"] if self.kind == "dataset" else []
        words += [] if self.revision is None else ["--revision", self.revision]
        for pattern in self.patterns if self.include else ():
            words += ["--include", pattern]
        return shlex.join(words)

    def cached(self) -> Path:
        """The folder where the local cache keeps the repository; it need not exist."""
        from huggingface_hub import constants

        return Path(constants.HF_HUB_CACHE) / f"{self.kind}s--{self.name.replace('/', '--')}"

    def remedy(self) -> str:
        """What to do without a network: a clause for the end of a message."""
        folder = self.cached()
        return (
            f"fetch it on a machine with a network by `{self.command}` and copy {folder.name} from "
            f"~/.cache/huggingface/hub there into {folder.parent} here (or set HF_HOME to a copy of "
            f"~/.cache/huggingface), or set {self.instead}"
        )
