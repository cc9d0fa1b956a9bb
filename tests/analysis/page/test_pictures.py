"""Specifications to pictures, in processes of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.page.pictures import LIBRARY, Drawing, kept_library, main, static
from analysis.rows import Rows

SPEC: dict[str, Any] = {
    "data": {"name": "points"},
    "mark": "point",
    "transform": [{"filter": "datum.kept == 1"}],
    "encoding": {
        "x": {"field": "x", "type": "quantitative"},
        "tooltip": [{"field": "secret", "type": "nominal"}],
    },
    "config": {"font": "Arial"},
}
ROWS = {"points": Rows(["x", "kept", "secret", "unused"], [[1.0, 1, "a", 2], [3.0, 0, "b", None]])}


def test_a_picture_gets_the_columns_that_it_reads_and_no_tooltips() -> None:
    spec = static(SPEC, ROWS, "two & more")
    assert spec["datasets"] == {"points": [{"x": 1.0, "kept": 1}, {"x": 3.0, "kept": 0}]}
    assert "tooltip" not in spec["encoding"]
    assert "tooltip" in SPEC["encoding"]


def test_pictures_and_library_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    drawing = Drawing(tmp_path)
    drawing.library()
    drawing.pictures({"one": static(SPEC, ROWS, "two & more"), "two": static(SPEC, ROWS, "x")})
    drawing.wait()
    drawing.stop()
    assert "window.vegaEmbed" in (tmp_path / LIBRARY).read_text()
    assert kept_library().read_bytes() == (tmp_path / LIBRARY).read_bytes()
    svg = (tmp_path / "one.svg").read_text()
    assert "<title>two &amp; more</title>" in svg
    assert svg.count("translate(0") >= 1
    assert (tmp_path / "two.png").read_bytes().startswith(b"\x89PNG")


def test_the_library_is_made_once_and_without_a_cache_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept_library().parent.mkdir(parents=True)
    kept_library().write_text("kept")
    Drawing(tmp_path).library()
    assert (tmp_path / LIBRARY).read_text() == "kept"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    main([str(tmp_path / LIBRARY)])
    assert "window.vegaEmbed" in (tmp_path / LIBRARY).read_text()


def test_a_specification_that_cannot_be_drawn_raises_with_its_reason(tmp_path: Path) -> None:
    drawing = Drawing(tmp_path)
    drawing.pictures({"broken": {"mark": "no such mark", "usermeta": {"title": ""}}})
    with pytest.raises(RuntimeError, match=r"(?s)drawing failed: .*Vega-Lite to Vega conversion failed"):
        drawing.wait()
    drawing.stop()


def test_the_same_code_runs_in_this_process(tmp_path: Path) -> None:
    import json

    (tmp_path / "one.json").write_text(json.dumps(static(SPEC, ROWS, "x")))
    main([str(tmp_path / "one.json")])
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")
