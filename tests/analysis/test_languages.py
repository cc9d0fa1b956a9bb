"""Languages as units: few and many languages, and what is known of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import altair as alt
import numpy as np
import pytest

from analysis.configurations import StudyTables, tables
from analysis.languages import like_english
from analysis.numbers import Numbers
from analysis.page.document import Figure, Found, Missing, Paragraph
from analysis.sections import figure_two, languages
from study.catalog.languages import SIB200
from study.store.results import load
from tests.analysis import synthetic

XNLI = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")


def study(folder: Path, seeds: int = 1, families: dict[str, int] | None = None) -> StudyTables:
    return tables(load(str(synthetic.write_study(folder / "demo", families, seeds=seeds))))


def drawn(found: StudyTables) -> tuple[Found, str, dict[str, Figure]]:
    result = languages.compute(found)
    assert isinstance(result, Found)
    numbers = Numbers(result.numbers)
    blocks = languages.draw(result, numbers)
    text = " ".join(numbers.text(block.text) for block in blocks if isinstance(block, Paragraph))
    return result, text, {block.name: block for block in blocks if isinstance(block, Figure)}


def test_three_languages_have_means_and_no_model(tmp_path: Path) -> None:
    result, text, figures = drawn(study(tmp_path))
    assert text.startswith("Over 3 languages, zero-shot accuracy is ")
    assert "No mixed model of zero-shot accuracy over languages: it takes 4 languages or more, and there are 3." in text
    assert result.numbers["languages.zero_shot"].value is None
    assert list(figures) == ["languages"]
    assert figures["languages"].page is None


def test_many_languages_have_a_model_small_panels_and_a_picker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "LANGUAGES", SIB200)
    found = study(tmp_path)
    result, text, figures = drawn(found)
    means = found.means("ln_trace", "zero_shot")
    assert result.numbers["languages.mean"].value == pytest.approx(found.usable("zero_shot")["zero_shot"].mean())
    kept = means.loc[means["family"] != "baseline"]
    x, y = (kept[c] - kept.groupby("family")[c].transform("mean") for c in ("ln_trace", "zero_shot"))
    # On a complete table the slope in the mean language is that of the mean.
    assert result.numbers["languages.zero_shot"].value == pytest.approx(float(np.sum(x * y) / np.sum(x * x)))
    assert re.match(r"Over 21 languages, zero-shot accuracy is \S+ % on average and \S+ % in the worst, quy ", text)
    assert "Languages of English's script minus the others" in text
    order = sorted(
        found.languages, key=lambda name: -found.usable("ln_trace", f"accuracy.{name}")[f"accuracy.{name}"].mean()
    )
    panels = figures["languages"].spec
    assert (len(panels["concat"]), panels["columns"], panels["concat"][0]["title"]) == (21, 5, order[0])
    page = figures["languages"].page
    assert page is not None
    assert page["params"][0]["bind"]["options"] == order
    for spec in (panels, page, figures["languages-slopes"].spec):
        alt.Chart.from_dict(json.loads(json.dumps(spec)))
    gains = [found.models[figure_two.gain_column(name)].mean() for name in figure_two.languages_with_gain(found)]
    assert gains == sorted(gains, reverse=True)


def test_too_few_configurations_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "LANGUAGES", SIB200)
    _, text, figures = drawn(study(tmp_path, families={"kl": 3}))
    assert "too few fitted configurations (3 in families of two or more; 5 needed)" in text
    assert "languages-slopes" not in figures


def test_no_fitted_model_is_a_line(tmp_path: Path) -> None:
    found = study(tmp_path)
    found.models["fitted"] = False
    assert isinstance(languages.compute(found), Missing)


def test_every_language_of_the_catalog_is_known() -> None:
    for code in {*SIB200, *XNLI, "ja", "ko"}:
        assert like_english(code, "family") is not None, code
    assert like_english("deu_Latn", "script")
    assert not like_english("ru", "script")
    assert like_english("ru", "family")
    assert like_english("xx", "family") is None
