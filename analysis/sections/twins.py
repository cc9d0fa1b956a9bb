"""Rescaled twins: how much each measure changes when the function does not, and how much between configurations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.configurations import StudyTables
from analysis.models import floats, logarithm
from analysis.numbers import CONFIGURATION, Number, Numbers, count
from analysis.page.document import Block, Found, Missing, Paragraph, Section, Table
from trainables.measuring.measurements import SAME_FUNCTION

PREFIX = "twin."
UNCHANGED = 1e-3  # relative change up to which a measure counts as unchanged


def _twins(tables: StudyTables) -> tuple[list[str], list[str]]:
    """The exponents of the twins, and the measures taken on them, where fisher_trace is Tr(F)."""
    found = [name.removeprefix(PREFIX).partition(".") for name in map(str, tables.models) if name.startswith(PREFIX)]
    measures = [name for name in dict.fromkeys(name for _, _, name in found) if name != "logit_change"]
    return list(dict.fromkeys(exponent for exponent, _, _ in found)), measures


def compute(tables: StudyTables) -> Found | Missing:
    """The largest factor between a twin and its model, a geometric mean over models, and that between configurations.

    The numbers are twin.MEASURE, the same with .configurations, and twin.left_out.
    """
    exponents, measures = _twins(tables)
    changes = {k: floats(tables.models, f"{PREFIX}{k}.logit_change") for k in exponents}
    if not any(np.isfinite(change).any() for change in changes.values()):
        return Missing("no complete trial has rescaled twins (measure.twins).")
    left_out = sum(int((change > SAME_FUNCTION).sum()) for change in changes.values())
    numbers = {"twin.left_out": count(left_out)}
    for name in measures:
        column = "fisher_trace" if name == "fisher_trace" else f"measure.{name}"
        measured = floats(tables.models, column)
        twins = [
            np.where(changes[k] <= SAME_FUNCTION, floats(tables.models, f"{PREFIX}{k}.{name}"), np.nan)
            for k in exponents
        ]
        with np.errstate(divide="ignore"):
            ratios = np.array(twins) / measured
        numbers[f"twin.{name}"] = _largest(ratios)
        numbers[f"twin.{name}.configurations"] = _span(tables, column)
    return Found(numbers, tables)


def _largest(ratios: NDArray[np.float64]) -> Number:
    """The largest of ratios [twins, models], geometric mean over models; none if a measure is 0 or changes sign."""
    largest = np.fmax.reduce(np.abs(logarithm(ratios)))
    known = largest[np.isfinite(largest)]
    method = "largest factor between a twin and its model, geometric mean over models"
    if not len(known):
        return Number(None, "ratio", n=0, unit="trial", method=method, reason="no twin has a ratio to its model")
    return Number(float(np.exp(known.mean())), "ratio", n=len(known), unit="trial", method=method)


def _span(tables: StudyTables, column: str) -> Number:
    """The largest mean of a configuration divided by the smallest, over fitted models."""
    means = np.abs(values) if ((values := tables.means(column)[column].to_numpy(np.float64)) < 0).all() else values
    method = "largest mean of a configuration divided by the smallest, fitted models"
    if len(means) < 2 or not (means > 0).all():
        reason = "one configuration alone" if len(means) < 2 else "it is not of one sign"
        return Number(None, "ratio", n=len(means), unit=CONFIGURATION, method=method, reason=reason)
    return Number(float(means.max() / means.min()), "ratio", n=len(means), unit=CONFIGURATION, method=method)


def _title(name: str) -> str:
    return "Tr(F)" if name == "fisher_trace" else name


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """Sentences on what moved, the farthest first, and what did not, and a table."""
    _, measures = _twins(result.tables)
    factors = {name: value for name in measures if (value := numbers[f"twin.{name}"].value) is not None}
    moved = sorted((name for name in factors if factors[name] > 1 + UNCHANGED), key=lambda name: -factors[name])
    unchanged = [name for name in factors if name not in moved]
    undefined = [name for name in measures if name not in factors]
    trace, between = numbers["twin.fisher_trace"], numbers["twin.fisher_trace.configurations"]
    text = []
    if trace.value is not None:
        text.append(
            "Where the function stays, Tr(F) moved by a factor of {twin.fisher_trace} at the most, mean over "
            "{twin.fisher_trace:n} models."
        )
        if between.value is not None:
            text.append("Between configurations it spans a factor of {twin.fisher_trace.configurations}.")
    listed = (("Moved", moved), ("Did not move", unchanged), ("Without a ratio", undefined))
    text += [f"{what}: {', '.join(map(_title, names))}." for what, names in listed if names]
    if numbers["twin.left_out"].value:
        text.append(f"{{twin.left_out}} twins are left out: their logits moved by more than {SAME_FUNCTION:.2%}.")
    rows = []
    for name in (*moved, *unchanged, *undefined):
        span = numbers[f"twin.{name}.configurations"]
        factor = f"{{twin.{name}}}" if name in moved else "unchanged" if name in unchanged else ""
        rows.append([_title(name), factor, "" if span.value is None else f"{{twin.{name}.configurations}}"])
    caption = (
        "Queries times a and keys divided by a in every layer: the same function at other parameters. Largest factor "
        f"by which a measure moves, geometric mean over models (unchanged: within {UNCHANGED:.1%}), beside the largest "
        "configuration divided by the smallest. What moves as far on twins as between configurations depends on the "
        "parametrisation as much as on the training."
    )
    return [
        Paragraph(" ".join(text)),
        Table(["measure", "same function: factor", "configurations: factor"], rows, caption, sortable=True),
    ]


SECTION = Section("The same function, rescaled", compute, draw)
