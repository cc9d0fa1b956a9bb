"""Adaptive draws without Ray: asking, telling, and what a fresh sampler is told of finished slots."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from study.config import Arm, StudyConfig
from study.plan.planning import PlannedTrial, plan
from study.search_space import Choice, LogUniform, Uniform
from study.store.records import TrialRecord
from study.sweep.optuna_search import JointSearch, objectives, sampler_seed
from trainables.config import TrialConfig
from trainables.config.dotted_paths import flatten

L2, HIDDEN, ATTENTION = "stages.0.penalties.l2.weight", "model.dropout.hidden", "model.dropout.attention"
WARMUP = "stages.0.optimizer.warmup"
ARM = Arm(
    name="search",
    search={
        L2: LogUniform(low=1e-6, high=1.0),
        HIDDEN: Uniform(low=0.0, high=0.5, also=(ATTENTION,)),
        WARMUP: Choice(values=(0, "0.1")),
    },
    slots=40,
)
Make = Callable[..., TrialRecord]


class Session:
    """One run of the arm, one trial at a time."""

    def __init__(
        self,
        make_record: Make,
        run: int = 1,
        seeds: int = 1,
        records: dict[str, TrialRecord] | None = None,
        draws: dict[str, TrialConfig] | None = None,
    ) -> None:
        study = StudyConfig(name="s", seeds=seeds, arms=(ARM,))
        self.rows = plan(study, lambda config: ("model", "data"))
        self.make_record = make_record
        self.records = dict(records or {})
        self.drawn: dict[str, TrialConfig] = {}
        self.search = JointSearch(ARM, study.base, self.rows, self.records, run, self.drawn.__setitem__, draws)

    def run(self, row: PlannedTrial, state: str = "complete") -> TrialConfig:
        config = self.search.draw(row)
        self.end(row, config, state)
        return config

    def end(self, row: PlannedTrial, config: TrialConfig, state: str = "complete", **changes: object) -> None:
        values = flatten(config)
        # The best is a small L2 weight, in both objectives.
        found = {"accuracy.en": 0.5 - 0.05 * math.log10(values[L2]), "fisher_trace": values[L2] + values[HIDDEN] + 0.01}
        fields: dict[str, object] = {
            "state": state, "config": config.model_dump(mode="json"),
            "measurements": found if state == "complete" else {},
        }  # fmt: skip
        record = self.make_record(row, **(fields | changes))
        self.records[row.trial_id] = record
        self.search.ended(record)


def test_a_draw_lies_in_the_space_and_is_handed_out(make_record: Make) -> None:
    session = Session(make_record)
    for row in session.rows:
        config = session.run(row)
        values = flatten(config)
        assert 1e-6 <= values[L2] <= 1.0
        assert 0.0 <= values[HIDDEN] <= 0.5
        assert values[ATTENTION] == values[HIDDEN]
        assert values[WARMUP] in (0.0, 0.1)
        assert values["seed"] == row.seed
        assert session.drawn[row.trial_id] == config
    assert len({flatten(config)[L2] for config in session.drawn.values()}) == 40


def test_equal_seeds_draw_equally_one_at_a_time(make_record: Make) -> None:
    draws = [[s.run(row) for row in s.rows[:20]] for s in (Session(make_record), Session(make_record))]
    assert draws[0] == draws[1]
    assert sampler_seed(0, "search", 1) == sampler_seed(0, "search", 1)
    assert len({sampler_seed(*key) for key in [(0, "search", 1), (1, "search", 1), (0, "a", 1), (0, "search", 2)]}) == 4


def test_draws_follow_the_outcomes(make_record: Make) -> None:
    session = Session(make_record)
    weights = [math.log10(flatten(session.run(row))[L2]) for row in session.rows]
    # Random draws have mean -3 and standard deviation 6 / sqrt(12 n), 0.4 over 20; three of them below.
    assert sum(weights[20:]) / 20 < -3 - 3 * 0.4


def test_optuna_is_told_both_objectives_and_failures(make_record: Make) -> None:
    session = Session(make_record)
    first = session.run(session.rows[0])
    session.run(session.rows[1], "failed")
    session.run(session.rows[2], "diverged")
    config = session.search.draw(session.rows[3])
    session.end(session.rows[3], config, measurements={"accuracy.en": 0.5, "fisher_trace": 0.0})
    told = session.search.told
    assert [state for state, _, _ in told] == ["COMPLETE", "FAIL", "FAIL", "FAIL"]
    assert told[0][1][L2] == flatten(first)[L2]
    assert told[0][2] == objectives([session.records[session.rows[0].trial_id]])
    assert [values for _, _, values in told[1:]] == [None] * 3


def test_objectives_are_accuracy_and_the_logarithm_of_the_trace(make_record: Make) -> None:
    row = Session(make_record).rows[0]

    def record(**measurements: float) -> TrialRecord:
        named = {name.replace("_en", ".en"): value for name, value in measurements.items()}
        return make_record(row, measurements=named)

    both = [record(accuracy_en=0.6, fisher_trace=100.0), record(accuracy_en=0.8, fisher_trace=0.1)]
    assert objectives(both) == pytest.approx([0.7, 0.5], abs=1e-12)
    assert objectives([record(accuracy_en=0.6)]) is None
    assert objectives([]) is None


def test_a_fresh_sampler_is_told_what_finished_and_does_not_repeat_itself(make_record: Make) -> None:
    before = Session(make_record)
    states = ["complete", "failed", "diverged", "complete"]
    for row, state in zip(before.rows, states, strict=False):
        before.run(row, state)
    lost = before.search.draw(before.rows[4])
    after = Session(make_record, run=2, records=before.records)
    assert after.search.told == before.search.told[:4]
    again = after.search.draw(after.rows[4])
    assert again != lost
    assert flatten(again)[L2] not in {flatten(config)[L2] for config in before.drawn.values()}


def test_an_interrupted_slot_goes_on_with_its_draw(make_record: Make) -> None:
    before = Session(make_record)
    for row in before.rows[:4]:
        before.run(row)
    begun = before.search.draw(before.rows[4])
    after = Session(make_record, run=2, records=before.records, draws={before.rows[4].trial_id: begun})
    assert after.search.draw(after.rows[4]) == begun
    assert after.search.told[4][:2] == ("RUNNING", before.search.told[4][1])
    assert after.search.draw(after.rows[5]) != begun


def test_what_a_fresh_sampler_was_told_guides_it(make_record: Make) -> None:
    before = Session(make_record)
    for row in before.rows[:20]:
        before.run(row)
    after = Session(make_record, run=2, records=before.records)
    weights = [math.log10(flatten(after.run(row))[L2]) for row in after.rows[20:]]
    assert sum(weights) / 20 < -3 - 3 * 0.4


def test_the_seeds_of_a_slot_share_its_draw(make_record: Make) -> None:
    session = Session(make_record, seeds=2)
    first, second = session.rows[:2]
    one = session.run(first)
    assert session.search.told[0][0] == "RUNNING"
    other = session.run(second)
    assert one.model_copy(update={"seed": 1}) == other
    assert session.search.told[0][0] == "COMPLETE"
    assert session.run(session.rows[2]) != one


def test_a_slot_with_a_finished_seed_keeps_its_draw(make_record: Make) -> None:
    before = Session(make_record, seeds=2)
    first = before.run(before.rows[0])
    after = Session(make_record, run=2, seeds=2, records=before.records)
    assert after.search.told == []
    assert after.run(after.rows[1]) == first.model_copy(update={"seed": 1})
    (state, params, values) = after.search.told[0]
    assert state == "COMPLETE"
    assert params[L2] == flatten(first)[L2]
    assert values is not None
