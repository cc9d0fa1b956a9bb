"""The wheel holds all that the quick study needs, and nothing that only makes its files."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_wheel_runs_the_quick_study_elsewhere(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir"]
    source = tmp_path / "source"
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in files:
        if name.startswith(("study/", "trainables/", "analysis/", "tools/")) or "/" not in name:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*build, str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    assert sorted(path.name for path in (tmp_path / "installed").iterdir() if "dist-info" not in path.name) == [
        "analysis", "study", "trainables",
    ]  # fmt: skip
    small = ["data.train_examples=64", "data.validation_examples=64", "data.stage2_examples=32", "stages.0.epochs=1"]
    options = [part for value in (*small, "measure.trace_examples=16") for part in ("--set", value)]
    done = subprocess.run(
        [sys.executable, "-m", "study", "run", "quick", "--arms", "baseline", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "studies" / "quick" / "report" / "report.html").is_file()
    where = [sys.executable, "-c", "import study; print(study.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
                           capture_output=True, text=True, check=True)  # fmt: skip
    assert found.stdout.startswith(str(tmp_path))
