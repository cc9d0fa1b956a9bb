"""The planned trials as a Tune searcher: grid trials spread over their arms, trials of slots as they are drawn."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher

from study.plan.planning import PlannedTrial
from study.store.records import TrialRecord
from study.store.storage_error import cause
from study.sweep.interruption import Interruption
from trainables.errors import InputError

if TYPE_CHECKING:
    from study.sweep.optuna_search import JointSearch


def spread(trials: Sequence[PlannedTrial]) -> list[PlannedTrial]:
    """The order in which trials run, so that a study that ends early has some of every arm, over the arm's whole range.

    It takes seed by seed one trial of each arm in turn, and an arm's points in van der Corput's order (1935), of which
    every initial segment covers the range. Slots stay in order, since an adaptive draw learns from earlier ones.
    ``trials`` is in plan order.
    """
    arms: dict[tuple[int, str], list[PlannedTrial]] = {}
    for trial in trials:
        arms.setdefault((trial.seed, trial.arm), []).append(trial)
    turns = [
        (seed, turn, trial)
        for (seed, _), points in arms.items()
        for turn, trial in enumerate(points if points[0].slot is not None else _van_der_corput(points))
    ]
    return [trial for _, _, trial in sorted(turns, key=lambda row: row[:2])]


def _van_der_corput(points: Sequence[PlannedTrial]) -> list[PlannedTrial]:
    digits = len(f"{len(points) - 1:b}")
    order = sorted(range(2**digits), key=lambda number: f"{number:0{digits}b}"[::-1])
    return [points[number] for number in order if number < len(points)]


@dataclass(eq=False)
class Queue(Searcher):  # type: ignore[misc]
    """Hands the planned trials to Tune, one after the other.

    Tune asks for trials in advance, so that one is waiting when resources become free. That is right for a grid; an
    adaptive draw waits until it can start, so that it takes into account every trial that has ended.

    Args:
        waiting: What to run, in this order.
        searches: Arm to its search, for arms with slots.
        concurrency: Trials at a time; None means as many as fit.
        capacity: How many trials fit at once.
        interruption: Ends the sweep when a draw cannot be used or stored.
    """

    waiting: deque[PlannedTrial]
    searches: Mapping[str, JointSearch]
    concurrency: int | None
    capacity: int
    interruption: Interruption

    def __post_init__(self) -> None:
        super().__init__()
        self._most_drawn = self.capacity if self.concurrency is None else min(self.concurrency, self.capacity)
        self._live: set[str] = set()
        self._handed: dict[str, PlannedTrial] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune pickles its searcher for a restore, which we never use."""
        return Searcher, ()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial, or None while no further trial may run; ``trial_id`` is Tune's own."""
        if not self.waiting or self.interruption.reason is not None:
            return str(Searcher.FINISHED)  # after a None, Tune would wait ten minutes
        trial = self.waiting[0]
        most = self.concurrency if trial.slot is None else self._most_drawn
        if most is not None and len(self._live) >= most:
            return None
        if trial.slot is not None:
            try:
                trial = replace(trial, config=self.searches[trial.arm].draw(trial))
            except (OSError, InputError) as error:
                self.interruption.request(f"what was drawn for {trial.label} cannot be kept or used: {cause(error)}")
                return str(Searcher.FINISHED)
        self.waiting.popleft()
        self._live.add(trial_id)
        self._handed[trial.trial_id] = trial
        return {"trial_id": trial.trial_id, "trial": trial.config.model_dump(mode="json")}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Free the place of a trial that ended."""
        self._live.discard(trial_id)

    def handed(self, trial_id: str) -> PlannedTrial:
        """The planned trial with this id, with the configuration that it runs with."""
        return self._handed[trial_id]

    def ended(self, record: TrialRecord) -> None:
        """Tell the search that drew a trial how it ended."""
        if (trial := self._handed[record.trial_id]).slot is not None:
            self.searches[trial.arm].ended(record)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Do nothing: the trial records are the only store."""
