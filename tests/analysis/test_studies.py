"""Several studies in one page: the golden one beside copies with other trials and other numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analysis.numbers import Number
from analysis.studies import _names, compare, error_of, study_id
from analysis.studies_page import write_comparison
from tests.analysis.synthetic import write_study
from tests.golden.__main__ import STUDY
from trainables.errors import InputError


def copy(folder: Path, turn: float = 1.0, **changes: object) -> str:
    """A study with the golden one's records under other ids, ln Tr(F) turned about its mean, other fields changed."""
    study = json.loads((STUDY / "study.json").read_text(encoding="utf-8")) | {"study": folder.name}
    study |= changes
    (folder / "trials").mkdir(parents=True)
    logs = []
    for row in study["plan"]:
        record = json.loads((STUDY / "trials" / f"{row['trial_id']}.json").read_text(encoding="utf-8"))
        logs.append(math.log(record["measurements"]["fisher_trace"]))
    middle = sum(logs) / len(logs)
    for row, log in zip(study["plan"], logs, strict=True):
        record = json.loads((STUDY / "trials" / f"{row['trial_id']}.json").read_text(encoding="utf-8"))
        row["trial_id"] = record["trial_id"] = f"{row['trial_id'][::-1]}-{folder.name}"
        record["study"] = folder.name
        record["measurements"]["fisher_trace"] = math.exp(middle + turn * (log - middle))
        (folder / "trials" / f"{row['trial_id']}.json").write_text(json.dumps(record))
    (folder / "study.json").write_text(json.dumps(study))
    return str(folder)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    others = [
        copy(folder / "same"),
        copy(folder / "turned", turn=-1.0, fingerprints={"models": {}, "data": {"d": "x"}}),
    ]
    out = folder / "out"
    report = write_comparison([str(STUDY), *others], str(out))
    assert report.page == str(out / "comparison.html")
    assert report.answer.startswith("H1 undecided: Whether flatter models are more accurate in English stays open (r ")
    return out


def test_page_and_figures_are_written(page: Path) -> None:
    written = {path.relative_to(page).as_posix() for path in page.rglob("*") if path.is_file()}
    drawn = {f"figures/forest-{key}.{ending}" for key in ("H1", "H4") for ending in ("png", "svg", "pdf")}
    assert written == {"comparison.html", "comparison.md", "numbers.json", *drawn}
    text = (page / "comparison.md").read_text(encoding="utf-8")
    assert text.startswith("# Comparison of quick, same, turned\n\n**Whether flatter models")
    assert "What differs between the studies." in text
    assert "quick: 24 trials planned: 24 complete." in text
    assert "The studies differ " in text
    assert "quick and same have the same rows of data, so they are not independent." in text
    assert "quick and turned have" not in text


def test_the_summary_is_over_the_reports_headlines(page: Path) -> None:
    numbers = json.loads((page / "numbers.json").read_text(encoding="utf-8"))
    golden = json.loads((STUDY.parent / "numbers.json").read_text(encoding="utf-8"))["numbers"]
    found = numbers["numbers"]
    assert found["H1.in.quick"]["value"] == pytest.approx(golden["H1"]["value"])
    assert found["H1.in.same"]["value"] == pytest.approx(found["H1.in.quick"]["value"])
    assert found["H1.in.turned"]["value"] == pytest.approx(-found["H1.in.quick"]["value"])
    assert found["H1"]["n"] == 3
    # Three estimates of one variance: the mean of z is that of the three.
    expected = math.tanh(math.atanh(found["H1.in.quick"]["value"]) / 3)
    assert found["H1"]["value"] == pytest.approx(expected, abs=1e-6)
    assert found["H1.prediction"]["low"] < found["H1"]["low"] < found["H1"]["high"] < found["H1.prediction"]["high"]
    assert set(numbers["hypotheses"]["H1"]["studies"]) == {"quick", "same", "turned"}
    assert [study["name"] for study in numbers["studies"]] == ["quick", "same", "turned"]


def test_one_estimate_is_no_summary() -> None:
    found = compare([str(STUDY)])
    assert found.numbers["H1"].value is None
    assert found.verdicts[0].word == "undecided"
    text = found.numbers.text(found.verdicts[0].template)
    assert "only one study has an estimate with an interval, and a summary takes 2" in text
    assert "H1.tau" not in found.numbers


