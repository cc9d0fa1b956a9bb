"""docs/methods.md says of every method what the code does: a row each, with the code's own formula and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.zoo import ZOO
from trainables.config import RIVALS, DropoutConfig, OptimizerConfig, PenaltiesConfig, StageConfig, TrialConfig
from trainables.config.dotted_paths import flatten, paths
from trainables.models.dropout import FIELDS, acting
from trainables.regularizers.consistency import ConsistencyConfig
from trainables.regularizers.presets import PRESETS
from trainables.views.view import VIEWS, ViewConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
BASELINES = (
    "stages.N.optimizer.weight_decay",
    "stages.N.optimizer.sam_rho",
    "stages.N.optimizer.tram_sigma",
    "stages.N.selection",
    "stages.N.runs",
    "stages.N.label_smoothing",
    *(f"model.dropout.{name}" for name in DropoutConfig.model_fields),
)


def table(heading: str) -> dict[str, dict[str, str]]:
    """A table of the page: first cell, without its backquotes, to column to cell."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line.replace("\\|", "\0") for line in section.splitlines() if line.startswith("|")]
    header, _, *body = [[cell.strip().replace("\0", "|") for cell in line.strip("|").split("|")] for line in lines]
    assert all(len(row) == len(header) and all(row) for row in body)
    found = {row[0].strip("`"): dict(zip(header, row, strict=True)) for row in body}
    assert len(found) == len(body)
    return found


def fields(values: dict[str, Any]) -> str:
    """Fields and values as the page has them."""
    return ", ".join(f"`{name}` {number(value)}" for name, value in values.items()) or "none"


def number(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def test_every_preset_has_a_row_that_says_what_it_fixes() -> None:
    rows = table("Consistency losses")
    assert list(rows) == list(PRESETS)
    for name, preset in PRESETS.items():
        loss = ConsistencyConfig(preset=name).resolved()
        view = loss.view.explicit()
        row = rows[name]
        assert row["loss"] == preset.formula
        assert row["view"] == f"`{view.pop('kind')}`: {fields(view)}".removesuffix(": none")
        assert row["w"] == f"{number(loss.weight)} ({number(preset.search[0])} to {number(preset.search[1])}, log)"
        assert row["dropout"] == loss.dropout
        assert row["source"] == preset.source
        assert row["deviation of the public code"] == preset.deviation


def test_every_coefficient_of_public_code_is_converted() -> None:
    rows = table("Coefficients of public code")
    conversions = {c.code: (name, c) for name, preset in PRESETS.items() for c in preset.conversions}
    assert list(rows) == list(conversions)
    for code, (preset, conversion) in conversions.items():
        assert rows[code]["preset"] == f"`{preset}`"
        assert rows[code]["its default c"] == number(conversion.published)
        assert rows[code]["weight here"] == conversion.formula
        assert rows[code]["its objective"] == f"{number(conversion.objective)} times ours"
        assert rows[code]["default at B = 32, C = 3"] == f"{conversion.weight(conversion.published, 32, 3):.3g}"


def test_every_view_has_a_row_with_its_defaults() -> None:
    rows = table("Views")
    assert list(rows) == list(VIEWS)
    for name, kind in VIEWS.items():
        assert rows[name]["what, unit of strength"] == kind.summary
        given = {field: value for field, value in kind.fields.items() if value is not None}
        needed = [f"`{field}` must be given" for field, value in kind.fields.items() if value is None]
        expected = [*([fields(given)] if given or not needed else []), *needed]
        assert rows[name]["defaults"] == ", ".join(expected)
        assert rows[name]["tokens"] == ("kept" if kind.keeps_tokens else "changed")
        assert rows[name]["source"] == kind.source


def test_every_penalty_and_baseline_has_a_row_with_its_defaults() -> None:
    rows = table("Penalties and baselines")
    penalties = [f"stages.N.penalties.{name}" for name in PenaltiesConfig.model_fields]
    assert list(rows) == [*penalties, *BASELINES]
    for name, field in PenaltiesConfig.model_fields.items():
        (config,) = [
            part for part in field.annotation.__args__ if isinstance(part, type) and issubclass(part, BaseModel)
        ]
        assert rows[f"stages.N.penalties.{name}"]["default"] == "off; " + fields(config().model_dump())
    values = flatten(TrialConfig())
    for path in BASELINES:
        expected = f"`{path.rpartition('.')[2]}` {number(values[path.replace('N', '0')])}"
        assert rows[path]["default"].split(",")[0] == expected
    exempt = OptimizerConfig().exempt_biases_and_norms
    assert rows["stages.N.optimizer.weight_decay"]["default"].endswith(f"`exempt_biases_and_norms` {number(exempt)}")
    known = {path.replace("stages.0", "stages.N") for path in paths()}
    assert all(path in known or any(other.startswith(f"{path}.") for other in known) for path in rows)


def test_every_familys_rates_of_dropout_are_listed() -> None:
    rows = table("Dropout by family")
    listed = {kind.strip("` "): row for kinds, row in rows.items() for kind in kinds.split(",")}
    assert ZOO.keys() <= listed.keys()
    for kind, row in listed.items():
        found = acting({"model_type": kind})
        for role in FIELDS:
            assert row[role] == (", ".join(f"`{field}`" for field in found.get(role, ())) or "none"), (kind, role)


def test_every_rival_has_a_row() -> None:
    assert list(table("Rivals of Tr(F)")) == list(RIVALS)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_passes_of_each_preset_are_counted(build, monkeypatch, preset: str) -> None:
    """Forward passes as the step makes them, and backward passes as gradients that reach what a pass gave."""
    from trainables.seeding import Streams
    from trainables.training.micro_batch import MicroBatch
    from trainables.training.objective import objective

    forward, backward = [], []
    run = MicroBatch.run

    def counted(self, *args, **kwargs):
        found = run(self, *args, **kwargs)
        forward.append(found)
        outcome = found.hidden[0][-1] if found.hidden else found.logits
        outcome.register_hook(backward.append)
        return found

    monkeypatch.setattr(MicroBatch, "run", counted)
    config, model, examples = build(stages__0__consistency__preset=preset)
    stage: StageConfig = config.stages[0]
    objective(MicroBatch(model, examples, [0, 3, 5, 6], stage.terms, Streams(0), "0.en", 0, 0), stage).total.backward()
    expected = table("Consistency losses")[preset]["passes, forward / backward"]
    assert f"{len(forward)} / {len(backward)}" == expected


def test_the_views_that_need_files_say_so() -> None:
    for name, kind in VIEWS.items():
        if "files" in kind.fields:
            with pytest.raises(ValueError, match=f"view {name} needs files"):
                ViewConfig(kind=name).resolved()
