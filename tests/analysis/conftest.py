"""One written report for all tests that only look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.report import Report, write_report
from tests.analysis.synthetic import write_study


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """A study of 18 trials, one record damaged (a kl trial), and its report."""
    folder = write_study(tmp_path_factory.mktemp("report") / "demo", {"baseline": 1, "kl": 4, "fpen": 4}, seeds=2)
    (folder / "trials" / "t00003.json").write_text('{"schema_version": 1, "trial')
    return folder, write_report(str(folder))
