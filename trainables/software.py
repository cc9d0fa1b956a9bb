"""The software that produces the numbers."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from trainables.plugins import entries

if TYPE_CHECKING:
    from trainables.config import TrialConfig

DISTRIBUTIONS = ("fisher-study", "torch", "ray", "transformers", "tokenizers", "peft", "optuna")
NUMERIC = ("version.code", "version.torch", "version.transformers", "version.tokenizers")
"""Software that determines the numbers: neither a resume nor a checkpoint continues with another version."""
PACKAGE = Path(__file__).resolve().parent


def threads(cpus: float) -> int:
    """Number of threads that a trial computes with: the whole CPUs that it was given, but at least one."""
    return max(1, int(cpus))


@functools.cache
def software() -> dict[str, str | bool | None]:
    """The software that produces the numbers, looked up once per process.

    Returns:
        ``version.NAME`` of Python and of each relevant distribution, ``version.code`` (a hash of this package's
        sources), and ``commit`` with ``dirty`` when the package lies in a git checkout, else null.
    """
    versions = {f"version.{name}": _version(name) for name in DISTRIBUTIONS}
    tracked = _git("ls-files", "--error-unmatch", Path(__file__).name) is not None  # else the checkout is not ours
    commit = _git("rev-parse", "HEAD") if tracked else None
    changes = _git("status", "--porcelain", "--untracked-files=no") if tracked else None
    return {
        **versions,
        "version.python": platform.python_version(),
        "version.code": code_fingerprint(),
        "commit": commit,
        "dirty": None if changes is None else bool(changes),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None  # a grid does not need optuna, and the package itself may be used from its folder


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def code_fingerprint() -> str:
    """Hash of the sources that determine a trial's numbers: twelve hexadecimal digits."""
    return _fingerprint(PACKAGE)


def _fingerprint(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def plugin_versions(configs: Iterable[TrialConfig]) -> dict[str, str]:
    """The plugins that affect the numbers of some trials.

    Returns:
        ``version.MODULE`` of each: a hash of the sources of that module, or of the package that it is in.
    """
    named: set[tuple[str, str]] = set()
    for config in configs:
        named |= {("rivals", name) for name in config.measure.rivals}
        for stage in config.stages:
            named |= {("views", str(view.kind)) for view, _ in stage.views()}
            named |= {("presets", stage.consistency.preset)} if stage.consistency else set()
            named |= {("penalties", name) for name, value in stage.penalties if value is not None}
    used = {entries(kind)[name].module.partition(".")[0] for kind, name in named if name in entries(kind)}
    return {f"version.{name}": _fingerprint(_sources(importlib.import_module(name))) for name in sorted(used)}


def _sources(module: ModuleType) -> Path:
    return Path(module.__path__[0] if hasattr(module, "__path__") else str(module.__file__))
