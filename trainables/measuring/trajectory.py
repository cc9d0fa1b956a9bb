"""Curves along the English stage: Tr(F) and equation 1 before the first step, during the stage, and at its end.

A measurement leaves weights, gradients and random generators as they were, so that the training, and every number
measured elsewhere, is the same bit for bit whether or not anything is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from transformers import PreTrainedModel

from trainables.config import ENGLISH, TrialConfig
from trainables.curvature import fisher_trace, kl_expansion
from trainables.examples import Examples
from trainables.measuring.evaluation import first_rows
from trainables.measuring.measurements import CurvePoint
from trainables.seeding import Streams

Report = Callable[[CurvePoint], None]


@dataclass
class Trajectory:
    """Measures along stage 0, as requested by ``measure.trace_every`` and ``measure.expansion``.

    Attributes:
        english: English validation examples.
        train_examples: Training examples of stage 0.
        before: Points that were measured before the trial was interrupted and resumed.
    """

    model: PreTrainedModel
    english: Examples
    config: TrialConfig
    streams: Streams
    train_examples: int
    report: Report
    before: Iterable[CurvePoint] = ()

    def __post_init__(self) -> None:
        self._measure, stage = self.config.measure, self.config.stages[0]
        self._steps_per_epoch = math.ceil(self.train_examples / stage.batch_size)
        self._steps = self._steps_per_epoch * stage.longest
        self._traces = {point.step: point.value for point in self.before if point.name == "fisher_trace"}

    def measure(self, step: int) -> None:
        """Measure what is due after some steps; :meth:`finish` handles the end, as stage 0 may keep earlier weights."""
        if step == self._steps:
            return
        every = self._measure.trace_every
        if every is not None and step % every == 0:
            rows = first_rows(self.model, self.english, self._measure.trace_examples)
            found = fisher_trace(self.model, rows, **self._measure.trace_options())
            self._trace(step, found.value, found.standard_error if found.num_examples > 1 else None)
        expansion = self._measure.expansion
        if expansion is not None and (step == 0 or (expansion.every is not None and step % expansion.every == 0)):
            self._expand(step)

    def finish(self, steps: int, values: Mapping[str, float]) -> dict[str, float]:
        """The last points, for the weights that stage 0 keeps, and summaries of the curves.

        Args:
            steps: Optimiser steps of stage 0.
            values: The trial's measurements after stage 0; ``fisher_trace`` is the last point of its curve.

        Returns:
            ``fisher_trace_peak``, absent where no step of the early phase was measured, and ``expansion.*``.
        """
        found: dict[str, float] = {}
        self._steps = steps
        if self._measure.trace_every is not None:
            self._trace(self._steps, values["fisher_trace"], values.get("fisher_trace_se"))
            found |= self._peak()
        if self._measure.expansion is not None:
            found |= self._expand(self._steps)
        return found

    def _peak(self) -> dict[str, float]:
        """The largest Tr(F) of the early phase, and where it is."""
        # Jastrzebski et al. (2021) take Tr(F) early in training, where the loss crosses a threshold that depends on the
        # task; the early phase here is the first half of the steps. Step 0 is left out: it reflects how the head was
        # drawn, is the same in most arms, and would hide every peak below it.
        early = {step: value for step, value in self._traces.items() if 0 < step <= self._steps / 2}
        if not early:
            return {}
        step = max(early, key=early.__getitem__)
        return {"fisher_trace_peak": early[step], "fisher_trace_peak_step": step}

    def _expand(self, step: int) -> dict[str, float]:
        """Equation 1 at one step: points ``kl_ratio`` over sigma; the quadratic forms and the exact trace."""
        settings = self._measure.expansion
        assert settings is not None
        rows = first_rows(self.model, self.english, settings.examples)
        generator = self.streams.generator("directions", f"0.{ENGLISH}", step)
        found = kl_expansion(self.model, rows, settings.sigmas, settings.draws, generator=generator)
        for sigma, mean, error in zip(found.sigmas, found.ratio_mean, found.ratio_standard_error, strict=True):
            if math.isfinite(mean):  # there is no ratio to a quadratic form of 0: certain predictions have no curvature
                self._point(step, "kl_ratio", mean, sigma, error if settings.draws > 1 else None)
        values = {"expansion.trace": found.trace.value, "expansion.quadratic": found.quadratic_mean}
        if settings.draws > 1:
            values["expansion.quadratic_se"] = found.quadratic_standard_error
        return values

    def _trace(self, step: int, value: float, error: float | None) -> None:
        self._traces[step] = value
        self._point(step, "fisher_trace", value, None, error)

    def _point(self, step: int, name: str, value: float, x: float | None, error: float | None) -> None:
        epoch = step / self._steps_per_epoch
        self.report(CurvePoint(0, ENGLISH, step, epoch, name, value, x, error))
