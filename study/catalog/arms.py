"""The arms and base trials that studies share."""

from __future__ import annotations

import math
from typing import Any

from study.config import Arm
from study.search_space import Grid, log_grid
from trainables.config import (
    DataConfig,
    DropoutConfig,
    MeasureConfig,
    ModelConfig,
    OptimizerConfig,
    StageConfig,
    TrialConfig,
)

CONSISTENCY = "stages.0.consistency.weight"
FISHER = "stages.0.penalties.fisher.weight"
L2_WEIGHT = "stages.0.penalties.l2.weight"
NOISE_STRENGTH = "stages.0.noise.strength"
DROPOUT_RATE = "model.dropout.hidden"
RATE = "stages.0.optimizer.learning_rate"

MULTIPLES = (0.25, 0.5, 2.0, 4.0, 8.0)
"""Factors of the base's learning rate; 1 is the baseline. At the largest, fine-tuning an encoder begins to fail."""

BASELINE = Arm(name="baseline")
KL = Arm(name="kl", search={CONSISTENCY: Grid(values=(0.0, *log_grid(0.05, 5, 5)))})
FPEN = Arm(name="fpen", search={FISHER: Grid(values=log_grid(1e-3, 10, 6))})
L2 = Arm(
    name="l2",
    set={"stages.0.penalties.l2.form": "lazy"},  # the form whose weight is a dose under AdamW
    search={L2_WEIGHT: Grid(values=log_grid(1e-5, 1e-1, 6))},
)
# A null rate keeps the model's own rate, which is 0.1 for multilingual BERT.
RATES = Grid(values=(0.0, 0.05, 0.15, 0.2, 0.3, 0.4), also=("model.dropout.attention",))
DROPOUT = Arm(name="dropout", search={DROPOUT_RATE: RATES})
# Decay acts as weight decay x learning rate x steps: 10 shrinks the weights by a quarter over the paper's stage.
DECAY = Arm(name="decay", search={"stages.0.optimizer.weight_decay": Grid(values=log_grid(1e-3, 10, 6))})
NOISE = Arm(
    name="noise",
    set={"stages.0.noise.kind": "embedding_gaussian"},
    search={NOISE_STRENGTH: Grid(values=log_grid(0.01, 1, 6))},
)


def families(base: TrialConfig) -> tuple[Arm, ...]:
    """The arms of both figures: six values per family, without the baseline's own (kl=0 still trains on the views)."""
    dropout = DROPOUT.only(0.1, *RATES.values[1:]) if base.model.dropout.hidden == 0.0 else DROPOUT
    return BASELINE, KL, FPEN, L2, dropout, DECAY, NOISE


def on_bundled(task: str, **data: Any) -> TrialConfig:
    """The bundled model and a bundled task, with the protocol that was tuned on the baseline's accuracy only."""
    optimizer = OptimizerConfig(learning_rate=1e-3, weight_decay=0.01, warmup=0.1)
    second = OptimizerConfig(learning_rate=6e-4, weight_decay=0.01, warmup=0.1)
    settings = {"train_examples": 1_000, "validation_examples": 750, "max_length": 96, **data}
    return TrialConfig(
        model=ModelConfig(name="mini", dropout=DropoutConfig(hidden=0.0, attention=0.0, classifier=0.0)),
        data=DataConfig(name=task, source="bundled", **settings),
        stages=(StageConfig(epochs=5, optimizer=optimizer), StageConfig(epochs=2, optimizer=second)),
        measure=MeasureConfig(trace_examples=500),
    )


def on_xnli(bundled: bool) -> TrialConfig:
    """The base trial of every study except those on other data; ``bundled``: use the bundled model and data instead."""
    if bundled:
        return on_bundled("inference")
    # Tr(F) of single examples is heavy-tailed: over 500, the mean's standard error can be as large as the mean.
    return TrialConfig(data=DataConfig(name="xnli", train_examples=20_000), measure=MeasureConfig(trace_examples=2_000))


def steps_an_epoch(base: TrialConfig) -> int:
    """The number of optimiser steps in an epoch of the English stage."""
    assert base.data.train_examples is not None
    return math.ceil(base.data.train_examples / base.stages[0].batch_size)


def rates_arm(base: TrialConfig) -> Arm:
    """The learning rate alone, at multiples of the base's."""
    rates = tuple(rounded(multiple * base.stages[0].optimizer.learning_rate) for multiple in MULTIPLES)
    return Arm(name="lr", search={RATE: Grid(values=rates)})


def rounded(value: float) -> float:
    """A product to six digits, without the digits that floating point adds."""
    return float(f"{value:.6g}")
