"""From the trials table to the units of the statistics: usable models, and configurations as means over seeds.

A *model* is a complete trial with what a figure needs. A *configuration* is what the models that differ only in their
seed share; it is the unit of every headline. A *family* is an arm. A model has *collapsed* when its training accuracy
is below the majority share plus five points; collapsed models stay in the figures and out of the headline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.association import TOO_FEW
from analysis.rows import Rows, model_rows
from study.results import StudyResults

ENGLISH = "en"
COLLAPSE_MARGIN = 0.05
_IDENTITY = ("trial_id", "configuration", "family", "label", "seed", "collapsed")
SECOND_STAGE = {  # derived column -> the column of each language whose mean it is
    "gain": "stage2.{}.gain",
    "accuracy_before": "stage2.{}.accuracy_before",
    "distance": "stage2.{}.distance",
    "english_kept": "stage2.{}.accuracy_en_after",  # minus the English accuracy before the second stage
}


@dataclass(frozen=True)
class StudyTables:
    """A study, ready for the sections.

    Attributes:
        name: The study's name.
        study: study.json as data.
        account: Counts of trials by state; they sum to the plan.
        unreadable: (file, reason) of records that could not be read.
        running: A driver is at work on the study.
        trials: The trials table: every planned trial in plan order.
        models: Complete trials, with the derived columns.
        curves: The curves table.
        families: Arms in plan order.
        languages: Target languages with a measured accuracy, in the configuration's order.
        searched: Family to the configuration paths that it searches; paths that only follow another left out.
        adaptive: Families whose configurations were drawn one after another, each in view of the outcomes before.
    """

    name: str
    study: dict[str, Any]
    account: dict[str, int]
    unreadable: list[tuple[str, str]]
    running: bool
    trials: pd.DataFrame
    models: pd.DataFrame
    curves: pd.DataFrame
    families: list[str]
    languages: list[str]
    searched: dict[str, list[str]]
    adaptive: frozenset[str] = frozenset()

    @cached_property
    def figure_rows(self) -> Rows:
        """The models as figures draw them; made once, so that all figures share one table."""
        return model_rows(self.models, self.searched)

    @cached_property
    def fallen(self) -> str | None:
        """Why no family has two configurations or more, where models collapsed; None where none did."""
        fallen, complete = int(self.models["collapsed"].sum()), len(self.models)
        if not fallen:
            return None
        if fallen == complete:
            return f"all {complete} models collapsed" if complete > 1 else "the only model collapsed"
        return f"{TOO_FEW} that did not collapse ({fallen} of {complete} models did)"

    def means(self, *columns: str, collapsed: bool = False, adaptive: bool = False) -> pd.DataFrame:
        """Configurations: the mean over seeds of some columns, over the models that have a finite value in all.

        Args:
            columns: Columns of ``models``.
            collapsed: Also use collapsed models.
            adaptive: Also the configurations of an adaptive search.

        Returns:
            One row a configuration: configuration, family, label, seeds and the columns; empty when a column is absent.
        """
        used = self.usable(*columns, collapsed=collapsed, adaptive=adaptive)
        codes, first, inverse = np.unique(used["configuration"], return_index=True, return_inverse=True)
        seeds = np.bincount(inverse, minlength=len(codes))
        table = used.iloc[first][["configuration", "family", "label"]].reset_index(drop=True)
        table["seeds"] = seeds
        for column in columns:
            table[column] = np.bincount(inverse, weights=_floats(used, column), minlength=len(codes)) / seeds
        return table

    def usable(self, *columns: str, collapsed: bool = False, adaptive: bool = False) -> pd.DataFrame:
        """The models that have a finite value in all of some columns.

        An adaptive search picks its configurations by accuracy and Tr(F), so they are no independent sample of either:
        every correlation leaves them out.

        Args:
            columns: Columns of ``models``; where one does not exist no model is usable.
            collapsed: Also collapsed models.
            adaptive: Also the models of an adaptive search.

        Returns:
            Their identity and those columns.
        """
        keep = np.full(len(self.models), True) if collapsed else ~self.models["collapsed"].to_numpy(dtype=bool)
        if not adaptive:
            keep &= ~self.models["family"].isin(self.adaptive).to_numpy(dtype=bool)
        for column in columns:
            keep &= np.isfinite(_floats(self.models, column))
        shown = dict.fromkeys([*_IDENTITY, *(column for column in columns if column in self.models)])
        return self.models.loc[keep, list(shown)]

    def has(self, *columns: str) -> bool:
        """Whether any model has a finite value in all of some columns.

        Args:
            columns: Columns of ``models``.

        Returns:
            True when at least one has, collapsed or not.
        """
        values = [np.isfinite(_floats(self.models, column)) for column in columns]
        return bool(np.logical_and.reduce(values).any())

    def dose(self, family: str) -> str | None:
        """The one path that a family searches, when its values are numbers.

        Args:
            family: An arm.

        Returns:
            The column of the trials table, or None for a family with no or several searched paths.
        """
        paths = self.searched.get(family, [])
        if len(paths) != 1:
            return None
        column = f"config.{paths[0]}"
        values = pd.to_numeric(self.trials.loc[self.trials["arm"] == family, column], errors="coerce")
        return column if values.notna().all() else None


def tables(results: StudyResults) -> StudyTables:
    """The tables of a study for the sections.

    Args:
        results: What ``study.results.load`` gives.

    Returns:
        The tables.
    """
    trials = results.trials
    families = list(dict.fromkeys(trials["arm"].tolist())) if len(trials) else []
    languages = [name.removeprefix("accuracy.") for name in trials.columns if name.startswith("accuracy.")]
    second = [name.split(".")[1] for name in trials.columns if name.startswith("stage2.") and name.endswith(".gain")]
    found = [language for language in dict.fromkeys([*languages, *second]) if language != ENGLISH]
    order = _configured_languages(results.study)
    searched = _searched(results.study, trials, families)
    return StudyTables(
        name=str(results.study.get("study", "")),
        study=results.study,
        account=dict(results.account),
        unreadable=list(results.unreadable),
        running=results.running,
        trials=trials,
        models=_models(trials, searched, found),
        curves=results.curves,
        families=families,
        languages=sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name)),
        searched=searched,
        adaptive=frozenset(arm["name"] for arm in results.study.get("config", {}).get("arms", []) if arm.get("slots")),
    )


def _configured_languages(study: dict[str, Any]) -> list[str]:
    base = study.get("config", {}).get("base", {})
    return list(base.get("data", {}).get("languages", []))


def _searched(study: dict[str, Any], trials: pd.DataFrame, families: Sequence[str]) -> dict[str, list[str]]:
    """What each family searches: as study.json says, else every path that takes two values in the family."""
    declared = {arm["name"]: list(arm.get("search") or {}) for arm in study.get("config", {}).get("arms", [])}
    paths = [c for c in trials.columns if c.startswith("config.") and c != "config.seed"]
    out = {}
    for family in families:
        if family in declared:
            out[family] = declared[family]
            continue
        rows = trials.loc[trials["arm"] == family, paths].astype(str)
        out[family] = [path.removeprefix("config.") for path in paths if rows[path].nunique() > 1]
    return out


def _models(trials: pd.DataFrame, searched: dict[str, list[str]], languages: Sequence[str]) -> pd.DataFrame:
    models = trials.loc[trials["state"] == "complete"].copy() if len(trials) else trials.copy()
    for name in ("accuracy.en", "fisher_trace", "train_accuracy", "train_majority_share"):
        if name not in models:
            models[name] = np.nan
    derived: dict[str, Any] = {"family": models["arm"], "configuration": _configuration(models)}
    derived["collapsed"] = _floats(models, "train_accuracy") < _floats(models, "train_majority_share") + COLLAPSE_MARGIN
    derived["ln_trace"] = _logarithm(_floats(models, "fisher_trace"))
    for name in models.columns:
        if name.startswith("fisher_trace."):
            derived[f"ln_trace.{name.removeprefix('fisher_trace.')}"] = _logarithm(_floats(models, name))
    english = _floats(models, "accuracy.en")
    for language in languages:
        derived[f"gap.{language}"] = english - _floats(models, f"accuracy.{language}")
    for name, column in SECOND_STAGE.items():
        parts = [column.format(language) for language in languages if column.format(language) in models]
        # A model without one of the languages has no mean: means over different languages do not compare.
        derived[name] = np.mean([_floats(models, part) for part in parts], axis=0) if parts else math.nan
    derived["english_kept"] -= english
    derived["dose_rank"] = _dose_rank(models, searched)
    return pd.concat([models, pd.DataFrame(derived, index=models.index)], axis=1)


def _floats(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    if column not in table:
        return np.full(len(table), math.nan)
    return pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64, na_value=math.nan)


def _logarithm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    positive = np.isfinite(values) & (values > 0)
    return np.log(values, out=np.full(len(values), math.nan), where=positive)


def _configuration(models: pd.DataFrame) -> pd.Series[int]:
    """A number for each set of models that differ in nothing but their seed."""
    paths = [c for c in models.columns if c.startswith("config.") and c != "config.seed"]
    varying = [c for c in paths if models[c].astype(str).nunique() > 1]
    return models.groupby(["arm", *varying], sort=False, dropna=False).ngroup()


def _dose_rank(models: pd.DataFrame, searched: dict[str, list[str]]) -> pd.Series[float]:
    """Position of a model's dose among those of its family, 0 to 1; missing where a family has no single dose."""
    out = pd.Series(math.nan, index=models.index)
    for family, rows in models.groupby("arm", sort=False):
        paths = searched.get(str(family), [])
        values = pd.to_numeric(rows[f"config.{paths[0]}"], errors="coerce") if len(paths) == 1 else None
        if values is not None and values.notna().all():
            ranks = values.rank(method="dense") - 1
            out.loc[rows.index] = ranks / max(1.0, float(ranks.max()))
    return out
