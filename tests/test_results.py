"""The recorded studies are read, and say again what their committed reports say."""

import json
from pathlib import Path

import pytest

from analysis.configurations import tables
from analysis.report import compute, numbers_json
from study.store.results import load
from tests.analysis.test_golden import same

ROOT = Path(__file__).resolve().parents[1]
STUDIES = sorted(path.parent for path in (ROOT / "results").glob("*/study.json"))


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_a_recorded_study_gives_its_report_again(folder: Path) -> None:
    expected = json.loads((folder / "report" / "numbers.json").read_text(encoding="utf-8"))
    study = tables(load(str(folder)))
    # Byte for byte on the machine that wrote it; another one may add in another order.
    same(json.loads(numbers_json(study, compute(study), expected["figures"])), expected, folder.name)


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_a_recorded_study_names_no_machine(folder: Path) -> None:
    named = [path for path in folder.rglob("*.json") if any(f'"/{top}' in path.read_text() for top in ("work", "home"))]
    assert named == []
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 5_000_000
