import json
from pathlib import Path

import pytest

from analysis.page.publication import publish


def report(*figures: str) -> dict[str, bytes]:
    files = {f"figures/{name}.{ending}": b"x" for name in figures for ending in ("svg", "pdf", "png")}
    return {**files, "numbers.json": json.dumps({"figures": figures}).encode(), "report.html": b"page"}


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_report_leaves_no_figure_of_an_earlier_one_and_nothing_else_is_touched(tmp_path: Path, prefix: str) -> None:
    target = f"{prefix}{tmp_path}/report"
    publish(target, report("one", "two"))
    (tmp_path / "report/figures/mine.svg").write_text("mine")
    publish(target, report("two", "three"))
    figures = {f"{name}.{ending}" for name in ("two", "three") for ending in ("svg", "pdf", "png")}
    assert {path.name for path in (tmp_path / "report/figures").iterdir()} == {*figures, "mine.svg"}
    assert json.loads((tmp_path / "report/numbers.json").read_text())["figures"] == ["two", "three"]
