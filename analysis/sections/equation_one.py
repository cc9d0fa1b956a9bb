"""Equation 1 and H5: the KL divergence under parameter noise relative to what F predicts, by noise level and moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.configurations import StudyTables
from analysis.numbers import CONFIGURATION, Number, Numbers
from analysis.page import composition, figures
from analysis.page.document import Block, Figure, Found, Missing, Paragraph, Section, Table
from analysis.page.style import Axis
from analysis.rows import Rows, rows
from analysis.sections import curves, shared
from analysis.statistics.association import CRITICAL

MOST_PANELS = 6
BEFORE, END = "before training", "end of training"


@dataclass(frozen=True)
class EquationOne(Found):
    """Ratios by noise level, before training, during it and at its end.

    Attributes:
        numbers: H5 (at the smallest noise, at the end of training); kl_ratio.SIGMA at the end and kl_ratio.step-N.SIGMA
            before it, where SIGMA is the index of the noise level in ``sigmas``; and hutchinson.
        rows: Points with the fields family, label, series, moment, x, value and last.
        sigmas: Noise levels, ascending.
        moments: From the part of the id before SIGMA to the moment, in the order of training.
        drawn: Moments that have a panel.
        by_family: Whether each line is the mean of a family, not of a configuration.
    """

    rows: Rows
    sigmas: list[float]
    moments: dict[str, str]
    drawn: list[str]
    by_family: bool


def compute(tables: StudyTables) -> EquationOne | Missing:
    """Mean ratio over configurations at each noise level and moment, and Hutchinson's estimate over the exact trace."""
    points = tables.curves.loc[tables.curves["name"] == "kl_ratio"].dropna(subset=["x", "value"])
    points = points.merge(tables.models[curves.MODEL], on="trial_id")
    hutchinson = _hutchinson(tables)
    if points.empty:
        return Missing("no complete trial has a KL ratio (curve kl_ratio).", hutchinson)
    # The end is that of the stage, so a trial whose last ratio is undefined has no ratio at the end.
    stage = tables.curves.loc[tables.curves["stage"] == 0]
    ended = points["step"] == points["trial_id"].map(stage.groupby("trial_id")["step"].max())
    points["key"] = "kl_ratio.step-" + points["step"].astype(str)
    points.loc[ended, "key"] = "kl_ratio"
    steps = sorted(points.loc[~ended, "step"].unique().tolist())
    moments = {f"kl_ratio.step-{step}": f"step {step}" if step else BEFORE for step in steps}
    moments |= {"kl_ratio": END} if ended.any() else {}
    points["moment"] = points["key"].map(moments)
    sigmas = sorted(float(sigma) for sigma in points["x"].unique())
    numbers = hutchinson | {
        f"{key}.{place}": _mean(chosen)
        for key in moments
        for place, sigma in enumerate(sigmas)
        if len(chosen := points.loc[(points["key"] == key) & (points["x"] == sigma)])
    }
    if at_the_end := [key for place in range(len(sigmas)) if (key := f"kl_ratio.{place}") in numbers]:
        numbers["H5"] = numbers[at_the_end[0]]
    points, by_family = curves.by_line(points)
    names = list(moments.values())
    drawn = [names[i] for i in sorted(set(np.linspace(0, len(names) - 1, MOST_PANELS).round().astype(int).tolist()))]
    line = ["family", "label", "configuration"]
    means = curves.line_means(points.loc[points["moment"].isin(drawn)], line, "moment", "x")
    means["series"] += "/" + means["moment"]
    table = rows(means, ["family", "label", "series", "moment", "x", "value", "last"])
    return EquationOne(numbers, tables, table, sigmas, moments, drawn, by_family)


def _mean(points: pd.DataFrame) -> Number:
    """Mean over configurations, with Student's interval or, for a single one, that from its standard errors."""
    means = points.groupby("configuration")["value"].mean().to_numpy(dtype=np.float64)
    n, reason = len(means), "one configuration without a standard error"
    if n > 1:
        half = float(stdtrit(n - 1, 0.975) * means.std(ddof=1) / math.sqrt(n))
        method = "mean over configurations, Student's t interval"
    else:
        errors = points["standard_error"].to_numpy(dtype=np.float64)
        half = CRITICAL * float(np.sqrt((errors**2).sum())) / len(errors)
        method = "one configuration; interval from the standard error of its measurements"
    return _ratio(float(means.mean()), half, n, method, reason)


