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
SHARE = "stages.0.penalties.fisher.share"
L2_WEIGHT = "stages.0.penalties.l2.weight"
NOISE = "stages.0.noise.strength"
DROPOUT = "model.dropout.hidden"
DECAY = "stages.0.optimizer.weight_decay"
SAM = "stages.0.optimizer.sam_rho"
TRAM = "stages.0.optimizer.tram_sigma"
RATE = "stages.0.optimizer.learning_rate"

EMBEDDING_NOISE = {"stages.0.noise.kind": "embedding_gaussian"}
MULTIPLES = (0.25, 0.5, 2.0, 4.0, 8.0)
"""Factors on the base's learning rate; 1 is the baseline. At the largest, fine-tuning an encoder begins to fail."""

BASELINE = Arm(name="baseline")
KL = Arm(name="kl", search={CONSISTENCY: Grid(values=(0.0, *log_grid(0.05, 5, 5)))})
FPEN = Arm(name="fpen", search={FISHER: Grid(values=log_grid(1e-3, 10, 6))})
LAZY = {"stages.0.penalties.l2.form": "lazy"}
"""The form of L2 whose weight is a dose under AdamW."""
L2 = Arm(name="l2", set=LAZY, search={L2_WEIGHT: Grid(values=log_grid(1e-5, 1e-1, 6))})


def noise_arm(count: int) -> Arm:
    """Embedding noise at so many scales, evenly spaced in logarithms."""
    return Arm(name="noise", set=EMBEDDING_NOISE, search={NOISE: Grid(values=log_grid(0.01, 1, count))})


def families(base: TrialConfig) -> tuple[Arm, ...]:
    """The arms of both figures: six values a family, without the baseline's own (kl=0 still trains on the views)."""
    others = (0.05, 0.15, 0.2, 0.3, 0.4)
    # A null rate keeps the model's own, which is 0.1 for multilingual BERT.
    rates = (0.1, *others) if base.model.dropout.hidden == 0.0 else (0.0, *others)
    dropout = Arm(name="dropout", search={DROPOUT: Grid(values=rates, also=("model.dropout.attention",))})
    # Decay acts through learning rate times steps: 10 shrinks the weights by a quarter over the paper's stage.
    decay = Arm(name="decay", search={DECAY: Grid(values=log_grid(1e-3, 10, 6))})
    return BASELINE, KL, FPEN, L2, dropout, decay, noise_arm(6)


def on_bundled(task: str, **data: Any) -> TrialConfig:
    """The bundled model and a bundled task, with the protocol that was tuned on the baseline's accuracy alone."""
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
    """The base trial of every study but those on other data; ``bundled``: the bundled model and data in its place."""
    if bundled:
        return on_bundled("inference")
    # Tr(F) of one example is heavy-tailed: of 500, the mean's standard error can be as large as the mean.
    return TrialConfig(data=DataConfig(name="xnli", train_examples=20_000), measure=MeasureConfig(trace_examples=2_000))


def steps_an_epoch(base: TrialConfig) -> int:
    """How many optimiser steps an epoch of the English stage takes."""
    assert base.data.train_examples is not None
    return math.ceil(base.data.train_examples / base.stages[0].batch_size)


def rates_arm(base: TrialConfig) -> Arm:
    """The learning rate alone, at multiples of the base's."""
    rates = tuple(rounded(multiple * base.stages[0].optimizer.learning_rate) for multiple in MULTIPLES)
    return Arm(name="lr", search={RATE: Grid(values=rates)})


def rounded(value: float) -> float:
    """Six digits of a product, without those that floating point adds."""
    return float(f"{value:.6g}")
