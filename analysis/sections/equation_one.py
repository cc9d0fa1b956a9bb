"""Equation 1 and H5: KL divergence under parameter noise over half its variance times Tr(F)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis import figures
from analysis.association import CRITICAL
from analysis.configurations import StudyTables
from analysis.document import Block, Figure, Missing, Paragraph, Section, Table
from analysis.numbers import CONFIGURATION, Number, Numbers
from analysis.rows import Rows, rows
from analysis.sections import curves, shared
from analysis.style import Axis, Families


@dataclass(frozen=True)
class EquationOne:
    """Ratios over the noise.

    Attributes:
        numbers: H5 (at the smallest noise, at the end of training) and kl_ratio.SIGMA.
        rows: Points: family, label, series, step, x, value, last.
        sigmas: Noise levels, ascending.
        families: The families.
        by_family: A line is a family's mean, not a configuration's.
    """

    numbers: dict[str, Number]
    rows: Rows
    sigmas: list[float]
    families: Families
    by_family: bool


def compute(tables: StudyTables) -> EquationOne | Missing:
    """Mean ratio over configurations at each noise level, at the last step at which it was measured."""
    points = tables.curves.loc[tables.curves["name"] == "kl_ratio"].dropna(subset=["x", "value"])
    points = points.merge(tables.models[["trial_id", "configuration", "family", "label"]], on="trial_id")
    if points.empty:
        return Missing("no complete trial has a KL ratio (curve kl_ratio).")
    points["last"] = points["step"] == points.groupby("trial_id")["step"].transform("max")
    sigmas = sorted(points.loc[points["last"], "x"].unique().tolist())
    numbers = {f"kl_ratio.{place}": _mean(points.loc[points["last"] & (points["x"] == sigma)])
               for place, sigma in enumerate(sigmas)}  # fmt: skip
    numbers["H5"] = numbers["kl_ratio.0"]
    by_family = points["configuration"].nunique() > curves.MOST_LINES
    if by_family:
        points["configuration"], points["label"] = points["family"], points["family"] + ", mean of all models"
    key = ["family", "label", "configuration", "step", "x"]
    means = pd.DataFrame(points.groupby(key, as_index=False)["value"].mean())
    means["series"] = means["configuration"].astype(str) + "/" + means["step"].astype(str)
    means["last"] = means["x"] == means.groupby("series")["x"].transform("max")
    table = rows(means, ["family", "label", "series", "step", "x", "value", "last"])
    looks = shared.families(tables)
    return EquationOne(numbers, table, [float(sigma) for sigma in sigmas], looks, by_family)


def _mean(points: pd.DataFrame) -> Number:
    """Mean over configurations with Student's interval; for one configuration, from its own standard error."""
    means = points.groupby("configuration")["value"].mean().to_numpy(dtype=np.float64)
    n, value = len(means), float(means.mean())
    if n > 1:
        half = float(stdtrit(n - 1, 0.975) * means.std(ddof=1) / math.sqrt(n))
        method = "mean over configurations, Student's t interval"
        return Number(value, "ratio", value - half, value + half, 0.95, n=n, unit=CONFIGURATION, method=method)
    errors = points["standard_error"].to_numpy(dtype=np.float64)
    half = CRITICAL * float(np.sqrt((errors**2).sum())) / len(errors)
    method = "one configuration; interval from the standard error of its measurements"
    if not math.isfinite(half):
        reason = "one configuration without a standard error"
        return Number(value, "ratio", n=n, unit=CONFIGURATION, method=method, reason=reason)
    return Number(value, "ratio", value - half, value + half, 0.95, n=n, unit=CONFIGURATION, method=method)


def draw(result: EquationOne, numbers: Numbers) -> list[Block]:
    """Lines over the noise, and a table."""
    x = Axis.over("x", "sigma (standard deviation of the noise, log scale)", result.sigmas, log=True, number="~e")
    y = Axis.over("value", "KL / (sigma^2 Tr(F) / 2)", [*result.rows.column("value"), 1.0])
    chart = figures.lines("kl_ratio", x, y, result.families, where="true", at=1.0, size=(420, 260))
    caption = "Equation 1: the ratio is 1 where the divergence is what Tr(F) says; one line a " + (
        "family (mean of its models) and step." if result.by_family else "configuration and step."
    )
    alternative = "Line chart of the KL ratio over the noise level; at the smallest noise it is {H5}."
    text = "Equation 1 says 1; at the smallest noise the ratio (H5) is {H5} over {H5:n} configurations."
    table = [
        [f"{sigma:g}", f"{{kl_ratio.{place}}}", f"{{kl_ratio.{place}:n}}"] for place, sigma in enumerate(result.sigmas)
    ]
    return [
        Paragraph(text),
        Figure("equation-1", figures.finish(chart), {"kl_ratio": result.rows}, caption, alternative),
        Table(["sigma", "ratio [95 % interval]", "configurations"], table, "The KL ratio at the end of training."),
    ]


SECTION = Section("Equation 1", compute, draw)
