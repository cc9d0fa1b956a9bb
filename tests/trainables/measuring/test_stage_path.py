"""Equation 1 along the second stage: what a trial measures of it, and that nothing is left behind."""

from __future__ import annotations

import pytest

from tests.reference import kl, score
from trainables import trial as module
from trainables.config.dotted_paths import with_values
from trainables.errors import InputError
from trainables.measuring.evaluation import first_rows, predict
from trainables.trial import fine_tune

NAMES = ("path_curvature", "path_kl_en", "path_curvature_target", "direction")


def run(config, assets, **values):
    changed = with_values(config, {key.replace("__", "."): value for key, value in values.items()})
    return fine_tune(changed, assets, lambda point: None)


def test_the_training_is_the_same_bit_for_bit(tiny_config, tiny_assets):
    plain = run(tiny_config, tiny_assets)
    found = run(tiny_config, tiny_assets, measure__path="true", measure__path_points=2)
    added = {f"stage2.{language}.{name}" for language in ("de", "zh") for name in NAMES}
    assert set(found.values) - set(plain.values) == added
    assert {name: found.values[name] for name in plain.values} == plain.values
    assert [point for point in found.curves if point.name != "path_kl_en"] == plain.curves
    assert all(found.values[name] > 0 for name in added)
    for language in ("de", "zh"):
        points = [point for point in found.curves if (point.name, point.language) == ("path_kl_en", language)]
        assert [(point.stage, point.step, point.epoch) for point in points] == [(1, 1, 0.5), (1, 2, 1.0)]
        assert points[-1].value == found.values[f"stage2.{language}.path_kl_en"]
        assert points[-1].x == found.values[f"stage2.{language}.distance"]
        assert 0 < points[0].x < points[-1].x


def test_without_points_there_is_no_curve(tiny_config, tiny_assets):
    found = run(tiny_config, tiny_assets, measure__path="true")
    assert not [point for point in found.curves if point.name == "path_kl_en"]


def test_points_need_a_path(tiny_config):
    with pytest.raises((InputError, ValueError), match="measure.path_points=2 needs measure.path=true"):
        with_values(tiny_config, {"measure.path_points": 2})


def test_the_numbers_are_the_definitions_on_the_first_validation_rows(tiny_config, tiny_assets, monkeypatch):
    seen = {}
    original = module._after_second_stage

    def spy(model, language, validation, halves, values, before, *rest):
        if language == "de":
            after = {name: p.detach().double() for name, p in model.named_parameters()}
            logits = predict(model, validation["en"], 6)
            seen.update(model=model, validation=validation, before=dict(before), after=after, logits=logits)
        return original(model, language, validation, halves, values, before, *rest)

    monkeypatch.setattr(module, "_after_second_stage", spy)
    values = run(tiny_config, tiny_assets, measure__path="true").values
    model = seen["model"]
    model.load_state_dict(seen["before"])
    start = predict(model, seen["validation"]["en"], 6)
    assert values["stage2.de.path_kl_en"] == pytest.approx(float(kl(start, seen["logits"])), rel=1e-3)
    model.double().eval()
    along = {name: seen["after"][name] - p.detach() for name, p in model.named_parameters()}
    quadratic = {}
    for language in ("en", "de"):
        total = 0.0
        for batch in first_rows(model, seen["validation"][language], 6):
            labels = batch.pop("labels")
            for row in range(len(labels)):
                for label in range(model.config.num_labels):
                    gradients, p = score(model, batch, row, label)
                    total += p * float(sum((g * along[name]).sum() for name, g in gradients.items())) ** 2 / 6
        quadratic[language] = total
    assert values["stage2.de.path_curvature"] == pytest.approx(quadratic["en"] / 2, rel=1e-4)
    assert values["stage2.de.path_curvature_target"] == pytest.approx(quadratic["de"] / 2, rel=1e-4)
    squared = sum(float(d.square().sum()) for d in along.values())
    padding = model.get_input_embeddings()
    count = sum(d.numel() for d in along.values()) - padding.embedding_dim * (padding.padding_idx is not None)
    expected = quadratic["en"] / squared / (values["fisher_trace"] / count)
    assert values["stage2.de.direction"] == pytest.approx(expected, rel=1e-3)
