"""The pages of docs/: the site builds without a warning, and what is written down twice is the same."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trainables.measuring.measurements import DEFINITIONS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "build" / "site" / "index.html").is_file()


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in DOCS.glob("*.md") if page.name not in navigation] == []


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_page_of_measures_has_every_column(name: str) -> None:
    row = f"| `{name}` | {DEFINITIONS[name].replace('|', chr(92) + '|')} |"
    assert row in (DOCS / "measures.md").read_text(encoding="utf-8").splitlines()


def test_no_page_of_measures_has_a_column_that_is_gone() -> None:
    table = (DOCS / "measures.md").read_text(encoding="utf-8").split("| --- | --- |")[-1]
    assert table.strip().count("\n") + 1 == len(DEFINITIONS)
