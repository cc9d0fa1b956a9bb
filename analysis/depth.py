"""Tr(F) by depth: the layer groups of each model, gathered into embeddings, early, middle and late layers, and head."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.models import floats

TRACE, PARAMETERS = "fisher_trace_layers.", "fisher_trace_parameters."
DEPTHS = ("embeddings", "early", "middle", "late", "head")
_ABSENT = -1


@dataclass(frozen=True)
class Depths:
    """Which layer group of a model is at which depth.

    Attributes:
        names: Layer groups in the order of the network: embeddings, layers by number, head.
        places: Place among DEPTHS of each group in each model, -1 where the model has no such group [groups, models].
    """

    names: list[str]
    places: NDArray[np.intp]

    @classmethod
    def of(cls, models: pd.DataFrame) -> Depths:
        """The layer groups of some models.

        A layer is early, middle or late by the third that its centre lies in: (i + 1/2) / n for layer i of the n that
        the model has.
        """
        names = [str(column).removeprefix(TRACE) for column in models.columns if str(column).startswith(TRACE)]
        names.sort(key=lambda name: (*_order(name), name))
        kinds = np.array([_order(name)[0] for name in names], dtype=np.intp)[:, None]
        present = np.isfinite(_table(models, TRACE, names))
        layers = present & (kinds == 1)
        centres, count = 2 * np.cumsum(layers, axis=0) - 1, layers.sum(axis=0)  # twice (i + 1/2), and n
        thirds = 1 + (3 * centres >= 2 * count) + (3 * centres > 4 * count)
        places = np.where(layers, thirds, np.where(kinds == 0, 0, len(DEPTHS) - 1))
        return cls(names, np.where(present, places, _ABSENT))

    def parts(self, depth: str) -> list[str]:
        """The layer groups that are at a depth in some model, in order."""
        found = (self.places == DEPTHS.index(depth)).any(axis=1)
        return [name for name, there in zip(self.names, found, strict=True) if there]

    def sums(self, models: pd.DataFrame, prefix: str) -> dict[str, NDArray[np.float64]]:
        """TRACE or PARAMETERS (``prefix``) summed over the layer groups at each depth [models].

        NaN where a model has no such part, or it was not measured.
        """
        values, found = _table(models, prefix, self.names), {}
        for place, depth in enumerate(DEPTHS):
            chosen = self.places == place
            found[depth] = np.where(chosen.any(axis=0), np.where(chosen, values, 0.0).sum(axis=0), np.nan)
        return found


def _table(models: pd.DataFrame, prefix: str, names: list[str]) -> NDArray[np.float64]:
    return np.array([floats(models, prefix + name) for name in names]).reshape(len(names), len(models))


def _order(name: str) -> tuple[int, int]:
    """0 for embeddings, 1 for a layer, 2 for the head; then what goes first within it."""
    if "embed" in name:
        return 0, 0
    number = re.search(r"\d+$", name)
    return (1, int(number[0])) if number else (2, int(name != "pooler"))
