"""A user's files are called as the user likes: none is imported in the place of one of ours, or of a library's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from study.plan.loading import load_study

BROTHERS = ("analysis.py", "trainables/__init__.py", "datasets/__init__.py", "random.py", "torch.py", "ray.py")
STUDY = '''
from __future__ import annotations

from dataclasses import dataclass

from study.catalog import quick


@dataclass
class Plan:
    seeds: int


def mine():
    """Mine."""
    from helpers import SEEDS

    return quick().model_copy(update={"name": "mine", "seeds": Plan(SEEDS).seeds})
'''
SWEEP = """
import ray
from study.sweep.resources import Resources
from study.sweep.cluster import session

@ray.remote
def places():
    import os, random, study.config, trainables.config, analysis.report, torch
    os.getcwd()
    return [m.__file__ for m in (random, study, trainables, analysis, torch)]

with session(Resources(cpus_per_trial=1)):
    found = ray.get(places.remote())
print(*found, sep="\\n")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in BROTHERS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"raise RuntimeError('{name} of the user is imported')")
    (tmp_path / "helpers.py").write_text("SEEDS = 7")
    (tmp_path / "study.py").write_text(STUDY)
    return tmp_path


def test_a_study_file_has_any_name_and_finds_the_modules_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "helpers", raising=False)
    before = list(sys.path)
    study = load_study(f"{folder / 'study.py'}:mine")
    assert (study.name, study.seeds, study.description) == ("mine", 7, "Mine.")
    assert sys.path == before


def test_workers_import_the_installed_package_and_the_libraries(folder: Path) -> None:
    # A script elsewhere, as the console script is, so that only the working directory holds the user's files.
    script = folder.parent / f"{folder.name}-script"
    script.mkdir()
    (script / "sweep.py").write_text(SWEEP)
    done = subprocess.run(
        [sys.executable, str(script / "sweep.py")], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 5
    assert str(folder) not in done.stdout
