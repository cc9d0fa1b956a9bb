"""The measures beside Tr(F) that may predict an outcome, all turned so that it is declared to fall with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.models import floats

LARGER_IS_BETTER = ("margin",)  # every other measure is declared to fall with the outcome, as Tr(F) is
NOT_IN_LOGARITHMS = ("label_variance", "margin")  # every other measure is positive, of any size
COLUMNS = {  # measures beside measure.NAME: name -> column of the models
    "merged_trace": "fisher_trace.merged",  # Tr(F) over all weights, where only low-rank updates are trained
    **{name: name for name in ("path_curvature", "path_kl_en", "path_direction", "path_curvature_target")},
}
TURNED = "turned."


def with_measures(tables: StudyTables) -> tuple[StudyTables, list[str]]:
    """The study with every measure as a column ``turned.NAME`` of its models, and the names."""
    measured = [str(column) for column in tables.models.columns if str(column).startswith("measure.")]
    found = {column.removeprefix("measure."): column for column in measured}
    found = {name: column for name, column in (found | COLUMNS).items() if tables.has(column, "ln_trace")}
    columns = {}
    for name, column in found.items():
        values = floats(tables.models, column)
        if name not in NOT_IN_LOGARITHMS:  # of each model, as ln Tr(F) is
            values = np.log(values, out=np.full(len(values), np.nan), where=values > 0)
        columns[TURNED + name] = -values if name in LARGER_IS_BETTER else values
    models = pd.concat([tables.models, pd.DataFrame(columns, index=tables.models.index)], axis=1)
    return replace(tables, models=models), list(found)
