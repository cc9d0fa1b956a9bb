"""The README's commands exist, and its workflow runs, in a small form."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)
    for block in BLOCKS
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("fisher-study ")
]
SMALL = [
    "--arms", "baseline,l2=0.0001",
    "--set", "data.train_examples=64", "--set", "data.stage2_examples=32", "--set", "data.validation_examples=64",
    "--set", "measure.trace_examples=16", "--set", "stages.0.epochs=1", "--set", "stages.1.epochs=1",
]  # fmt: skip


def fisher_study(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "study", *arguments], cwd=cwd, capture_output=True, text=True, timeout=600, check=False
    )


def test_the_readme_names_every_command_of_the_everyday_workflow():
    assert {command[1] for command in COMMANDS} == {"run", "list", "show", "report", "resume", "trace", "export"}


def test_every_make_target_that_the_readme_names_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(
        r"make ([a-z]+)\b(?!s)", " ".join(BLOCKS) + " ".join(re.findall(r"`make [a-z]+`", README))
    ):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_file_that_the_readme_names_exists():
    table = re.search(r"## Reading order\n(.*?)\n## ", README, re.DOTALL)
    assert table
    for name in re.findall(r"`([\w./]+/|\.?[A-Z]?[\w.]+\.txt|\.ci/run|Makefile)`", table[1]):
        assert (ROOT / name).exists() or (ROOT / "tests" / name).exists() or (ROOT / "benchmarks" / name).exists(), name


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c[1] == "run" and "FOLDER" not in " ".join(c)], ids=" ".join
)
def test_every_run_command_plans(command, tmp_path):
    arguments = [argument for argument in command[1:] if argument != "--dry-run"]
    done = fisher_study(*arguments, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "studies").exists()


def test_the_real_data_command_plans(shared, tmp_path):
    (command,) = [c for c in COMMANDS if "FOLDER" in " ".join(c)]
    folders = {
        "model.name=FOLDER": f"model.name={shared}/models/multilingual-e5-small-pruned",
        "data.source=FOLDER": f"data.source={shared}/data/xnli",
    }
    done = fisher_study(*(folders.get(argument, argument) for argument in command[1:]), "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 trials" in done.stdout


@pytest.mark.slow
def test_the_workflow_runs(tmp_path):
    done = fisher_study("run", "quick", *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    page = tmp_path / "studies" / "quick" / "report" / "report.html"
    assert page.is_file()
    assert "studies/quick/report/report.html" in done.stdout
    again = fisher_study("run", "quick", *SMALL, cwd=tmp_path)
    assert again.returncode == 0
    assert "studies/quick/report/report.html" in again.stdout
    assert "quick" in fisher_study("list", cwd=tmp_path).stdout
    assert "l2=0.0001" in fisher_study("show", "quick", cwd=tmp_path).stdout
    rows = json.loads(fisher_study("show", "quick", "--json", cwd=tmp_path).stdout)
    assert [row["state"] for row in rows] == ["complete", "complete"]
    assert "fisher_trace" in fisher_study("show", "quick", "l2=0.0001", cwd=tmp_path).stdout
    assert fisher_study("report", "quick", cwd=tmp_path).returncode == 0
    assert fisher_study("resume", "quick", cwd=tmp_path).returncode == 0
