"""From the trials table to the units of the statistics: usable models, and configurations as means over seeds.

A *model* is a trial with measurements: one that is complete, or that ended short of its target training loss. A
*configuration* is the settings shared by models that differ only in their seed; it is the unit of every headline. A
*family* is an arm. A complete model is *fitted* if its training accuracy is at least 95 % (study.json: ``answer.fit``)
of the reference accuracy of the study. Correlations are over fitted models; the others are drawn hollow. The worst of
these have *collapsed*: their training accuracy is less than five points above the share of the most frequent label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.models import ENGLISH, NOT_REACHED, floats, models_table
from analysis.population import FIT, Reference, declared_fit, fitted, reference
from analysis.rows import Rows, model_rows
from analysis.statistics.association import NO_FAMILY
from study.store.results import StudyResults

_IDENTITY = ("trial_id", "configuration", "family", "label", "seed")


@dataclass(frozen=True)
class StudyTables:
    """A study, ready for the sections.

    Attributes:
        study: study.json as data.
        account: Counts of trials by state; they sum to the plan.
        unreadable: (file, reason) of each record that could not be read.
        trials: Every planned trial, in plan order.
        models: Complete trials and those that did not reach their target training loss, with the derived columns.
        families: Arms in plan order.
        languages: Target languages with a measured accuracy, in the configuration's order.
        searched: Family to the configuration paths that it searches, without paths that merely follow another.
        reference: The training accuracy that decides which models are fitted.
        fit: The share of the reference accuracy that a fitted model must reach.
        adaptive: Families whose configurations were drawn one by one, each in view of the earlier outcomes.
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
    reference: Reference
    fit: float = FIT
    adaptive: frozenset[str] = frozenset()

    @cached_property
    def figure_rows(self) -> Rows:
        """The models as rows for the figures, built once so that all figures share one table."""
        return model_rows(self.models, self.searched)

    @cached_property
    def unfitted(self) -> str:
        """Why no family has two or more configurations with fitted models."""
        fitted, models = int(self.models["fitted"].sum()), len(self.models)
        if fitted == models:
            return NO_FAMILY
        if models and (self.models["state"] == NOT_REACHED).all():
            return "no trial reached the training loss that it was to reach"
        if not np.isfinite(self.reference.value):
            return "training accuracy was not measured, so no model is known to have fitted"
        if fitted:
            return f"no family has two fitted configurations or more ({models - fitted} of {models} models did not fit)"
        if not self.models["collapsed"].all():
            return "no model fitted its training data"
        return f"all {models} models collapsed" if models > 1 else "the only model collapsed"

    def means(self, *columns: str, fit: float | None = None, adaptive: bool = False) -> pd.DataFrame:
        """Configurations, as means over seeds of the usable models; for ``fit`` and ``adaptive`` see :meth:`usable`.

        Returns:
            One row per configuration: its number, family, label, seeds and the columns; no rows if a column is absent.
        """
        rows = self._rows(columns, fit, adaptive)
        codes, first, inverse = np.unique(
            self.models["configuration"].to_numpy()[rows], return_index=True, return_inverse=True
        )
        seeds = np.bincount(inverse, minlength=len(codes))
        found = {"configuration": codes}
        found |= {name: self.models[name].to_numpy()[rows[first]] for name in ("family", "label")} | {"seeds": seeds}
        for column in columns:
            values = floats(self.models, column)[rows]
            found[column] = np.bincount(inverse, weights=values, minlength=len(codes)) / seeds
        return pd.DataFrame(found)

    def usable(self, *columns: str, fit: float | None = None, adaptive: bool = False) -> pd.DataFrame:
        """The models that have a finite value in each of the given columns: their identity and those columns.

        An adaptive search picks its configurations by accuracy and Tr(F), so they are not an independent sample of
        either; every correlation leaves them out.

        Args:
            columns: Columns of ``models``; if one does not exist, no model is usable.
            fit: Required share of the reference accuracy; None means the declared share, and 0 admits every model.
            adaptive: Whether to include the models of adaptive searches.
        """
        shown = dict.fromkeys([*_IDENTITY, *(column for column in columns if column in self.models)])
        return self.models.iloc[self._rows(columns, fit, adaptive)][list(shown)]

    def _rows(self, columns: Sequence[str], fit: float | None, adaptive: bool) -> NDArray[np.intp]:
        """Row numbers of the usable models."""
        own = self.models["fitted"].to_numpy(dtype=bool)
        keep = own.copy() if fit is None else fitted(self.models, self.reference, fit)
        if self.adaptive and not adaptive:
            keep &= ~self.models["family"].isin(self.adaptive).to_numpy(dtype=bool)
        for column in columns:
            keep &= np.isfinite(floats(self.models, column))
        return np.flatnonzero(keep)

    def known(self, among: Sequence[str], columns: Iterable[str]) -> list[str]:
        """The columns that are finite in every model that is usable for ``among``; none if no model is usable."""
        rows = self._rows(among, None, False)
        return [name for name in columns if len(rows) and np.isfinite(floats(self.models, name)[rows]).all()]

    def with_columns(self, columns: Mapping[str, ArrayLike]) -> StudyTables:
        """A copy of the study whose models have further columns [models]."""
        more = pd.DataFrame(columns, index=self.models.index)
        return replace(self, models=pd.concat([self.models, more], axis=1))

    def has(self, *columns: str) -> bool:
        """Whether any model, fitted or not, has a finite value in all of the given columns."""
        values = [np.isfinite(floats(self.models, column)) for column in columns]
        return bool(np.logical_and.reduce(values).any())

    def dose(self, family: str) -> str | None:
        """The column of the one path that a family searches; None if it searches none or several, or text."""
        paths = self.searched.get(family, [])
        if len(paths) != 1:
            return None
        column = f"config.{paths[0]}"
        values = pd.to_numeric(self.trials.loc[self.trials["arm"] == family, column], errors="coerce")
        return column if values.notna().all() else None


def tables(results: StudyResults) -> StudyTables:
    """The tables of a study, as the sections use them."""
    trials = results.trials
    families = list(dict.fromkeys(trials["arm"].tolist())) if len(trials) else []
    languages = [name.removeprefix("accuracy.") for name in trials.columns if name.startswith("accuracy.")]
    second = [name.split(".")[1] for name in trials.columns if name.startswith("stage2.") and name.endswith(".gain")]
    found = [language for language in dict.fromkeys([*languages, *second]) if language != ENGLISH]
    order = results.study.get("config", {}).get("base", {}).get("data", {}).get("languages", [])
    searched = _searched(results.study, families)
    models, fit = models_table(trials, searched, found), declared_fit(results.study)
    measured = reference(models.loc[models["state"] == "complete"])
    models["fitted"] = fitted(models, measured, fit)
    return StudyTables(
        name=str(results.study.get("study", "")),
        study=results.study,
        account=dict(results.account),
        unreadable=list(results.unreadable),
        running=results.running,
        trials=trials,
        models=models,
        curves=results.curves,
        families=families,
        languages=sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name)),
        searched=searched,
        reference=measured,
        fit=fit,
        adaptive=frozenset(arm["name"] for arm in results.study.get("config", {}).get("arms", []) if arm.get("slots")),
    )


def _searched(study: dict[str, Any], families: Sequence[str]) -> dict[str, list[str]]:
    """The paths that each family searches, according to study.json."""
    declared = {arm["name"]: list(arm.get("search") or {}) for arm in study.get("config", {}).get("arms", [])}
    return {family: declared.get(family, []) for family in families}
