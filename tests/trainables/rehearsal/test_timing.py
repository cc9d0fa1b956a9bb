"""The work in a trial against the same trial watched while it runs; costs with made-up clocks, and really measured."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch

from trainables import trial as fine_tune
from trainables.assets import Assets
from trainables.config import OptimizerConfig
from trainables.config.dotted_paths import with_values
from trainables.data.contract import Rows
from trainables.measuring import evaluation, flatness, held_out, stage_path, trajectory
from trainables.rehearsal import stopwatch, timed_work
from trainables.rehearsal.stopwatch import Stopwatch
from trainables.rehearsal.timing import estimate, seconds, work
from trainables.training.gradient import StageGradient
from trainables.training.micro_batch import MicroBatch

SUFFIXES = {"en": "de", "o": "es", "的": "zh"}


def language_of(examples) -> str:
    """The languages of the tiny data differ in the ends of their words."""
    word = examples.rows.first[0].split()[0]
    return next((language for suffix, language in SUFFIXES.items() if word.endswith(suffix)), "en")


def watched(config, assets, monkeypatch) -> Counter[str]:
    """Run a trial and count what it does, kind by kind; examples of Tr(F) and of paths without their language."""
    found: Counter[str] = Counter()
    predict, trace, expand = evaluation.predict, flatness.fisher_trace, trajectory.kl_expansion
    init, build, examples, rivals = MicroBatch.__init__, fine_tune.build_model, fine_tune.Examples, flatness.rivals
    displacement = stage_path.displacement

    def step(self, model, some, indices, *rest):
        kind = rest[2]
        found[f"train.{kind}"] += len(indices)
        init(self, model, some, indices, *rest)

    def predicted(model, some, limit=None, dtype=torch.float32):
        found[f"evaluate.{language_of(some)}"] += len(some.labels[:limit])
        return predict(model, some, limit, dtype)

    def traced(model, batches):
        batches = list(batches)
        found["trace"] += sum(len(batch["labels"]) for batch in batches)
        return trace(model, batches)

    def expanded(model, batches, sigmas, draws, generator):
        batches = list(batches)
        found["expansion"] += draws * sum(len(batch["labels"]) for batch in batches)
        return expand(model, batches, sigmas, draws, generator=generator)

    def encoded(rows, *rest):
        found["encode"] += len(rows)
        return examples(rows, *rest)

    def judged(trained, config):
        found["rivals"] += sum(len(batch["labels"]) for batch in trained.train)
        return rivals(trained, config)

    def displaced(model, before, batches):
        batches = list(batches)
        found["path"] += sum(len(batch["labels"]) for batch in batches)
        return displacement(model, before, batches)

    def built(*args):
        found["build"] += 1
        return build(*args)

    with monkeypatch.context() as patch:
        patch.setattr(MicroBatch, "__init__", step)
        patch.setattr(evaluation, "predict", predicted)
        patch.setattr(fine_tune, "predict", predicted)
        patch.setattr(flatness, "predict", predicted)
        patch.setattr(flatness, "fisher_trace", traced)
        patch.setattr(trajectory, "fisher_trace", traced)
        patch.setattr(trajectory, "kl_expansion", expanded)
        patch.setattr(fine_tune, "Examples", encoded)
        patch.setattr(held_out, "predict", predicted)
        patch.setattr(held_out, "Examples", encoded)
        patch.setattr(stage_path, "predict", predicted)
        patch.setattr(stage_path, "displacement", displaced)
        patch.setattr(fine_tune, "rivals", judged)
        patch.setattr(flatness, "rivals", judged)
        patch.setattr(fine_tune, "build_model", built)
        fine_tune.fine_tune(config, assets, lambda point: None)
    return found


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"data.stage2_examples": 0, "measure.trace_train": False},
        {"model.lora.rank": 2, "data.stage2_examples": 0},
        {"measure.twins": "-1,2", "data.stage2_examples": 0},
        {"stages.0.selection": "average", "stages.0.runs": 2, "stages.1.runs": 2, "measure.accuracy_every": 2},
        {"measure.path": True, "measure.path_points": 3, "measure.trace_examples": 5},
        {"measure.path": True, "data.stage2_examples": 0},
        {"measure.trace_every": 4, "measure.trace_languages": "zh", "stages.1.selection": "best_english"},
        {"measure.trace_every": 5, "measure.trace_examples": 1000, "stages.0.accumulation": 2},
        {"measure.expansion.draws": 2, "measure.expansion.every": 3, "measure.expansion.examples": 4},
        {"measure.expansion.draws": 1, "measure.expansion.every": 10, "stages.0.batch_size": 7},
        {"measure.expansion.draws": 1, "measure.expansion.examples": 1000, "stages.0.epochs": 1},
    ],
)
def test_the_work_is_what_a_trial_does(tiny_config, monkeypatch, values):
    config = with_values(tiny_config, values)
    assets = Assets.resolve([config])
    amounts = work(config, assets.rows(config))
    counted: Counter[str] = Counter()
    for kind, amount in amounts.items():
        name = kind.partition(".")[0]
        counted[name if name in ("trace", "path") else kind] += amount
    assert counted == watched(config, assets, monkeypatch)


def test_tr_f_is_counted_by_language(tiny_config, tiny_assets):
    config = with_values(tiny_config, {"measure.trace_languages": "zh"})
    amounts = work(config, tiny_assets.rows(config))
    assert {kind: amount for kind, amount in amounts.items() if kind.startswith("trace.")} == {
        "trace.en": 6 + 6,
        "trace.zh": 6,
    }


def test_the_merged_weights_are_timed_apart(tiny_config, monkeypatch):
    config = with_values(tiny_config, {"model.lora.rank": 2})
    assets = Assets.resolve([config])
    counted, trace = [], timed_work.fisher_trace
    monkeypatch.setattr(
        timed_work,
        "fisher_trace",
        lambda model, *rest: counted.append(all(p.requires_grad for p in model.parameters())) or trace(model, *rest),
    )
    assert work(config, assets.rows(config))["trace.merged.en"] == 6
    watch = Stopwatch(assets)
    assert watch.cost(config, "trace.en") > 0
    assert not any(counted)
    counted.clear()
    assert watch.cost(config, "trace.merged.en") > 0
    assert counted
    assert all(counted)


def test_without_rivals_none_are_counted(tiny_config, tiny_assets):
    config = tiny_config.model_copy(update={"measure": tiny_config.measure.model_copy(update={"rivals": ()})})
    assert "rivals" not in work(config, tiny_assets.rows(config))


def test_seconds_are_amounts_times_costs():
    amounts = {"build": 1, "train.0.en": 72, "evaluate.en": 48}
    costs = {"build": 2.5, "train.0.en": 0.25, "evaluate.en": 0.125}
    assert seconds(amounts, costs) == 2.5 + 18 + 6


@pytest.fixture
def clock(monkeypatch):
    """Steps that take 3 s an example with a Fisher penalty and 1 s without; the sizes that were measured."""
    sizes: list[int] = []

    def step(settings, dtype):
        def run(model, examples):
            sizes.append(len(examples))
            fisher = settings.penalties.fisher
            assert fisher is None or fisher.every == 1
            return (1.0 if fisher is None else 3.0) * len(examples)

        return run

    monkeypatch.setattr(stopwatch, "optimizer_step", step)
    return sizes


def test_a_slow_step_is_measured_on_few_rows_and_a_fast_one_on_its_batch(tiny_config, tiny_assets, clock, monkeypatch):
    assert Stopwatch(tiny_assets).cost(tiny_config, "train.0.en") == 1.0
    assert clock == [1, 4]
    clock.clear()
    monkeypatch.setattr(stopwatch, "PATIENCE", math.inf)
    assert Stopwatch(tiny_assets).cost(tiny_config, "train.0.en") == 1.0
    assert clock == [1, 4, 8]
    clock.clear()
    large = with_values(tiny_config, {"stages.1.batch_size": 1000})
    assert Stopwatch(tiny_assets).cost(large, "train.1.de") == 1.0
    assert clock == [1, 4, 12]  # the second stage has twelve rows


def test_what_a_batch_takes_beside_its_rows_is_shared_by_all_of_them(tiny_config, tiny_assets, monkeypatch):
    """Where the whole batch takes too long: 6 s a step and 1 s a row."""
    sizes = []

    def step(settings, dtype):
        return lambda model, examples: sizes.append(len(examples)) or 6.0 + len(examples)

    monkeypatch.setattr(stopwatch, "optimizer_step", step)
    assert Stopwatch(tiny_assets).cost(tiny_config, "train.0.en") == (6 + 8) / 8
    assert sizes == [1, 4]


def test_languages_are_measured_once_and_differ_by_their_lengths(tiny_config, tiny_assets, monkeypatch):
    """Rows of 5 and of 9 pieces, three special tokens among them."""
    seen = []
    monkeypatch.setattr(stopwatch, "predictions", lambda dtype: lambda model, some: seen.append(some) or len(some) / 4)
    rows = {
        language: Rows([" ".join(["red"] * words)] * 4, ["dog"] * 4, [0, 1] * 2)
        for language, words in (("en", 1), ("de", 5))
    }
    data = replace(tiny_assets.rows(tiny_config), validation=rows)
    watch = Stopwatch(replace(tiny_assets, data={key: data for key in tiny_assets.data}))
    assert [watch.cost(tiny_config, f"evaluate.{language}") for language in rows] == pytest.approx([0.25, 0.25 * 9 / 5])
    # No rate of dropout acts in evaluation mode.
    assert watch.cost(with_values(tiny_config, {"model.dropout.hidden": 0.2}), "evaluate.en") == 0.25
    assert [language_of(some) for some in seen] == ["en"] * 2
    assert {len(example) for some in seen for example in some.encoded} == {5}


def test_a_penalty_of_every_fourth_step_costs_a_quarter(tiny_config, tiny_assets, clock):
    config = with_values(tiny_config, {"stages.0.penalties.fisher.every": 4})
    assert Stopwatch(tiny_assets).cost(config, "train.0.en") == (3 + 3 * 1) / 4
    config = with_values(tiny_config, {"stages.0.penalties.fisher.weight": 0.1})
    assert Stopwatch(tiny_assets).cost(config, "train.0.en") == 3


def test_a_mixed_batch_is_taken_through_all_lengths_and_a_sorted_one_from_the_middle(
    tiny_config, tiny_assets, monkeypatch
):
    """Rows of 5 to 16 pieces, longest first: a word each and three special tokens."""
    chosen = []

    def look(model, examples):
        chosen.append(sorted(len(example) for example in examples.encoded))
        return 0.0

    monkeypatch.setattr(stopwatch, "predictions", lambda dtype: look)
    monkeypatch.setattr(stopwatch, "optimizer_step", lambda settings, dtype: look)
    rows = Rows([" ".join(["red"] * words) for words in range(12, 0, -1)], ["dog"] * 12, [0, 1] * 6)
    data = replace(tiny_assets.rows(tiny_config), train=rows, validation={"en": rows})
    watch = Stopwatch(replace(tiny_assets, data={key: data for key in tiny_assets.data}))
    watch.cost(tiny_config, "evaluate.en")
    assert chosen == [[10], [9, 10, 11, 12], list(range(5, 17))]
    chosen.clear()
    watch.cost(tiny_config, "train.0.en")
    assert chosen == [[11], [6, 9, 12, 15], [5, 7, 8, 10, 11, 13, 14, 16]]


def test_arms_share_what_their_regulariser_does_not_change(tiny_config, tiny_assets, clock):
    other = with_values(tiny_config, {"stages.0.penalties.l2.weight": 0.1})
    kinds = work(tiny_config, tiny_assets.rows(tiny_config))
    watch = Stopwatch(tiny_assets)
    for kind in kinds:
        watch.cost(tiny_config, kind)
    before = set(watch._costs)
    for kind in kinds:
        watch.cost(other, kind)
    assert [key.split()[0] for key in set(watch._costs) - before] == ["train"]


def test_an_estimate_measures_an_arm_at_its_last_configuration_and_counts_each(tiny_config, tiny_assets, monkeypatch):
    measured = []
    monkeypatch.setattr(Stopwatch, "cost", lambda self, config, kind: measured.append((config, kind)) or 0.5)
    longer = with_values(tiny_config, {"stages.0.epochs": 5})
    traced = with_values(tiny_config, {"measure.trace_languages": "zh"})
    names = []
    found = estimate({"plain": [tiny_config], "grid": [traced, longer]}, tiny_assets, 1, names.append)
    assert names == ["plain", "grid"]
    counts = {name: sum(work(c, tiny_assets.rows(c)).values()) for name, c in (("a", tiny_config), ("b", traced))}
    assert found["plain"] == [0.5 * counts["a"]]
    assert found["grid"] == [0.5 * counts["b"], 0.5 * (counts["a"] + 3 * (36 + 12))]
    # What only another configuration of the arm does is measured there.
    assert {kind for config, kind in measured if config is traced} == {"trace.zh"}
    assert {kind for config, kind in measured if config is longer} == set(work(longer, tiny_assets.rows(longer)))


def test_an_estimate_of_real_steps_leaves_no_trace(tiny_config, tiny_assets):
    arms = {
        "baseline": [tiny_config],
        "all": [
            with_values(
                tiny_config,
                {
                    "stages.0.accumulation": 2,
                    "stages.0.consistency.weight": 1,
                    "stages.0.penalties.fisher.every": 2,
                    "stages.0.selection": "best_english",
                    "stages.1.optimizer.warmup": 0.1,
                    "measure.expansion.draws": 2,
                    "model.dropout.hidden": 0.2,
                },
            )
        ],
    }
    before, state, used = torch.get_num_threads(), torch.get_rng_state(), []
    torch.set_num_threads(2)
    try:
        found = estimate(arms, tiny_assets, 1, lambda arm: used.append(torch.get_num_threads()))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert used == [1, 1]
    assert torch.equal(torch.get_rng_state(), state)
    assert {arm: len(seconds) for arm, seconds in found.items()} == {"baseline": 1, "all": 1}
    assert all(math.isfinite(one) and one > 0 for seconds in found.values() for one in seconds)


@pytest.mark.parametrize("optimizer", [{}, {"sam_rho": 1e-9}, {"tram_sigma": 1e-9}])
def test_a_measured_step_is_the_loops_own_and_does_not_move_the_weights(build, monkeypatch, optimizer):
    config, model, examples = build()
    stage = config.stages[0].model_copy(update={"optimizer": OptimizerConfig(**optimizer)})
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    indices = []
    original = StageGradient.accumulate
    monkeypatch.setattr(
        StageGradient, "accumulate", lambda *args, **rule: indices.append(args[2]) or original(*args, **rule)
    )
    assert timed_work.optimizer_step(timed_work.measured_stage(stage), torch.float32)(model, examples) > 0
    assert indices == ([0, 0, 1, 1] if optimizer else [0, 1])
    assert all(torch.allclose(p, before[name], atol=1e-10) for name, p in model.named_parameters())
