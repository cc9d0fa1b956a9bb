"""Methods and provenance: what was declared, how the numbers are computed, and the trials' hardware and software."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis.numbers import Numbers, plain
from analysis.page.document import Block, Found, Paragraph, Section, Table
from analysis.rows import short_path, value_text
from analysis.verdicts.declared import HYPOTHESES

PROTOCOL = (
    "model.name", "model.revision", "data.name", "data.source", "data.train_examples", "data.stage2_examples",
    "data.validation_examples", "data.split", "stages.0.epochs", "stages.0.batch_size", "stages.0.selection",
    "stages.0.optimizer.learning_rate", "stages.0.consistency.preset", "stages.1.epochs",
    "stages.1.optimizer.learning_rate", "measure.trace_examples",
)  # fmt: skip
PROVENANCE = ("run", "device", "host", "cpus", "precision", "data_fingerprint", "model_fingerprint", "commit", "dirty")
UNIT = (
    "Unit: a configuration, the mean over its seeds of the outcome and of ln Tr(F). A family is an arm; a family of "
    "one configuration is drawn, not counted. Fitted models: training accuracy at least {account.fit} of the "
    "reference's; the others are hollow marks, left out of every correlation unless it says otherwise. Headline: "
    "partial Pearson correlation given family; two-sided p by permuting configurations within families (all "
    "arrangements up to 10,000, else 9,999 random ones); 95 % interval by Fisher's z with the variance of r over "
    "permutations within families. For families of equal spread this gives the textbook's n - (families - 1) - 3 "
    "degrees; where one family has most of the spread, the interval is wider, as the textbook's covers too little "
    "(benchmarks/statistics.py); it is never narrower. Given controls, the residuals are permuted (Freedman and "
    "Lane). H2 is the headline with the rank of the weight within its family and ln Tr(F): the weight is set by the "
    "experimenter, so it has no controls. H3 is over all models, since choosing a weight by accuracy does not depend "
    "on how well a model fitted. Holm over H1 to H4; the p of a control is adjusted as the headline's would be in its "
    "place. Everything else is secondary, with unadjusted p. docs/statistics.md gives the reasons and what simulated "
    "studies say about the rules."
)
WORDS = (
    "Words: supported = adjusted p below .05 and the declared sign, with all models that fitted and given every "
    "control (H3: equivalent within one point); contradicted = the same with the other sign (H3: different by more "
    "than one point); explained = adjusted p below .05, but given some control p is .05 or above, or the sign is "
    "reversed; no association = the interval lies inside -.3 to .3; undecided = none of these, or a control was not "
    "measured. H5 is supported when the 95 % interval of the ratio lies within a tenth of 1."
)


def _distinct(values: pd.Series[Any]) -> str:
    found = values.dropna().map(value_text).value_counts()
    if len(found) <= 1:
        return "".join(found.index)
    listed = ", ".join(f"{value} ({times} trials)" for value, times in found.iloc[:6].items())
    return listed + (f", and {len(found) - 6} more" if len(found) > 6 else "")


def _rows(trials: pd.DataFrame, columns: Iterable[str]) -> list[list[str]]:
    """The given columns that have values, each with its distinct values."""
    known = ((column, _distinct(trials[column])) for column in columns if column in trials)
    return [[short_path(column), plain(text)] for column, text in known if text]


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """What was declared, and tables of the settings and the provenance."""
    trials, study = result.tables.trials, result.tables.study
    declared = [
        [key, h.text, h.population, "; ".join(control.name for control in h.controls) or "none"]
        for key, h in HYPOTHESES.items()
    ]
    headings = ["", "hypothesis", "over", "controls, each alone and all together"]
    description = str(study.get("description") or "")
    protocol = _rows(trials, [f"config.{path}" for path in PROTOCOL])
    versions = [column for column in map(str, trials) if column.startswith("version.")]
    provenance = [["planned", str(study.get("created") or "")], *_rows(trials, [*PROVENANCE, *versions])]
    return [
        *([Paragraph(plain(" ".join(description.split())))] if description else []),
        Table(headings, declared, "Declared before looking."),
        Paragraph(UNIT),
        Paragraph(WORDS),
        Table(["setting", "value"], protocol, "Protocol; several values where an arm searches the setting."),
        Table(["", "value"], provenance, "With what the trials ran."),
    ]


SECTION = Section("Methods and provenance", lambda tables: Found({}, tables), draw)