def _ratio(value: float, half: float, n: int, method: str, reason: str) -> Number:
    """A mean with its interval or, if the half-width is not finite, the reason."""
    found = Number(value, "ratio", n=n, unit=CONFIGURATION, method=method)
    if not math.isfinite(half):
        return replace(found, reason=reason)
    return replace(found, low=value - half, high=value + half)


def _hutchinson(tables: StudyTables) -> dict[str, Number]:
    """The ratio of the mean of eps^T F eps to the exact Tr(F) on the same examples, whose expectation is 1."""
    if not tables.has("expansion.quadratic", "expansion.trace"):
        return {}
    models = tables.models.reindex(columns=["configuration", "expansion.quadratic", "expansion.trace",
                                            "expansion.quadratic_se"])  # fmt: skip
    models = models.loc[models["expansion.trace"].astype(float) > 0].astype(float)
    if models.empty:
        return {}
    models["value"] = models["expansion.quadratic"] / models["expansion.trace"]
    models["variance"] = (models["expansion.quadratic_se"] / models["expansion.trace"]) ** 2
    groups = models.groupby("configuration")
    counts = groups.size()
    value, n = float(groups["value"].mean().mean()), len(counts)
    # Configurations share their directions, so their errors count as identical, and standard errors are averaged.
    half = CRITICAL * float((np.sqrt(groups["variance"].sum(min_count=1)) / counts).mean())
    method = "mean over configurations; interval from the standard error over directions, which configurations share"
    return {"hutchinson": _ratio(value, half, n, method, "one direction has no standard error")}


def draw(result: EquationOne, numbers: Numbers) -> list[Block]:
    """A panel for each moment with lines over the noise level, and a table of moments by noise level."""
    x = Axis.over("x", "sigma (standard deviation of the noise, log scale)", result.sigmas, log=True, number="~e")
    y = Axis.over("value", "", [*result.rows.column("value"), 1.0])
    size = (290, 190) if len(result.drawn) > 1 else (420, 260)
    looks = shared.families(result.tables)
    panels = [
        figures.lines("kl_ratio", x, y.of("value", f"KL ratio, {moment}"), looks,
                      where=f"datum.moment == '{moment}'", at=1.0, size=size)
        for moment in result.drawn
    ]  # fmt: skip
    line = "family (mean of its models)" if result.by_family else "configuration"
    caption = (
        "Equation 1: KL / (sigma^2 eps^T F eps / 2), mean over directions eps of the noise; 1 where the divergence is "
        f"what F says. A panel a moment, a line a {line}."
    )
    if len(result.drawn) < len(result.moments):
        caption += f" {len(result.drawn)} of {len(result.moments)} moments are drawn; the table has all."
    alternative = "Line charts of the KL ratio over the noise level"
    text = "Equation 1 says 1; no model has a defined ratio at the end of training."
    if "H5" in numbers:
        alternative += ", at the smallest noise and the end of training {H5}"
        text = "Equation 1 says 1; at the smallest noise, at the end of training, the ratio (H5) is {H5} over {H5:n} "
        text += "configurations."
    if "hutchinson" in numbers:
        text += (
            " Over the same directions the mean of eps^T F eps is {hutchinson} times the exact Tr(F) of the same "
            "examples ({hutchinson:n} configurations), where one is expected."
        )
    columns = range(len(result.sigmas))
    table = [
        [moment, *(f"{{{key}.{place}}}" if f"{key}.{place}" in numbers else "" for place in columns),
         f"{{{next(found for place in columns if (found := f'{key}.{place}') in numbers)}:n}}"]
        for key, moment in result.moments.items()
    ]  # fmt: skip
    headings = ["moment", *(f"sigma = {sigma:g}" for sigma in result.sigmas), "configurations"]
    spec = composition.row(panels, columns=2) if len(panels) > 1 else panels[0]
    return [
        Paragraph(text),
        Figure("equation-1", spec, {"kl_ratio": result.rows}, caption, f"{alternative}."),
        Table(headings, table, "The KL ratio [95 % interval] before, during and at the end of training."),
    ]


SECTION = Section("Equation 1", compute, draw)
