"""Simulated studies for ``benchmarks.statistics``: causes that look like an effect of Tr(F), and real effects.

Within a family a dose d runs from 0 to 1. ln Tr(F) has a component X that nothing else causes; the outcomes follow X
with the true correlation (0 or -.6) and, in a trap, also something that varies with the dose as Tr(F) does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers
from analysis.population import FIT, Reference, fitted
from analysis.verdicts.controls import survive
from analysis.verdicts.declared import HYPOTHESES
from analysis.verdicts.headlines import over
from analysis.verdicts.statements import adjust, correlation_word, verdicts

ROWS, LANGUAGES = 750, 3  # for validation, as in the bundled studies
ACCURACY, GAIN, START = 0.02, 0.03, 0.012  # their spreads over configurations
TIE = 0.4  # of the gain to the start: a model that starts one point lower gains this many points more


@dataclass(frozen=True)
class Trap:
    """The properties of a simulated study.

    Attributes:
        name: Name in the table.
        truth: Correlation of outcome and ln Tr(F) over configurations, at equal fit and start.
        offsets: Families differ jointly in Tr(F), accuracy and gain, against the declared sign.
        unfit: Strong doses do not fit: Tr(F), training accuracy, accuracy and start fall, training NLL rises.
        start: Strong doses are flatter and start higher, and so gain less.
        shared: Correlation of the error of Tr(F) with the errors of the accuracies, all on the same rows.
        heavy: Tr(F) is heavy-tailed over configurations, and so is its error of 10 %.
        unequal: Families differ in spread by this standard deviation of its logarithm.
        uncertainty: Correlation of label variance with ln Tr(F).
        halves: The records contain both halves of the second stage's rows.
        asks: The hypotheses that the study is about.
    """

    name: str
    truth: float = 0.0
    offsets: float = 0.0
    unfit: float = 0.0
    start: float = 0.0
    shared: float = 0.0
    heavy: bool = False
    unequal: float = 0.0
    uncertainty: float = 0.0
    halves: bool = True
    asks: str = "H1 H4"

    @property
    def confounded(self) -> bool:
        """Whether the correlation over configurations differs from the truth."""
        return bool(self.unfit or self.start)


ALL = {"offsets": 1.0, "unfit": 1.0, "start": 1.0, "shared": 0.5, "heavy": True, "unequal": 0.7}
TRAPS = (
    Trap("no effect"),
    Trap("family offsets", offsets=1.0),
    Trap("under-fitting doses", unfit=1.0),
    Trap("under-fitting doses, steep", unfit=2.0),
    Trap("doses that move the start", start=1.0, asks="H4"),
    Trap("doses that move the start, no halves", start=1.0, halves=False, asks="H4"),
    Trap("shared rows", shared=0.5),
    Trap("heavy-tailed Tr(F), 10 % error", heavy=True),
    Trap("unequal spread", unequal=0.7),
    Trap("all at once", **ALL),
    Trap("all at once, no halves", **ALL, halves=False, asks="H4"),
    Trap("effect -.6", -0.6),
    Trap("effect -.6, no halves", -0.6, halves=False, asks="H4"),
    Trap("effect -.6, label variance goes with Tr(F) at .5", -0.6, uncertainty=0.5, asks="H1"),
)


def study(seed: int, groups: Sequence[int], seeds: int, trap: Trap) -> StudyTables:
    """One simulated study.

    Args:
        seed: Seed of everything drawn.
        groups: Number of configurations in each family.
        seeds: Number of models per configuration.
        trap: The properties of the study.

    Returns:
        The study's tables, as far as the headlines need them.
    """
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(len(groups)), groups)
    dose = np.concatenate([np.linspace(0, 1, size) for size in groups])
    n = len(family)

    def by_family(spread: float) -> np.ndarray:
        return (spread * rng.standard_normal(len(groups)))[family]

    def models(config: np.ndarray, spread: float) -> np.ndarray:
        """Seeds scattered around their configuration's value, which remains their mean."""
        around = spread * rng.standard_normal((n, seeds))
        return config[:, None] + (around - around.mean(axis=1, keepdims=True) if seeds > 1 else 0.0)

    own = rng.standard_t(3, n) / math.sqrt(3) if trap.heavy else rng.standard_normal(n)
    spread, strength = np.exp(by_family(trap.unequal)), np.exp(by_family(0.4))
    offset = trap.offsets * by_family(3.0)
    lost = trap.unfit * 0.2 * strength * np.maximum(0.0, dose - 0.2) ** 2
    error = 0.1 * (rng.standard_t(3, n) / math.sqrt(3) if trap.heavy else rng.standard_normal(n))
    ln_trace = 5 + 0.35 * spread * own + offset - 5 * lost - 0.8 * trap.start * strength * dose + error
    # The error of the accuracy before, on each half of the rows; halves share only what the error of Tr(F) gives them.
    variance = 0.24 / (ROWS * LANGUAGES * seeds)
    halves = [_with(rng, error, -trap.shared, math.sqrt(2 * variance)) for _ in range(2)]
    after = [_with(rng, e, 0.5, math.sqrt(2 * variance)) for e in halves]
    accuracy = 0.85 + 0.02 * offset - 0.6 * lost
    accuracy += spread * ACCURACY * _with(rng, own, trap.truth, 1.0)
    accuracy += math.sqrt(0.13 / ROWS / seeds) * (_with(rng, error, -trap.shared, 1.0) if trap.shared else 0.0)
    start = 0.6 + by_family(0.03) + 0.1 * trap.start * strength * dose - 0.5 * lost + START * rng.standard_normal(n)
    total = math.hypot(GAIN, TIE * START, math.sqrt(variance))  # the errors before and after correlate at .5
    gain = 0.15 - TIE * (start - 0.6) - 0.3 * lost + 0.02 * offset
    gain += spread * GAIN * _with(rng, own, trap.truth * total / GAIN, 1.0)
    label_variance = 0.3 + 0.02 * offset + 0.05 * _with(rng, own, trap.uncertainty, 1.0)
    train_nll, train_accuracy = 0.12 + lost + 0.005 * rng.standard_normal(n), 0.97 - 0.45 * lost
    columns = {
        "ln_trace": models(ln_trace, 0.2),
        "accuracy.en": models(accuracy, 0.01),
        "train_nll": models(train_nll, 0.005),
        "train_accuracy": models(train_accuracy, 0.0) + 0.004 * rng.standard_normal((n, seeds)),
        "measure.label_variance": models(label_variance, 0.01),
        "half1.accuracy_before": models(start + halves[0], 0.01),
        "half2.accuracy_before": models(start + halves[1], 0.01),
        "half1.gain": models(gain + after[0] - halves[0], 0.01),
        "half2.gain": models(gain + after[1] - halves[1], 0.01),
    }
    table = pd.DataFrame({name: np.clip(values, -9, 99).ravel() for name, values in columns.items()})
    for what in ("accuracy_before", "gain"):
        table[what] = (table[f"half1.{what}"] + table[f"half2.{what}"]) / 2
    if not trap.halves:
        table = table.drop(columns=[name for name in table if name.startswith("half")])
    table = table.assign(
        family=np.repeat(family, seeds), configuration=np.repeat(np.arange(n), seeds),
        seed=np.tile(np.arange(seeds), n), state="complete", collapsed=False, label="", trial_id="",
        validation_examples=float(ROWS),
    )  # fmt: skip
    for language in range(LANGUAGES):
        table[f"stage2.l{language}.gain"] = table["gain"]
    measured = Reference(0.97 + 0.004 * rng.standard_normal() / math.sqrt(seeds), "the baseline's", seeds)
    table["fitted"] = fitted(table, measured, FIT)
    return StudyTables(
        name="simulated", study={}, account={}, unreadable=[], running=False, trials=table, models=table,
        curves=table.iloc[:0], families=[], languages=[f"l{i}" for i in range(LANGUAGES)], searched={},
        reference=measured,
    )  # fmt: skip


def _with(rng: np.random.Generator, other: np.ndarray, r: float, spread: float) -> np.ndarray:
    """Deviates of a given spread that correlate at r with ``other``, which is first scaled to a spread of one."""
    scale = float(np.sqrt((other**2).mean())) or 1.0
    return spread * (r * other / scale + math.sqrt(1 - r * r) * rng.standard_normal(len(other)))


def verdict(tables: StudyTables, key: str) -> tuple[Number, str]:
    """The headline and the verdict of one hypothesis, with no other hypothesis to share the error rate.

    Args:
        tables: The study.
        key: H1 or H4.

    Returns:
        Both; controls are computed only if the headline is significant, since otherwise they do not matter.
    """
    number = over(tables, HYPOTHESES[key].outcome)
    numbers = adjust(Numbers({key: number}))
    if correlation_word(numbers[key]) in ("supported", "contradicted"):
        numbers = adjust(Numbers({key: number} | survive(tables, key)))
    return number, next(v.word for v in verdicts(numbers) if v.hypothesis == key)
