import math

import pytest
import torch

from tests.reference import fisher_trace_by_loop
from trainables import trial as module
from trainables.config import MeasureConfig
from trainables.config.dotted_paths import with_values
from trainables.curvature import fisher_trace
from trainables.curvature.rivals import RIVALS
from trainables.data.draw import draw_halves
from trainables.errors import Diverged
from trainables.measuring import flatness
from trainables.measuring.measurements import DEFINITIONS
from trainables.trial import fine_tune


def run(config, assets, **values):
    return fine_tune(
        with_values(config, {key.replace("__", "."): value for key, value in values.items()}),
        assets,
        lambda point: None,
    )


def test_every_number_of_the_table_is_there_finite_and_defined(tiny_config, tiny_assets):
    points = []
    found = fine_tune(with_values(tiny_config, {"measure.trace_languages": "de"}), tiny_assets, points.append)
    values = found.values
    assert points == found.curves
    assert all(math.isfinite(value) for value in values.values())
    generic = {name.replace("LANG", language) for name in DEFINITIONS for language in ("en", "de", "zh")}
    names = ("embeddings", "layer.0", "layer.1", "pooler", "classifier")
    layers, entries = ({f"fisher_trace_{what}.{name}" for name in names} for what in ("layers", "parameters"))
    assert set(values) <= generic | layers | entries
    assert layers | entries <= set(values)
    assert sum(values[name] for name in layers) == pytest.approx(values["fisher_trace"], rel=1e-9)
    for language in ("de", "zh"):
        gain = values[f"stage2.{language}.accuracy_after"] - values[f"stage2.{language}.accuracy_before"]
        assert values[f"stage2.{language}.gain"] == gain
        assert values[f"stage2.{language}.accuracy_before"] == values[f"accuracy.{language}"]
        assert values[f"stage2.{language}.distance"] > 0
    assert values["transfer_gap"] == pytest.approx(
        values["accuracy.en"] - (values["accuracy.de"] + values["accuracy.zh"]) / 2
    )
    assert values["generalization_gap"] == values["train_accuracy"] - values["accuracy.en"]
    assert values["fisher_trace_examples"] == values["fisher_trace_examples.train"] == 6
    assert (values["train_examples"], values["validation_examples"]) == (36, 12)
    assert not any(name.startswith("until.") for name in values)
    assert "fisher_trace.de" in values
    assert "fisher_trace.zh" not in values
    assert found.steps == 2 * 5 + 2 * 2


def test_the_same_trial_twice_is_bitwise_equal_and_another_seed_differs(tiny_config, tiny_assets):
    first, again, other = (run(tiny_config, tiny_assets, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.values["fisher_trace"] != other.values["fisher_trace"]


def test_the_global_generator_does_not_matter(tiny_config, tiny_assets):
    torch.manual_seed(1)
    first = run(tiny_config, tiny_assets)
    torch.manual_seed(2)
    assert run(tiny_config, tiny_assets) == first


def test_tr_f_is_the_definition_on_the_first_validation_rows(tiny_config, tiny_assets, monkeypatch):
    models = []
    original = module._after_first_stage

    def spy(model, train, validation, *rest):
        models.append((model, {name: p.detach().clone() for name, p in model.named_parameters()}, validation["en"]))
        return original(model, train, validation, *rest)

    monkeypatch.setattr(module, "_after_first_stage", spy)
    found = run(tiny_config, tiny_assets, data__languages="de,zh")
    model, state, english = models[0]
    model.load_state_dict(state, strict=False)
    expected = fisher_trace_by_loop(model, english.inputs(list(range(6)), torch.device("cpu")))
    assert found.values["fisher_trace"] == pytest.approx(float(expected.mean()), rel=1e-4)


def test_without_a_second_stage_its_columns_are_absent(tiny_config, tiny_assets):
    config = with_values(tiny_config, {"data.stage2_examples": 0})
    assets = type(tiny_assets).resolve([config])
    values = run(config, assets).values
    assert not [name for name in values if name.startswith("stage2.")]
    assert "accuracy.zh" in values


def test_each_language_starts_from_the_english_weights(tiny_config, tiny_assets):
    both = run(tiny_config, tiny_assets).values
    config = with_values(tiny_config, {"data.languages": "zh"})
    alone = run(config, type(tiny_assets).resolve([config])).values
    shared = {name for name in alone if ".zh" in name}
    assert {name: both[name] for name in shared} == {name: alone[name] for name in shared}


def test_the_trace_through_training_starts_untrained_and_ends_at_the_measured_one(tiny_config, tiny_assets):
    found = run(tiny_config, tiny_assets, measure__trace_every=4)
    points = [point for point in found.curves if point.name == "fisher_trace"]
    assert [(point.step, point.epoch) for point in points] == [(0, 0.0), (4, 0.8), (8, 1.6), (10, 2.0)]
    assert all(point.standard_error > 0 for point in points)
    assert points[-1].value == found.values["fisher_trace"]
    assert points[-1].standard_error == found.values["fisher_trace_se"]
    assert (found.values["fisher_trace_peak"], found.values["fisher_trace_peak_step"]) == (points[1].value, 4)


WATCHED = {"measure__trace_every": 3, "measure__expansion__every": 2, "measure__expansion__draws": 2}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "stages__0__consistency__weight": 0.5,
            "stages__0__penalties__fisher__weight": 0.1,
            "stages__0__accumulation": 2,
            "stages__0__selection": "best_english",
        },
    ],
)
def test_watching_is_reproducible_and_leaves_every_other_number_bit_for_bit(tiny_config, tiny_assets, values):
    plain = run(tiny_config, tiny_assets, measure__rivals="", **values)
    watched, again = (run(tiny_config, tiny_assets, **WATCHED, **values) for _ in range(2))
    assert watched == again
    added = set(watched.values) - set(plain.values)
    assert added == {
        *(f"measure.{name}" for name in MeasureConfig().rivals),
        *("fisher_trace_peak", "fisher_trace_peak_step"),
        *("expansion.trace", "expansion.quadratic", "expansion.quadratic_se"),
    }
    assert {name: watched.values[name] for name in plain.values} == plain.values
    assert [point for point in watched.curves if point.name not in ("fisher_trace", "kl_ratio")] == plain.curves
    ratios = [point for point in watched.curves if point.name == "kl_ratio"]
    assert sorted({point.step for point in ratios}) == [0, 2, 4, 6, 8, 10]


