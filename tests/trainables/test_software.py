from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from trainables import software as module
from trainables.software import code_fingerprint, software


def test_code_is_known_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprints = []
    for name, text in (("a", "x = 1\n"), ("b", "x = 1\n"), ("c", "x = 2\n")):
        (tmp_path / name / "part").mkdir(parents=True)
        (tmp_path / name / "part" / "module.py").write_text(text)
        (tmp_path / name / "notes.md").write_text(name)
        monkeypatch.setattr(module, "PACKAGE", tmp_path / name)
        fingerprints.append(code_fingerprint())
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def _software(monkeypatch: pytest.MonkeyPatch, package: Path) -> dict[str, Any]:
    monkeypatch.setattr(module, "PACKAGE", package)
    software.cache_clear()
    found = software()
    software.cache_clear()
    return found


def test_commit_and_changes_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    own = tmp_path / Path(module.__file__).name
    own.write_text("x = 1\n")
    git("init")
    untracked = _software(monkeypatch, tmp_path)
    assert (untracked["commit"], untracked["dirty"]) == (None, None)
    git("add", ".")
    git("commit", "-m", "first")
    clean = _software(monkeypatch, tmp_path)
    assert (clean["commit"], clean["dirty"]) == (git("rev-parse", "HEAD"), False)
    own.write_text("x = 2\n")
    assert _software(monkeypatch, tmp_path)["dirty"] is True


def test_without_git_or_installation_the_rest_is_still_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "DISTRIBUTIONS", ("torch", "no-such-distribution"))
    found = _software(monkeypatch, tmp_path)
    assert found["commit"] is None
    assert found["version.torch"] in (torch.__version__, torch.__version__.partition("+")[0])
    assert found["version.no-such-distribution"] is None