def test_a_summary_is_no_clearer_than_the_studies_controls(tmp_path: Path) -> None:
    plain = {"kl": 6, "fpen": 6, "l2": 6}
    studies = []
    for number in range(6):
        folder = write_study(tmp_path / f"s{number}", {"baseline": 1, **plain}, r=-0.95, random_seed=number)
        for path in [folder / "study.json", *sorted((folder / "trials").iterdir())]:
            text = path.read_text().replace('"t0', f'"s{number}-0')
            path.unlink()
            path.with_name(path.name.replace("t0", f"s{number}-0")).write_text(text)
        studies.append(str(folder))
    found = compare(studies)
    assert found.numbers["H1"].p_adjusted is not None
    assert found.numbers["H1"].p_adjusted < 0.05
    controls = [number for key, number in found.numbers.items() if key.startswith("H1.given.")]
    assert controls
    held = all(number.p_adjusted is not None and number.p_adjusted < 0.05 for number in controls)
    assert found.verdicts[0].word == ("supported" if held else "explained")
    assert found.numbers["H3"].style == "points"
    assert found.numbers["H3"].n == sum(found.numbers[study_id("H3", n)].value is not None for n in found.names)


def test_what_no_study_could_tell_is_explained_where_all_together_can(tmp_path: Path) -> None:
    """Training loss drives both Tr(F) and accuracy; no study by itself is significant, so none asked its controls."""
    studies = []
    for number in range(8):
        rng = np.random.default_rng(100 + number)

        def confound(records: list[Any], rng: Any = rng, number: int = number) -> list[Any]:
            for record in records:
                values, loss = record["measurements"], rng.standard_normal()
                values["train_nll"] = 0.12 + 0.02 * loss
                values["train_accuracy"] = 0.97 + 0.001 * rng.standard_normal()
                values["fisher_trace"] = math.exp(5 + 0.5 * loss + 0.45 * rng.standard_normal())
                values["accuracy.en"] = 0.85 - 0.01 * loss + 0.009 * rng.standard_normal()
                values["measure.label_variance"] = 0.1 + 0.01 * rng.standard_normal()
                record["trial_id"] = f"s{number}-{record['trial_id']}"
            return records

        families = {"baseline": 1, "kl": 5, "fpen": 5, "l2": 5}
        folder = write_study(tmp_path / f"s{number}", families, edit=confound, seeds=1, curves=False, stage2=False)
        study = json.loads((folder / "study.json").read_text())
        for row in study["plan"]:
            row["trial_id"] = f"s{number}-{row['trial_id']}"
        (folder / "study.json").write_text(json.dumps(study))
        studies.append(str(folder))
    found = compare(studies)
    open_ones = [
        folder for folder, name in zip(studies, found.names, strict=True) if found.words["H1", name] == "undecided"
    ]
    assert len(open_ones) >= 5
    found = compare(open_ones)
    assert found.numbers["H1"].p_adjusted is not None
    assert found.numbers["H1"].p_adjusted < 0.05
    assert found.numbers["H1.given.train_nll"].p is not None
    assert found.numbers["H1.given.train_nll"].p > 0.05
    assert found.verdicts[0].word == "explained"
    text = found.numbers.text(found.verdicts[0].template)
    assert text.startswith("flatter models were more accurate in English, but not at equal ")


def test_the_error_comes_from_the_interval() -> None:
    z, error = math.atanh(-0.5), 0.3
    ends = math.tanh(z - 1.959964 * error), math.tanh(z + 1.959964 * error)
    assert error_of("H1", Number(-0.5, "correlation", *ends)) == pytest.approx(error, rel=1e-5)
    assert error_of("H3", Number(0.0, "points", -0.043026527, 0.043026527, n=3)) == pytest.approx(0.01)  # t(2) 4.3027
    assert error_of("H1", Number(1.0, "correlation", 1.0, 1.0)) is None
    assert error_of("H1", Number(0.4, "correlation")) is None


def test_studies_of_one_name_are_told_apart(tmp_path: Path) -> None:
    assert compare([str(STUDY), copy(tmp_path / "quick")]).names == ["quick.1", "quick.2"]
    assert _names([SimpleNamespace(name=name) for name in ("a", "b", "a.1", "a")]) == ["a.2", "b", "a.1", "a.3"]


def test_wrong_input_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="compare takes the names or folders of studies"):
        write_comparison([])
    with pytest.raises(InputError, match="planned the same trials: name a study once"):
        compare([str(STUDY), f"{STUDY}/"])
    with pytest.raises(InputError, match="is no study: it has no study.json"):
        write_comparison([str(STUDY), str(tmp_path)], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
