"""The path of a second stage through parameter space: equation 1 along the displacement, predicted and measured.

A measurement leaves weights, gradients and random generators as they were, so that the training, and every number
measured elsewhere, is the same bit for bit whether or not anything is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from transformers import PreTrainedModel

from trainables.config import ENGLISH, TrialConfig
from trainables.curvature.displacement import displacement
from trainables.curvature.rivals.norms import l2_norm
from trainables.divergences import kl_divergence
from trainables.examples import Examples
from trainables.measuring.evaluation import first_rows, predict
from trainables.measuring.measurements import CurvePoint
from trainables.training.kept_weights import State


def points_on_the_way(points: int, steps: int) -> set[int]:
    """The optimiser steps of a second stage after which a point of its curve is measured, excluding its end."""
    return {round(k * steps / points) for k in range(1, points)} - {0, steps}


@dataclass
class StagePath:
    """Measures one second stage, as requested by ``measure.path`` and ``measure.path_points``.

    Attributes:
        before: Parameters before the stage.
        start: Logits of the first ``measure.trace_examples`` English validation rows before the stage
            ``[examples, classes]``; None where ``measure.path`` is off.
        validation: Language to validation examples.
        language: Language of the stage.
        examples: Training examples of the stage.
    """

    model: PreTrainedModel
    before: State
    start: Tensor | None
    validation: Mapping[str, Examples]
    language: str
    examples: int
    config: TrialConfig
    report: Callable[[CurvePoint], None]

    def __post_init__(self) -> None:
        measure, stage = self.config.measure, self.config.stages[1]
        self._rows, self._points = measure.trace_examples, measure.path_points
        self._steps_per_epoch = math.ceil(self.examples / stage.batch_size)
        self._steps = self._steps_per_epoch * stage.longest
        self._due = points_on_the_way(self._points, self._steps)

    def measure(self, step: int) -> None:
        """Report a point of the curve where one is due after ``step`` steps; the end is left to :meth:`finish`."""
        if self.start is not None and step in self._due:
            self._point(step, self._divergence(self.start))

    def finish(self, trace: float) -> dict[str, float]:
        """The measurements of the stage, and the last point of the curve, both for the weights that the stage keeps.

        Args:
            trace: Tr(F) before the stage on the first ``measure.trace_examples`` English validation rows.

        Returns:
            ``path_curvature``, ``path_kl_en``, ``direction`` and ``path_curvature_target`` of the language; nothing
            where ``measure.path`` is off. ``direction`` is absent where nothing moved or ``trace`` is 0.
        """
        if self.start is None:
            return {}
        kl = self._divergence(self.start)
        if self._points:
            self._point(self._steps, kl)
        found, target = (
            displacement(self.model, self.before, first_rows(self.model, self.validation[language], self._rows))
            for language in (ENGLISH, self.language)
        )
        values = {"path_curvature": found.curvature, "path_kl_en": kl, "path_curvature_target": target.curvature}
        if (direction := found.direction(trace)) is not None:
            values["direction"] = direction
        return {f"stage2.{self.language}.{name}": value for name, value in values.items()}

    def _divergence(self, start: Tensor) -> float:
        # Use float32 whatever the training format: bfloat16's rounding is as large as the KL over a short path.
        now = predict(self.model, self.validation[ENGLISH], self._rows)
        return float(kl_divergence(start.double(), now.double()))

    def _point(self, step: int, kl: float) -> None:
        moved = l2_norm(value.detach() - self.before[name] for name, value in self.model.named_parameters())
        self.report(CurvePoint(1, self.language, step, step / self._steps_per_epoch, "path_kl_en", kl, moved))