def test_every_rival_can_be_named_and_is_finite(tiny_config, tiny_assets):
    values = run(tiny_config, tiny_assets, measure__rivals=",".join(RIVALS)).values
    assert [name for name in values if name.startswith("measure.")] == [f"measure.{name}" for name in RIVALS]
    assert values["measure.effective_rank"] >= 1
    assert values["measure.lambda_max"] <= values["fisher_trace"]


def test_the_named_rivals_are_measured_those_with_labels_on_the_first_training_rows(
    tiny_config, tiny_assets, monkeypatch
):
    seen = []
    monkeypatch.setitem(RIVALS, "margin", lambda trained: float(seen.append(trained) or 1.0))
    values = run(tiny_config, tiny_assets, measure__rivals="margin,label_variance").values
    assert [name for name in values if name.startswith("measure.")] == ["measure.label_variance", "measure.margin"]
    (trained,) = seen
    labels = [label for batch in trained.train for label in batch["labels"].tolist()]
    assert sorted(labels) == sorted(tiny_assets.rows(tiny_config).train.labels[:6])
    assert len(trained.validation_logits) == len(tiny_assets.rows(tiny_config).validation["en"].labels)


def test_the_fisher_penalty_reports_its_weight_in_trace_units(tiny_config, tiny_assets):
    values = run(tiny_config, tiny_assets, stages__0__penalties__fisher__weight=0.8).values
    assert values["weight_in_trace_units"] == pytest.approx(0.1)
    assert values["penalty.fisher"] > 0


@pytest.mark.parametrize(
    "values",
    [
        {"stages__0__consistency__weight": 0.5},
        {"stages__0__consistency__weight": 0.5, "stages__0__consistency__dropout": "off"},
        {"stages__0__noise__kind": "embedding_gaussian", "stages__0__noise__strength": 0.1},
        {"stages__0__penalties__l2__weight": 0.01},
        {"model__dropout__hidden": 0.3, "model__dropout__attention": 0.3},
        {"stages__0__label_smoothing": 0.1},
        {"stages__0__accumulation": 2},
        {"stages__0__clip": 0.001},
    ],
)
def test_every_arm_trains_and_differs_from_the_baseline(tiny_config, tiny_assets, values):
    assert run(tiny_config, tiny_assets, **values).values["nll.en"] != run(tiny_config, tiny_assets).values["nll.en"]


def test_best_english_keeps_the_best_epoch(tiny_config, tiny_assets):
    found = run(tiny_config, tiny_assets, stages__0__selection="best_english", stages__0__epochs=4)
    best = max(point.value for point in found.curves if point.name == "accuracy.en")
    assert found.values["accuracy.en"] == best


