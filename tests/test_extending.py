"""What docs/extending.md says: its blocks, in a folder outside of the package, add one of each to a real study."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trainables.software import plugin_versions

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL)
ENTRIES = "mine-0.dist-info/entry_points.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The page's files."""
    for name, text in BLOCKS:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + text)
    return tmp_path


def typed(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from study.__main__ import main; main()", *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def run_options(model: Path, data: Path) -> list[object]:
    settings = {
        "model.name": model, "data.name": "my_data.py:NEWS", "data.source": data, "data.languages": "de",
        "data.train_examples": 32, "data.validation_examples": 16, "data.stage2_examples": 0, "data.max_length": 32,
        "stages.0.epochs": 1, "measure.trace_examples": 8, "measure.rivals": "margin,entropy",
        "stages.0.penalties.l1.weight": 1e-6,
    }  # fmt: skip
    options = [part for path, value in settings.items() for part in ("--set", f"{path}={value}")]
    return ["run", "my_study.py:words", "--arms", "drop=0.1", "--seeds", 1, *options]


def test_each_is_shown_in_about_ten_lines() -> None:
    assert all(len([line for line in text.splitlines() if line]) <= 12 for _, text in BLOCKS)


@pytest.mark.slow
def test_a_study_uses_one_of_each(folder: Path, tiny_model: Path, tiny_data: Path) -> None:
    done = typed(folder, *run_options(tiny_model, tiny_data))
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (folder / "studies" / "words" / "trials").glob("*.json")
    record = json.loads(path.read_text())
    found = record["measurements"]
    assert record["config"]["stages"][0]["consistency"]["preset"] == "drop_consistency"
    assert found["penalty.consistency"] > 0  # dropout is off, so that the view alone can make a difference
    assert found["penalty.l1"] > 100
    assert 0 < found["measure.entropy"] <= 0.6932
    assert re.fullmatch("[0-9a-f]{12}", record["provenance"]["version.mine"])
    assert "version.mine_page" not in record["provenance"]
    report = folder / "studies" / "words" / "report"
    number = json.loads((report / "numbers.json").read_text())["numbers"]["entropy.mean"]["value"]
    assert number == pytest.approx(found["measure.entropy"])
    assert "## Entropy\n\nPredictions have 0." in (report / "report.md").read_text()
    assert '"measure.entropy","mine:entropy, a plugin' in (report / "columns.csv").read_text()
    shown = typed(folder, "show", "words", path.stem)
    assert re.search(r"view.kind +drop_words", shown.stdout), shown.stderr


@pytest.mark.parametrize(
    ("entries", "code", "said"),
    [
        ("[fisher_study.views]\ndrop_words = mine:NOTHING", "", "drop_words = mine:NOTHING fails: AttributeError"),
        ("[fisher_study.presets]\ndrop_consistency = gone:IT", "", "fails: ModuleNotFoundError"),
        ("[fisher_study.presets]\nmvr = mine:DROP_CONSISTENCY", "", "presets has mvr already"),
        ("[fisher_study.penalties]\nl2 = mine:l1", "", "penalties has l2 already; mine:l1 needs another name"),
        ("[fisher_study.rivals]\nmargin = mine:entropy", "", "rivals has margin already"),
        ("[fisher_study.views]\ndrop_words = mine:drop_words", "", "drop_words = mine:drop_words is no ViewKind"),
        ("[fisher_study.views]\ndrop-words = mine:l1", "", "views has 'drop-words' = mine:l1; names take letters"),
        ("", "syntax error", "views drop_words = mine:DROP_WORDS fails: SyntaxError"),
        ("", None, "unknown configuration path 'stages.0.penalties.l1.weight'"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_one_line(folder: Path, entries: str, code: str | None, said: str) -> None:
    if code is None:
        (folder / ENTRIES).unlink()
    elif code:
        (folder / "mine.py").write_text(code)
    elif entries:
        kind, line = entries.split("\n")
        text = re.sub(rf"{line.split(' ')[0]} = .*\n", "", (folder / ENTRIES).read_text())
        (folder / ENTRIES).write_text(text.replace(kind, entries))
    done = typed(folder, "run", "my_study.py:words", "--dry-run", "--set", "stages.0.noise.kind=drop_words")
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_two_plugins_of_one_name_are_one_line(folder: Path) -> None:
    other = folder / "other-1.dist-info" / "entry_points.txt"
    other.parent.mkdir()
    other.write_text("[fisher_study.penalties]\nl1 = other:l1\n")
    done = typed(folder, "run", "quick", "--dry-run")
    assert done.returncode == 2
    assert "penalties has l1 twice" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_plugin_changes_no_id_and_is_imported_by_those_who_use_it(folder: Path) -> None:
    ids = (
        "import sys; from study.catalog import CATALOG; from study.plan.planning import plan; "
        "print([t.trial_id for name in CATALOG for t in plan(CATALOG[name](), lambda config: ('m', 'd'))]); "
        "print('mine' in sys.modules, 'torch' in sys.modules)"
    )
    told = []
    for path in (str(ROOT), f"{ROOT}{os.pathsep}{folder}"):
        environment = os.environ | {"PYTHONPATH": path}
        done = subprocess.run([sys.executable, "-c", ids], env=environment, capture_output=True, check=True)
        told.append(done.stdout)
    assert told[0] == told[1]
    assert told[0].endswith(b"False False\n")


def test_no_plugin_is_no_version() -> None:
    from trainables.config import TrialConfig

    assert plugin_versions([TrialConfig()]) == {}
