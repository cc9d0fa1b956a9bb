"""The directions in which packages may import, and what the light commands must not load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("study", "trainables", "analysis")
FILES = sorted(path.relative_to(ROOT).as_posix() for package in OURS for path in (ROOT / package).rglob("*.py"))

# Read by commands that start no Ray.
LIGHT = {f"study/sweep/{name}.py" for name in ("answer", "drive", "estimate", "interruption", "launch", "progress")}
ONLY_IN = {
    "ray": {
        *(file for file in FILES if file.startswith("study/sweep/") and file not in LIGHT),
        "trainables/tune_trainable.py",
    },
    "altair": {"analysis/page/figures.py"},
    "rocrate": {"study/browse/ro_crate.py"},
    "optuna": {"study/sweep/optuna_search.py", "study/browse/export.py"},
}
HEAVY = ("torch", "ray", "transformers")


def imports(file: str) -> Iterator[str]:
    """Every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", FILES)
def test_imports_go_one_way(file: str) -> None:
    package = file.split("/")[0]
    ours = {name for name in imports(file) if name.split(".")[0] in OURS and name.split(".")[0] != package}
    if package == "trainables":
        assert ours == set()
    if package == "analysis":
        assert {
            name
            for name in ours
            if not name.startswith(
                ("study.store.results", "study.store.storage", "study.store.uncollected", "trainables")
            )
        } == set()
    if package == "study" and not file.startswith("study/cli/") and file != "study/sweep/answer.py":
        # Loading a user's file only makes the name known, before a folder is searched that may have one like it.
        known = {"analysis"} if file == "study/plan/loading.py" else set()
        assert {name for name in ours if name.startswith("analysis")} == known


# Lower packages do not know the ones above them; types count too. What is not here is at the level of its users.
FLOORS = {
    "study": (("plan",), ("store",), ("browse",), ("sweep",)),
    "trainables": (
        ("curvature", "tokenization"),
        ("views",),
        ("regularizers",),
        ("training", "measuring"),
        ("rehearsal",),
    ),
    "analysis": (("statistics",), ("page", "verdicts"), ("sections",)),
}  # fmt: skip


@pytest.mark.parametrize("file", FILES)
def test_imports_go_downwards(file: str) -> None:
    package, *rest = file.split("/")
    floors = [set(floor) for floor in FLOORS[package]]
    own = next((height for height, floor in enumerate(floors) if rest[0] in floor), len(floors))
    above = {part for floor in floors[own + 1 :] for part in floor}
    used = {name.split(".")[1] for name in imports(file) if name.startswith(f"{package}.")}
    assert used & above == set()


MOST_LINES = 250


@pytest.mark.parametrize("file", FILES)
def test_a_module_can_be_read_in_one_go(file: str) -> None:
    assert (ROOT / file).read_text(encoding="utf-8").count("\n") <= MOST_LINES


def test_no_modules_import_in_a_circle() -> None:
    names = {file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in FILES}
    left: dict[str, set[str]] = {}
    for name, file in names.items():
        used = {used for used in imports(file) if used in names} - {name}
        left[name] = used - {used_name.rpartition(".")[0] for used_name in used}  # of a package only what is named
    while free := {name for name, used in left.items() if not used & left.keys()}:
        left = {name: used for name, used in left.items() if name not in free}
    assert sorted(left) == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_lives_in_its_place(library: str) -> None:
    users = {file for file in FILES if any(name.split(".")[0] == library for name in imports(file))}
    assert users <= ONLY_IN[library]


def loaded(code: str) -> list[str]:
    """Which heavy libraries a program has loaded at its end."""
    program = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit as end:\n    assert end.code in (0, 2, None), end.code\n"
    )
    program += f"print('loaded:', *[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["list"], ["show", "nothing"], ["report", "nothing"], ["show", "{study}"]],
)
def test_light_commands_load_no_heavy_library(arguments: list[str], tmp_path: Path) -> None:
    study = tmp_path / "light"
    (study / "trials").mkdir(parents=True)
    (study / "study.json").write_text(
        '{"schema_version": 1, "study": "light", "created": "2026-01-01T00:00:00+00:00", "description": "", '
        '"config": {}, "plan": [], "fingerprints": {}, "versions": {}}'
    )
    argv = ["fisher-study", *(word.format(study="light") for word in arguments)]
    if "--help" not in arguments:
        argv += ["--storage", str(tmp_path)]
    assert loaded(f"sys.argv = {argv!r}; from study.__main__ import main; main()") == []


@pytest.mark.parametrize(
    "module",
    [
        "study.store.results",
        "study.catalog",
        "study.plan.planning",
        "study.sweep.launch",
        "trainables.config",
        "analysis.report",
    ],
)
def test_light_modules_load_no_heavy_library(module: str) -> None:
    assert loaded(f"import {module}") == []


@pytest.mark.parametrize("file", FILES)
def test_nothing_that_can_run_code_is_opened(file: str) -> None:
    # The sweep reads what its own workers raised; nothing else opens a pickle, and no model brings code of its own.
    pickles = {name for name in imports(file) if name.split(".")[-1] in ("pickle", "cloudpickle", "dill", "joblib")}
    assert pickles == ({"ray.cloudpickle"} if file == "study/sweep/recorder.py" else set())
    text = (ROOT / file).read_text(encoding="utf-8")
    assert ("torch.load" in text) == (file == "trainables/models/pickled.py")
    opened = re.findall(r"torch\.load\(([^)]*)\)", text)
    assert all("weights_only=True" in arguments for arguments in opened)
    assert "read_pickle" not in text
    assert set(re.findall(r"trust_remote_code\s*=\s*(\w+)", text)) <= {"False"}
