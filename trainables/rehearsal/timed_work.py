"""Pieces of a trial's work that are timed: an optimiser step, predictions, Tr(F), its rivals, a displacement."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from trainables.config import ENGLISH, OptimizerConfig, StageConfig, TrialConfig
from trainables.curvature import SlowPathWarning, fisher_trace
from trainables.curvature.displacement import displacement
from trainables.curvature.rivals import RIVALS, FineTuned
from trainables.examples import Examples
from trainables.measuring.evaluation import first_rows, predict
from trainables.models.lora import merged
from trainables.seeding import Streams
from trainables.training.stage import train_stage

STILL = 1e-12
"""Learning rate of a measured step, so that one model serves all arms."""
Run = Callable[[PreTrainedModel, Examples], float]
"""Does some work with some examples, and returns the seconds it took."""


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(run: Callable[[], object]) -> float:
    """Seconds that some work takes, including what the accelerator does in the background."""
    start = _now()
    run()
    return _now() - start


def measured_stage(stage: StageConfig) -> StageConfig:
    """The stage cut to two steps, without anything that does not affect their cost."""
    ascent = {"sam_rho": stage.optimizer.sam_rho, "tram_sigma": stage.optimizer.tram_sigma}
    optimizer = OptimizerConfig(learning_rate=STILL, **ascent)
    return stage.model_copy(update={"epochs": 2, "until": None, "selection": "last", "optimizer": optimizer})


def optimizer_step(stage: StageConfig, dtype: torch.dtype) -> Run:
    """The second of two optimiser steps; the first creates the optimiser's state."""

    def run(model: PreTrainedModel, examples: Examples) -> float:
        whole = len(examples) == stage.batch_size
        settings = stage.model_copy(
            update={"batch_size": len(examples), "accumulation": stage.accumulation if whole else 1}
        )
        ends: list[float] = []

        def on_step(step: int) -> None:
            ends.append(_now())

        # Stage 1 evaluates nothing between its epochs.
        train_stage(model, examples, examples, settings, Streams(0), 1, ENGLISH, lambda point: None, on_step, dtype)
        return ends[1] - ends[0]

    return run


def predictions(dtype: torch.dtype) -> Run:
    """Predictions for all examples."""
    return lambda model, examples: timed(lambda: predict(model, examples, dtype=dtype))


def trace(config: TrialConfig, of_merged: bool) -> Run:
    """Tr(F) on all examples, of the model or of the model with its adapters merged."""

    def run(model: PreTrainedModel, examples: Examples) -> float:
        rows = first_rows(model, examples, len(examples))
        subject = merged(model) if of_merged else model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SlowPathWarning)  # reported already, before anything was timed
            return timed(lambda: fisher_trace(subject, rows, **config.measure.trace_options()))

    return run


def displaced(model: PreTrainedModel, examples: Examples) -> float:
    """The curvature along a displacement, whose length does not affect the cost."""
    rows = list(first_rows(model, examples, len(examples)))
    before = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return timed(lambda: displacement(model, before, rows))


def rivals(config: TrialConfig) -> Run:
    """The rival measures that a trial asks for."""

    def run(model: PreTrainedModel, examples: Examples) -> float:
        rows = list(first_rows(model, examples, len(examples)))
        start = {name: parameter.detach() for name, parameter in model.named_parameters()}
        trained = FineTuned(model, rows, predict(model, examples), start, rows)
        if "normalized_trace" in config.measure.rivals:
            _ = trained.trace  # which is timed as Tr(F)
        return timed(lambda: [RIVALS[name](trained) for name in config.measure.rivals])

    return run
