"""The commands of README and docs/ exist, and their workflow runs, in a small form."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md")))]
BLOCKS = [block for page in PAGES for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL)]
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
    assert {command[1] for command in COMMANDS} == {
        "run",
        "list",
        "show",
        "report",
        "resume",
        "trace",
        "export",
        "compare",
        "verify",
    }


def test_every_make_target_that_the_readme_names_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    typed = re.findall(r"^make ([a-z]+)", "\n".join(BLOCKS), re.MULTILINE)
    for target in typed + re.findall(r"`make ([a-z]+)`", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_readme_is_short_and_every_file_that_it_links_exists():
    assert len(README) <= 7_000
    links = re.findall(r"\]\(([\w./-]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


RUNS = {" ".join(c): c for c in COMMANDS if c[1] == "run" and not re.search("FOLDER|source=hub|FILE", " ".join(c))}


@pytest.mark.parametrize("text", RUNS)
def test_every_run_command_plans(text, tmp_path):
    (study,) = re.findall(r"```python\n(from study.*?)```", (ROOT / "docs/studies.md").read_text(), re.DOTALL)
    bundled = study.replace('name="xnli", train', 'name="inference", source="bundled", train').replace("5_000", "1_000")
    (tmp_path / "my_study.py").write_text(bundled)
    _, command, name, *options = (argument for argument in RUNS[text] if argument != "--dry-run")
    more = {"quick": [], "my_study.py:my_study": ["--set", "model.name=mini"]}.get(name, ["--bundled"])
    options = [option.replace("=10000", "=1000") for option in options]
    done = fisher_study(command, name, *options, *more, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "studies").exists()


def test_the_real_data_command_plans(shared, tmp_path):
    command = next(c for c in COMMANDS if c[1] == "run" and "FOLDER" in " ".join(c))
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
