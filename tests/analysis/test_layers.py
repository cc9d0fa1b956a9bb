"""Layers by depth: thirds, sums and densities against the definition, with and without counted parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.configurations import StudyTables, tables
from analysis.numbers import Numbers
from analysis.page.document import Missing, Table
from analysis.sections.layers import PARAMETERS, TRACE, Depths, compute, draw
from study.store.results import load
from tests.analysis.synthetic import write_study

ENTRIES = {"embeddings": 400.0, "encoder.0": 100.0, "encoder.1": 100.0, "classifier": 10.0}


def _study(folder: Path, edit: Any = None, **options: Any) -> StudyTables:
    return tables(load(str(write_study(folder / "demo", {"kl": 4, "fpen": 5}, seeds=2, edit=edit, **options))))


def _count(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for record in records:
        record["measurements"] |= {PARAMETERS + name: number for name, number in ENTRIES.items()}
    return records


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5, 6, 12, 24])
def test_a_layer_is_at_the_third_that_its_centre_lies_in(layers: int) -> None:
    names = ["classifier", *(f"layer.{i}" for i in reversed(range(layers))), "embeddings", "pooler", "other"]
    depths = Depths.of(pd.DataFrame({TRACE + name: [1.0] for name in names}))
    assert depths.names == ["embeddings", *(f"layer.{i}" for i in range(layers)), "pooler", "classifier", "other"]
    expected: dict[str, list[str]] = {"early": [], "middle": [], "late": []}
    for i in range(layers):
        centre = (i + 0.5) / layers
        expected["early" if centre < 1 / 3 else "late" if centre > 2 / 3 else "middle"].append(f"layer.{i}")
    assert {depth: depths.parts(depth) for depth in expected} == expected
    assert depths.parts("embeddings") == ["embeddings"]
    assert depths.parts("head") == ["pooler", "classifier", "other"]


def test_each_model_is_divided_by_its_own_layers() -> None:
    table = np.full((2, 6), np.nan)
    table[0, :3], table[1] = [1.0, 2.0, 4.0], [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    models = pd.DataFrame(table, columns=[f"{TRACE}layer.{i}" for i in range(6)])
    sums = Depths.of(models).sums(models, TRACE)
    assert [sums[depth].tolist() for depth in ("early", "middle", "late")] == [[1, 3], [2, 12], [4, 48]]
    assert np.isnan(sums["head"]).all()
    assert np.isnan(Depths.of(models).sums(models, PARAMETERS)["early"]).all()


def test_share_and_trace_per_parameter_by_hand(tmp_path: Path) -> None:
    numbers = compute(_study(tmp_path, _count)).numbers
    shares = {"embeddings": 0.2, "early": 0.3, "late": 0.4, "head": 0.1}
    entries = dict(zip(shares, ENTRIES.values(), strict=True))
    for depth, share in shares.items():
        assert numbers[f"layers.{depth}.share"].value == pytest.approx(share)
        density = (share / entries[depth]) / (1 / sum(ENTRIES.values()))
        assert numbers[f"layers.{depth}.per_parameter"].value == pytest.approx(density)
        assert numbers[f"layers.{depth}.share"].n == 18


def test_a_part_in_proportion_to_the_whole_goes_with_each_outcome_as_the_whole_does(tmp_path: Path) -> None:
    study = _study(tmp_path)
    numbers, means = compute(study).numbers, study.means("ln_trace", "gain", "zero_shot_worst")
    centred = means[["ln_trace", "gain", "zero_shot_worst"]] - means.groupby("family")[
        ["ln_trace", "gain", "zero_shot_worst"]
    ].transform("mean")
    for outcome in ("gain", "zero_shot_worst"):
        r = np.corrcoef(centred["ln_trace"], centred[outcome])[0, 1]
        assert numbers[f"layers.late.{outcome}"].value == pytest.approx(r)


def _table(study: StudyTables) -> Table:
    found = compute(study)
    (table,) = (block for block in draw(found, Numbers(found.numbers)) if isinstance(block, Table))
    return table


def test_records_without_counted_parameters_have_no_such_column(tmp_path: Path) -> None:
    counted, old = _table(_study(tmp_path / "new", _count)), _table(_study(tmp_path / "old"))
    assert [c for c in counted.columns if c not in old.columns] == ["Tr(F) per parameter, relative to the whole model"]
    assert [row[:2] for row in old.rows] == [
        ["embeddings", "embeddings"], ["early", "encoder.0"], ["late", "encoder.1"], ["head", "classifier"]
    ]  # fmt: skip


def test_a_study_without_parts_or_without_fitted_models_says_so(tmp_path: Path) -> None:
    def bare(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for record in records:
            for name in [name for name in record["measurements"] if name.startswith(TRACE)]:
                del record["measurements"][name]
        return records

    found = compute(_study(tmp_path, bare))
    assert isinstance(found, Missing)
    assert found.reason == "no fitted model has the parts of Tr(F) by layer."
