"""The adaptive draws of a joint space: Optuna proposes each slot's configuration from the slots that have ended.

The sampler is Optuna's TPE with two objectives: it maximises English validation accuracy and minimises log10 Tr(F). It
exists only in memory, since trial records are the only store: a resumed study tells a new sampler the finished slots.
With one trial at a time, equal seeds give equal draws; with several at a time, a draw also depends on which trials
have ended before it, and so on the order in which they end.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from study.config import Arm
from study.plan.planning import PlannedTrial
from study.search_space import ACCURACY, TRACE, Choice, Distribution, Grid, Point, Uniform, Value
from study.store.records import TrialRecord
from trainables.config import TrialConfig
from trainables.config.dotted_paths import flatten, parse

STARTUP_TRIALS = 10
"""Slots drawn at random before outcomes are first modelled (Optuna's default); at most a third of all slots."""


class JointSearch:
    """The draws of one arm with slots.

    The seeds of a slot share its draw. Optuna is told about a slot when its last trial ends: the mean of each objective
    over the complete trials, or a failure if there are none.

    Args:
        rows: All planned trials of the arm.
        records: Trial id to record, for the trials that will not run again.
        run: Number of the run; a new sampler with the same seed would repeat the first draws of the previous run.
        on_draw: Receives the id and the configuration of each trial before it starts.
        draws: Trial id to what was drawn for it before, with which an interrupted trial continues.
    """

    def __init__(
        self,
        arm: Arm,
        base: TrialConfig,
        rows: Sequence[PlannedTrial],
        records: Mapping[str, TrialRecord],
        run: int,
        on_draw: Callable[[str, TrialConfig], None],
        draws: Mapping[str, TrialConfig] | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._arm = arm
        self._base = base
        self._on_draw = on_draw
        self._distributions = {path: _distribution(space) for path, space in arm.search.items()}
        self._slots = {row.trial_id: row.slot for row in rows}
        self._waiting: dict[int | None, set[str]] = {}
        for row in rows:
            self._waiting.setdefault(row.slot, set()).add(row.trial_id)
        self._ended: dict[int | None, list[TrialRecord]] = {slot: [] for slot in self._waiting}
        self._configs: dict[int | None, TrialConfig] = {}
        self._asked: dict[int | None, Any] = {}
        self._begun = {row.slot: draws[row.trial_id] for row in rows if draws and row.trial_id in draws}
        startup = max(1, min(STARTUP_TRIALS, len(self._waiting) // 3))
        self._study = optuna.create_study(
            directions=["maximize", "minimize"],
            sampler=optuna.samplers.TPESampler(
                n_startup_trials=startup, seed=sampler_seed(base.seed, arm.name, run), constant_liar=True
            ),
        )
        for row in rows:  # in plan order, so that what the sampler knows does not depend on file names
            if row.trial_id in records:
                self.ended(records[row.trial_id])

    def draw(self, trial: PlannedTrial) -> TrialConfig:
        """The draw of a starting trial's slot, with the trial's seed; InputError if the values cannot be combined."""
        if trial.slot not in self._configs:
            if (begun := self._begun.get(trial.slot)) is not None:
                self._study.enqueue_trial(self._params(begun))
            asked = self._study.ask(self._distributions)
            self._asked[trial.slot] = asked
            self._configs[trial.slot] = self._arm.at(self._base, self._arm.spread(asked.params))
        config = self._configs[trial.slot].model_copy(update={"seed": trial.seed})
        self._on_draw(trial.trial_id, config)
        return config

    def ended(self, record: TrialRecord) -> None:
        """Note that a trial has ended; if it is the last of its slot, tell Optuna."""
        slot = self._slots[record.trial_id]
        self._configs.setdefault(slot, parse(record.config))
        self._ended[slot].append(record)
        self._waiting[slot].discard(record.trial_id)
        if self._waiting[slot]:
            return
        values = objectives(self._ended[slot])
        state = TrialState.FAIL if values is None else TrialState.COMPLETE
        if (asked := self._asked.pop(slot, None)) is not None:
            self._study.tell(asked, values, state)
        else:
            params = self._params(self._configs[slot])
            self._study.add_trial(
                create_trial(state=state, values=values, params=params, distributions=self._distributions)
            )

    @property
    def told(self) -> list[tuple[str, Point, list[float] | None]]:
        """What Optuna knows of each slot, in its order: state, searched path to value, and objectives."""
        return [
            (trial.state.name, dict(trial.params), trial.values) for trial in self._study.get_trials(deepcopy=False)
        ]

    def _params(self, config: TrialConfig) -> Point:
        """The drawn values in a configuration, converted to the types of the distributions."""
        found = flatten(config)
        return {path: self._param(path, space, found[path]) for path, space in self._arm.search.items()}

    def _param(self, path: str, space: Distribution, value: Value) -> Value:
        if not isinstance(space, Choice):
            return float(value)  # type: ignore[arg-type]
        # The configuration has the field's type, the list perhaps another: 1 for 1.0, text for a number.
        return next(one for one in space.values if flatten(self._arm.at(self._base, {path: one}))[path] == value)


def objectives(records: Sequence[TrialRecord]) -> list[float] | None:
    """Mean English validation accuracy (fraction) and mean log10 Tr(F) of a slot, from the records of its seeds.

    The means are over the complete trials that have both. None if there are none; Optuna is then told of a failure,
    since it does not accept values that are not finite.
    """
    found = [
        (record.measurements[ACCURACY], math.log10(record.measurements[TRACE]))
        for record in records
        if record.state == "complete" and ACCURACY in record.measurements and record.measurements.get(TRACE, 0.0) > 0
    ]
    return [sum(values) / len(found) for values in zip(*found, strict=True)] if found else None


def sampler_seed(seed: int, arm: str, run: int) -> int:
    """The seed of one run's sampler, below 2**32 and different in every run."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{arm}/{run}".encode()).digest()[:4], "big")


def _distribution(space: Distribution) -> BaseDistribution:
    assert not isinstance(space, Grid), "an arm with slots refuses grids"
    if isinstance(space, Choice):
        return CategoricalDistribution(space.values)
    return FloatDistribution(space.low, space.high, log=not isinstance(space, Uniform))
