"""The report as a whole: what it writes, that its sums agree, that text numbers come from numbers.json."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from analysis.report import write_report
from tests.analysis.synthetic import write_study


def test_a_study_gives_page_numbers_tables_and_figures(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "demo", {"baseline": 1, "kl": 4, "fpen": 4}, seeds=2)
    report = write_report(str(folder))
    out = folder / "report"
    assert report.page == str(out / "report.html")
    assert report.answer == report.sentences[0]
    assert report.answer.startswith("H1 ")
    assert report.account == "18 trials planned: 18 complete."
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    tables = {f"{name}.{ending}" for name in ("trials", "curves") for ending in ("csv", "parquet")}
    assert {"report.html", "report.md", "numbers.json", "columns.csv", *tables} <= written
    assert {f"figures/figure-{n}.{ending}" for n in (1, 2) for ending in ("svg", "pdf", "png")} <= written
    assert len(pd.read_parquet(out / "trials.parquet")) == 18
    numbers = json.loads((out / "numbers.json").read_text())
    assert numbers["hypotheses"]["H1"]["sentence"] == report.answer
