"""A folder on this machine's disk, as savers know folders."""

from __future__ import annotations

from pathlib import Path

from trainables.models.saved import Folder


class Disk:
    def __init__(self, path: Path) -> None:
        self.path = path

    def child(self, name: str) -> Folder:
        return Disk(self.path / name)

    def write(self, name: str, content: bytes) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(content)
