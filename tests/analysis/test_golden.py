"""The numbers of a recorded study stay what they were, unless somebody states why they change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden.__main__ import HERE, STUDY, numbers

pytestmark = pytest.mark.skipif(
    not STUDY.is_dir(), reason="no golden study yet: python -m tests.golden --reason '...' STUDY_FOLDER"
)
HINT = "numbers of the golden study changed; if that is meant: python -m tests.golden --reason '...'"


def same(found: Any, expected: Any, path: str) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), f"{path}: {HINT}"
        for key, value in expected.items():
            same(found[key], value, f"{path}.{key}")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9), f"{path}: {HINT}"
    else:
        assert found == expected, f"{path}: {HINT}"


def test_numbers_are_the_recorded_ones() -> None:
    same(json.loads(numbers()), json.loads((HERE / "numbers.json").read_text(encoding="utf-8")), "")


def test_every_change_has_a_reason() -> None:
    lines = (HERE / "reasons.md").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.startswith("- 20")]) >= 1


def test_the_study_holds_records_only() -> None:
    files = [path for path in Path(STUDY).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json"}
    assert sum(path.stat().st_size for path in files) < 2_000_000
