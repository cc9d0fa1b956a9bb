"""The sign error of a predictor in a study, over pairs of configurations that differ in one hyperparameter.

Jiang et al. (2020) and Dziugaite et al. (2020) compare models that differ in one aspect of their training; here these
are two configurations of the same family.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.configurations import StudyTables
from analysis.numbers import Number
from analysis.statistics.comparison import sign_error

LARGEST_FAMILY = 1_000  # with more configurations, an evenly spaced subset is used


@dataclass(frozen=True)
class Pairs:
    """Pairs of configurations of one family that differ in exactly one searched hyperparameter.

    Attributes:
        left: The number of one configuration of each pair [m].
        right: The number of the other [m].
        configurations: An upper bound, which no configuration's number reaches.
    """

    left: NDArray[np.intp]
    right: NDArray[np.intp]
    configurations: int

    @classmethod
    def of(cls, tables: StudyTables) -> Pairs:
        """All pairs of a study, whether or not their models fitted."""
        first = tables.models.drop_duplicates("configuration")
        left, right = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
        for family, rows in first.groupby("family"):
            paths = [f"config.{path}" for path in tables.searched.get(str(family), [])]
            values, codes = rows[paths].astype(str).reset_index(drop=True), rows["configuration"].to_numpy(np.intp)
            for path in paths:
                others = [other for other in paths if other != path]
                groups = values.groupby(others).indices.values() if others else [np.arange(len(values))]
                for members in groups:
                    kept = codes[members[:: -(-len(members) // LARGEST_FAMILY)]]
                    i, j = np.triu_indices(len(kept), 1)
                    left.append(kept[i])
                    right.append(kept[j])
        return cls(np.concatenate(left), np.concatenate(right), len(tables.models))

    def sign_error(self, means: pd.DataFrame, x: ArrayLike, y: ArrayLike) -> Number:
        """The share of pairs in which a predictor x [n] ranks y [n] against the declared, negative sign.

        Args:
            means: The configurations that count, one row per value [n].
        """
        place = np.full(self.configurations, -1)
        place[means["configuration"].to_numpy()] = np.arange(len(means))
        left, right = place[self.left], place[self.right]
        both = (left >= 0) & (right >= 0)
        found = sign_error(x, y, left[both], right[both])
        method = "share of pairs of one family that differ in one hyperparameter and are ranked against the declared"
        return Number(
            found.value, "ratio", found.low, found.high, n=found.n,
            unit="pair of configurations", method=f"{method} sign; score interval (Esscher)",
            reason=None if found.n else "no two configurations of a family differ in one hyperparameter only",
        )  # fmt: skip
