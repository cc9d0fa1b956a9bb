"""Studies of very many models: every model counts, some are drawn and listed, and the page says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import rows
from analysis.configurations import StudyTables, tables
from analysis.numbers import Numbers
from analysis.page import render
from analysis.page.document import Figure
from analysis.report import compose, compute, numbers_json
from analysis.rows import thinned
from analysis.sections import associations, dose_response, trials
from study.store.results import load
from tests.analysis.synthetic import write_study


def study(folder: Path, edit: Any = None) -> StudyTables:
    return tables(load(str(write_study(folder / "demo", {"baseline": 1, "kl": 4, "fpen": 4}, seeds=2, edit=edit))))


def test_thinned_rows_are_few_enough_evenly_spaced_and_counted() -> None:
    table = pd.DataFrame({"x": range(10)})
    for most, kept in ((10, list(range(10))), (9, [0, 2, 4, 6, 8]), (4, [0, 3, 6, 9]), (1, [0])):
        found, note = thinned(table, "models", most)
        assert found["x"].tolist() == kept
        assert (note == "") == (len(kept) == 10)
    assert thinned(table, "models", 4)[1] == "Of 10 models one in 3 is shown; trials.csv has all."


def test_what_is_not_drawn_or_listed_still_counts_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found_tables = study(tmp_path)
    whole = compute(found_tables)
    monkeypatch.setattr(rows, "MOST_MARKS", 5)
    monkeypatch.setattr(associations, "MOST_MARKS", 4)
    monkeypatch.setattr(dose_response, "MOST_LISTED", 4)
    monkeypatch.setattr(trials, "MOST_ROWS", 6)
    again = study(tmp_path / "again")
    found = compute(again)
    document = compose(again, found)
    figures = {b.name: b for _, _, blocks in document.sections for b in blocks if isinstance(b, Figure)}
    assert numbers_json(again, found, []) == numbers_json(found_tables, whole, [])
    assert len(figures["figure-1"].rows["models"].values) == 5
    assert len(figures["within-families"].rows["deviations"].values) == 4
    text = render.markdown(document, dict.fromkeys(figures, "figure.png"))
    assert "Of 18 models one in 4 is shown; trials.csv has all.*" in text
    assert "Of 8 configurations one in 2 is shown; trials.csv has all.*" in text
    assert "6 of 18 planned trials: those that ended incomplete" in text
    assert '<a href="trials.csv">trials.csv</a>' in render.page(document, "library")


def test_the_listed_trials_are_those_that_a_reader_looks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def edit(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for place, record in enumerate(records):
            record["measurements"] |= {"accuracy.en": 0.5 + 0.001 * place, "fisher_trace": 1.0 + place}
        records[7] |= {"state": "diverged", "reason": "its loss grew"}
        return records[:9] + records[10:]

    monkeypatch.setattr(trials, "MOST_ROWS", 5)
    (table,) = trials.draw(trials.compute(study(tmp_path, edit)), Numbers())
    assert table.rows_of[1].column("trial_id") == ["t00000", "t00001", "t00007", "t00016", "t00017"]
    assert table.caption.startswith("5 of 18 planned trials: ")
