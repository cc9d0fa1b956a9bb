"""From the trials table to the units of the statistics: usable models, and configurations as means over seeds.

A *model* is a trial with measurements: complete, or ended without reaching the training loss it was to reach. A
*configuration* is what the models that differ only in their seed share; it is the unit of every headline. A *family* is
an arm. A complete model is *fitted* when its training accuracy is at least 95 % (study.json: ``answer.fit``) of that of
the study's reference; correlations run over fitted models, the others are drawn hollow. The worst of them have
*collapsed*: their training accuracy is below the majority share plus five points.
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
        unreadable: (file, reason) of records that could not be read.
        trials: Every planned trial, in plan order.
        models: Complete trials and those that did not reach their training loss, with the derived columns.
        families: Arms in plan order.
        languages: Target languages with a measured accuracy, in the configuration's order.
        searched: Family to the configuration paths that it searches; paths that only follow another are left out.
        reference: The training accuracy that decides which models are fitted.
        fit: The share of it that a fitted model has.
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
    reference: Reference
    fit: float = FIT
    adaptive: frozenset[str] = frozenset()

    @cached_property
    def figure_rows(self) -> Rows:
        """The models as figures draw them; made once, so that all figures share one table."""
        return model_rows(self.models, self.searched)

    @cached_property
    def unfitted(self) -> str:
        """Why no family has two configurations or more among the fitted models."""
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
        """Configurations: means over seeds of the :meth:`usable` models, which explains ``fit`` and ``adaptive``.

        Returns:
            One row each: configuration, family, label, seeds and the columns; no row when a column is absent.
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
        """The identity and some columns of the models that have a finite value in all of those columns.

        An adaptive search picks its configurations by accuracy and Tr(F), so they are no independent sample of either:
        every correlation leaves them out.

        Args:
            columns: Columns of ``models``; where one does not exist no model is usable.
            fit: Share of the reference's training accuracy; None takes the declared one, 0 every model.
            adaptive: Also the models of an adaptive search.
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
        """Which columns have a finite value in every model that is usable for ``among``; none where no model is."""
        rows = self._rows(among, None, False)
        return [name for name in columns if len(rows) and np.isfinite(floats(self.models, name)[rows]).all()]

    def with_columns(self, columns: Mapping[str, ArrayLike]) -> StudyTables:
        """The study with further columns of its models [models]."""
        more = pd.DataFrame(columns, index=self.models.index)
        return replace(self, models=pd.concat([self.models, more], axis=1))

    def has(self, *columns: str) -> bool:
        """Whether any model, fitted or not, has a finite value in all of some columns."""
        values = [np.isfinite(floats(self.models, column)) for column in columns]
        return bool(np.logical_and.reduce(values).any())

    def dose(self, family: str) -> str | None:
        """The column of the one path that a family searches; None for no or several paths, or values not numeric."""
        paths = self.searched.get(family, [])
        if len(paths) != 1:
            return None
        column = f"config.{paths[0]}"
        values = pd.to_numeric(self.trials.loc[self.trials["arm"] == family, column], errors="coerce")
        return column if values.notna().all() else None


def tables(results: StudyResults) -> StudyTables:
    """The tables of a study for the sections."""
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
    """What each family searches, as study.json says."""
    declared = {arm["name"]: list(arm.get("search") or {}) for arm in study.get("config", {}).get("arms", [])}
    return {family: declared.get(family, []) for family in families}
