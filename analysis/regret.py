"""What a rule's choice of configuration costs in target languages, with intervals by resampling seeds and languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.selection_rules.rule import TARGET_TRACE, Candidates, Rule

RESAMPLES = 2000


@dataclass(frozen=True)
class Measured:
    """The models of a study by configuration and seed; NaN where a configuration has no model with that seed.

    Attributes:
        accuracy: Zero-shot accuracy by target language [languages, configurations, seeds].
        columns: What rules may use: column to values [configurations, seeds].
        target_trace: ln Tr(F) on the text of each language, shaped like ``accuracy``; None if a language has none.
        fitted: Configurations that fitted their training data with every seed that ended [configurations].
    """

    accuracy: NDArray[np.float64]
    columns: Mapping[str, NDArray[np.float64]]
    target_trace: NDArray[np.float64] | None
    fitted: NDArray[np.bool_]

    @property
    def seeds(self) -> int:
        """The largest number of models that any configuration has."""
        return int(np.isfinite(self.accuracy[0]).sum(axis=1).max())

    def candidates(self, rule: Rule, language: int, weights: NDArray[np.float64]) -> Candidates:
        """The columns that a rule uses [resamples, configurations], as means weighted by weights [resamples, seeds]."""
        columns = dict(self.columns)
        if self.target_trace is not None:
            columns[TARGET_TRACE] = self.target_trace[language]
        looked_at = [name for name in (*rule.needs, *rule.uses) if name in columns]
        allowed = np.where(self.fitted | (not rule.fitted_only), 0.0, np.nan)
        return {name: seed_means(columns[name], weights) + allowed for name in looked_at}

    def allowed(self, rule: Rule) -> NDArray[np.bool_]:
        """Which configurations a rule may choose: those with all that it needs for every language [configurations]."""
        once = np.ones((1, self.accuracy.shape[2]))
        allowed = np.full(len(self.fitted), True)
        for language in range(len(self.accuracy)):
            table = self.candidates(rule, language, once)
            if any(column not in table for column in rule.needs):
                return np.full(len(self.fitted), False)
            allowed &= np.isfinite(np.sum([table[column] for column in rule.needs], axis=0))[0]
        return allowed


def seed_means(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over seeds [resamples, configurations] of values [configurations, seeds], which are NaN for absent models.

    A configuration with none of the drawn seeds keeps its plain mean, so that every resample chooses among the same
    configurations; the mean is NaN if it has no value at all.

    Args:
        weights: How often each seed counts [resamples, seeds].
    """
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    counted = weights @ present.T
    found = present.sum(axis=1)
    plain = np.divide(filled.sum(axis=1), found, out=np.full(len(values), np.nan), where=found > 0)
    means = np.tile(plain, (len(weights), 1))
    np.divide(weights @ filled.T, counted, out=means, where=counted > 0)
    return means


def chosen(measured: Measured, rule: Rule, weights: NDArray[np.float64]) -> NDArray[np.intp]:
    """The configurations that a rule chooses [languages, resamples] under weights [resamples, seeds]."""
    languages = len(measured.accuracy)
    if measured.target_trace is None or TARGET_TRACE not in (*rule.needs, *rule.uses):
        return np.tile(rule.choose(measured.candidates(rule, 0, weights)), (languages, 1))
    return np.array([rule.choose(measured.candidates(rule, place, weights)) for place in range(languages)])


def regrets(measured: Measured, rule: Rule | None, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The oracle's accuracy minus that of the chosen configuration, at least 0 [languages, resamples].

    The choice and the oracle are determined anew for each resample.

    Args:
        rule: A rule that can choose; None gives the expected regret of a random fitted configuration.
        weights: How often each seed counts [resamples, seeds].
    """
    # A few seeds can be drawn in only a few ways; each is computed once.
    weights, place_of = np.unique(weights, axis=0, return_inverse=True)
    choices = None if rule is None else chosen(measured, rule, weights)
    out = []
    for place, values in enumerate(measured.accuracy):
        accuracy = seed_means(values, weights)
        if choices is None:
            taken = accuracy[:, measured.fitted].mean(axis=1)
        else:
            taken = accuracy[np.arange(len(weights)), choices[place]]
        out.append(accuracy.max(axis=1) - taken)
    return np.array(out)[:, place_of.reshape(-1)]


def resample(
    measured: Measured, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw seeds and languages with replacement, once for all rules, so that differences between rules are paired.

    A draw of seeds applies to all configurations, as models with the same seed share their rows and initial weights.

    Returns:
        Weights of seeds [resamples, seeds], a single row of ones if no configuration has two seeds; and weights of
        languages [languages, resamples], which sum to 1.
    """
    rng = np.random.default_rng(seed)
    languages, _, seeds = measured.accuracy.shape
    of_languages = rng.multinomial(languages, np.full(languages, 1 / languages), size=resamples).T / languages
    if measured.seeds < 2:
        return np.ones((1, seeds)), of_languages
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples).astype(np.float64), of_languages


def interval(by_language: NDArray[np.float64], of_languages: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % percentile interval of a mean over languages with weights [languages, resamples].

    Args:
        by_language: Values [languages, resamples], or [languages, 1] if seeds were not resampled.
    """
    low, high = np.quantile((by_language * of_languages).sum(axis=0), (0.025, 0.975))
    return float(low), float(high)
