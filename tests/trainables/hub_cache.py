"""A hub cache on disk, as huggingface_hub lays it out, for tests without a network."""

from __future__ import annotations

from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def snapshot(cache: Path, kind: str, name: str) -> Path:
    """The empty snapshot folder of a commit to which ``main`` points."""
    folder = cache / f"{kind}s--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    return folder / "snapshots" / COMMIT