def test_a_run_away_learning_rate_is_diverged_with_the_step(tiny_config, tiny_assets):
    with pytest.raises(Diverged, match=r"(loss|gradient) is .* at stage 0.en, step \d+"):
        run(tiny_config, tiny_assets, stages__0__optimizer__learning_rate=1e30)


def test_a_rival_that_is_not_finite_is_diverged_by_name(tiny_config, tiny_assets, monkeypatch):
    monkeypatch.setitem(RIVALS, "sharpness", lambda trained: math.nan)
    with pytest.raises(Diverged, match="measure.sharpness is nan"):
        run(tiny_config, tiny_assets)


def test_twins_are_measured_and_change_nothing_else(tiny_config, tiny_assets):
    plain = run(tiny_config, tiny_assets)
    values = run(tiny_config, tiny_assets, measure__twins="-1,2").values
    found = {name: value for name, value in values.items() if name.startswith("twin.")}
    assert {name: value for name, value in values.items() if name not in found} == plain.values
    names = ("logit_change", "fisher_trace", *MeasureConfig().rivals)
    assert set(found) == {f"twin.{exponent}.{name}" for exponent in (-1, 2) for name in names}
    for exponent in (-1, 2):
        assert found[f"twin.{exponent}.logit_change"] == 0
        assert found[f"twin.{exponent}.margin"] == values["measure.margin"]
        assert found[f"twin.{exponent}.label_variance"] == values["measure.label_variance"]
        assert found[f"twin.{exponent}.fisher_trace"] != values["fisher_trace"]


def test_a_second_stage_is_measured_on_two_halves_that_make_the_whole(tiny_config, tiny_assets):
    values = run(tiny_config, tiny_assets).values
    halves = draw_halves(tiny_assets.rows(tiny_config).validation["en"].first, tiny_config.data.seed)
    sizes = [len(half) for half in halves]
    assert min(sizes) > 0
    for language in ("de", "zh"):
        for name in ("accuracy_before", "gain"):
            parts = [values[f"stage2.{language}.half{number}.{name}"] for number in (1, 2)]
            mean = sum(size * part for size, part in zip(sizes, parts, strict=True)) / sum(sizes)
            assert mean == pytest.approx(values[f"stage2.{language}.{name}"], abs=1e-12)


def test_tr_f_is_summarised_over_examples_as_a_loop_finds_it(tiny_config, tiny_assets, monkeypatch):
    kept = {}

    def measured(model, batches):
        batches = list(batches)
        found = fisher_trace(model, batches)
        rows = torch.cat([fisher_trace_by_loop(model, batch) for batch in batches])
        kept.setdefault("rows", sorted(rows.tolist()))
        return found

    monkeypatch.setattr(flatness, "fisher_trace", measured)
    values = run(tiny_config, tiny_assets, measure__trace_train=False).values
    rows = kept["rows"]
    assert len(rows) == 6
    assert values["fisher_trace_median"] == pytest.approx((rows[2] + rows[3]) / 2, rel=1e-4)
    assert values["fisher_trace_q05"] == pytest.approx(rows[0] + 0.25 * (rows[1] - rows[0]), rel=1e-4)
    assert values["fisher_trace_q95"] == pytest.approx(rows[4] + 0.75 * (rows[5] - rows[4]), rel=1e-4)
    assert values["fisher_trace_top1"] == values["fisher_trace_top5"] == pytest.approx(rows[-1] / sum(rows), rel=1e-4)


@pytest.mark.parametrize(("nll", "reached"), [(1e-9, False), (5.0, True)])
def test_a_trial_that_ends_at_a_training_loss_is_measured_where_it_ended(tiny_config, tiny_assets, nll, reached):
    config = with_values(
        tiny_config,
        {
            "stages.0.until.train_nll": nll, "stages.0.until.max_epochs": 3, "stages.0.until.every": 4,
            "stages.0.until.examples": 10, "measure.trace_every": 4,
        },
    )  # fmt: skip
    found = fine_tune(config, tiny_assets, lambda point: None)
    steps = 4 if reached else 15
    assert found.values["until.steps"] == steps
    assert (found.values["until.train_nll"] < nll) is reached
    traced = [point.step for point in found.curves if point.name == "fisher_trace"]
    assert traced == ([0, 4] if reached else [0, 4, 8, 12, 15])
    assert found.steps == steps + 2 * 2
