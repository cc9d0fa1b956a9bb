"""The benchmark of the report: its studies have as many trials as it says, and its table knows the bars."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.report import BARS, table, write


@pytest.mark.parametrize("trials", [8, 24])
def test_a_study_has_so_many_trials(trials: int, tmp_path: Path) -> None:
    write(tmp_path / "study", trials)
    assert len(list((tmp_path / "study" / "trials").iterdir())) == trials


def test_the_table_says_which_bars_are_met() -> None:
    row = {"main": 4.0, "pictures": 10.0, "all": 14.0, "page_mib": 1.5}
    lines = table({1_000: row, 10_000: row | {"all": 61.0}, 8: row}).splitlines()[2:]
    assert BARS == {1_000: 15.0, 10_000: 60.0}
    assert lines == [
        "| 1,000 | 4.0 s | 10.0 s | 14.0 s | 15 s: met | 1.5 MiB |",
        "| 10,000 | 4.0 s | 10.0 s | 61.0 s | 60 s: NOT MET | 1.5 MiB |",
        "| 8 | 4.0 s | 10.0 s | 14.0 s | - | 1.5 MiB |",
    ]
