"""Does a headline survive its controls? Partial correlations given each control, and given all of them at once.

The accuracy before the second stage is no exact control. It is a binomial share, so holding it fixed leaves a part of
what it stands for; and it is measured on the rows of the gain, into which its error enters with a minus sign. So a
headline on the gain has to survive three readings of it: on the other half of the rows, on the same rows, and on the
same rows with the error taken out. Any one of them can be fooled alone (docs/statistics.md).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.association import CRITICAL, Association, centred, partial_correlation, within
from analysis.configurations import StudyTables
from analysis.declared import BEFORE, CORRECTED, SAME_ROWS, TOGETHER, TOGETHER_CORRECTED, Control, Hypothesis
from analysis.measurement_error import ErrorMoments, corrected
from analysis.numbers import Number, Status, from_association
from analysis.permutation import headline, permuted

HALVES = tuple(f"{half}.{what}" for half in ("half1", "half2") for what in ("accuracy_before", "gain"))
UNEVEN = 0.05  # halves keep rows of one sentence together, so each holds this much more or less than half of them
_REASONS = {"missing": "it was not measured in every fitted model", "constant": "it does not vary within families"}


def survive(tables: StudyTables, key: str, hypothesis: Hypothesis) -> dict[str, Number]:
    """Every control of a hypothesis.

    Args:
        tables: The study.
        key: The hypothesis' name.
        hypothesis: As declared.

    Returns:
        ``KEY.given.CONTROL`` for each control, with the status that decides how the verdict reads it.
    """
    base = (hypothesis.outcome, "ln_trace")
    found: dict[str, Number] = {}
    held = []
    for control in hypothesis.controls:
        status = _status(tables, base, control)
        if status == "tested":
            held.append(control)
            found |= _alone(tables, base, control)
        elif not (control.setting and status == "constant"):
            found[control.key] = Number(None, "correlation", reason=_REASONS[status], status=status)
    if len(held) > 1:
        found |= _together(tables, base, held)
    return {f"{key}.given.{name}": number for name, number in found.items()}


def _status(tables: StudyTables, base: tuple[str, str], control: Control) -> Status:
    if not tables.has(control.column) or len(tables.usable(*base, control.column)) < len(tables.usable(*base)):
        return "missing"
    means = tables.means(*base, control.column)
    spread = centred(means[control.column].to_numpy(), means["family"]) if len(means) else np.zeros(1)
    return "tested" if np.abs(spread).max() > 1e-9 * np.abs(means[control.column]).max() else "constant"


def _number(found: Association) -> Number:
    # Without an interval no degree of freedom is left, and a p says nothing.
    return replace(from_association(found), status="exhausted" if found.low is None else "tested")


def _alone(tables: StudyTables, base: tuple[str, str], control: Control) -> dict[str, Number]:
    means = tables.means(*base, control.column)
    y, x, held = (means[column] for column in (*base, control.column))
    plain = _number(headline(x, y, means["family"], [held]))
    if control.key != BEFORE:
        return {control.key: plain}
    halves = halves_of(tables)
    out = {BEFORE: plain} if halves is None else {BEFORE: _number(other_half(halves)), SAME_ROWS: plain}
    return out | {CORRECTED: _number(_weakest(tables, means, halves, []))}


def _together(tables: StudyTables, base: tuple[str, str], controls: list[Control]) -> dict[str, Number]:
    columns = [control.column for control in controls]
    means = tables.means(*base, *columns)
    held = [means[column] for column in columns]
    out = {TOGETHER: _number(headline(means[base[1]], means[base[0]], means["family"], held))}
    if controls[0].key == BEFORE:
        out[TOGETHER_CORRECTED] = _number(_weakest(tables, means, halves_of(tables), held[1:]))
    return out


def _weakest(
    tables: StudyTables, means: pd.DataFrame, halves: pd.DataFrame | None, exact: list[pd.Series[float]]
) -> Association:
    """The corrected partial correlation; the one that says least for the headline where two errors are possible."""
    x, y, before, groups = (means[column] for column in ("ln_trace", "gain", "accuracy_before", "family"))
    errors = error_of_before(tables, means, halves)
    if not errors:
        reason = "its error is unknown, as the number of validation rows is"
        return Association(None, None, None, None, len(means), 0, "", reason)
    sign = partial_correlation(x, y, groups).r or 0.0

    def doubt(found: Association) -> float:
        if found.r is None or found.p is None:
            return 2.0
        return found.p if found.r * sign > 0 else 2.0 - found.p

    return max((corrected(x, y, groups, before, exact, error) for error in errors), key=doubt)


def halves_of(tables: StudyTables) -> pd.DataFrame | None:
    """Configurations with the halves of the second stage's validation rows.

    Args:
        tables: The study.

    Returns:
        ln_trace, gain, accuracy_before and the columns of both halves; None where a model lacks them, or where they do
        not add up to the whole, as in a record that was changed by hand.
    """
    wanted = ("gain", "accuracy_before", "ln_trace")
    if not tables.has(*HALVES, *wanted) or len(tables.usable(*HALVES, *wanted)) < len(tables.usable(*wanted)):
        return None
    used = tables.usable(*wanted, *HALVES)
    for what in ("gain", "accuracy_before"):
        one, two = used[f"half1.{what}"], used[f"half2.{what}"]
        if (np.abs((one + two) / 2 - used[what]) > UNEVEN * np.abs(one - two) + 1e-9).any():
            return None
    return tables.means(*wanted, *HALVES)


def other_half(halves: pd.DataFrame) -> Association:
    """The gain on one half of the rows, given the accuracy before on the other; both ways, averaged.

    Args:
        halves: From :func:`halves_of`.

    Returns:
        The mean of both partial correlations; interval from the mean of their z, p by arranging both together.
    """
    parts = [
        within(halves["ln_trace"], halves[f"{gain}.gain"], halves["family"], [halves[f"{before}.accuracy_before"]])
        for gain, before in (("half1", "half2"), ("half2", "half1"))
    ]
    method = "mean of two partial correlations: gain on one half of the rows, accuracy before on the other"
    n, families = len(parts[0].x), len(parts[0].sizes)
    if reason := parts[0].reason or parts[1].reason:
        return Association(None, None, None, None, n, families, method, reason)
    z = float(np.mean([math.atanh(np.clip(part.r, -1 + 1e-12, 1 - 1e-12)) for part in parts]))
    p, how = permuted(parts)
    degrees = min(part.degrees for part in parts)
    if degrees < 1:
        return Association(math.tanh(z), None, None, p, n, families, f"{method}; {how}")
    half = CRITICAL / math.sqrt(degrees)
    return Association(math.tanh(z), math.tanh(z - half), math.tanh(z + half), p, n, families, f"{method}; {how}")


def error_of_before(tables: StudyTables, means: pd.DataFrame, halves: pd.DataFrame | None) -> list[ErrorMoments]:
    """What is known of the error of the accuracy before.

    With halves both moments are measured: what the halves do not share. Without them the variance is binomial, with
    the rows of all languages counted as independent, and its covariance with the error of the gain lies between 0 (the
    errors before and after are as one) and minus the variance (they are independent): both ends are returned.

    Args:
        tables: The study.
        means: Configurations with gain, accuracy_before and seeds.
        halves: From :func:`halves_of`.

    Returns:
        One or two possible errors; none where the number of rows is unknown.
    """
    if halves is not None:
        groups = halves["family"]
        table = centred(halves[[*HALVES, "gain", "accuracy_before"]].to_numpy(), groups)
        one, gain_one, two, gain_two, gain, before = table.T
        degrees = max(1, len(halves) - groups.nunique())
        shared = float(one @ two) / degrees
        crossed = float(gain_one @ two + gain_two @ one) / 2 / degrees
        return [ErrorMoments(float(before @ before) / degrees - shared, float(gain @ before) / degrees - crossed)]
    rows = rows_of_validation(tables)
    if rows is None:
        return []
    p = means["accuracy_before"].clip(0.0, 1.0)
    languages = max(1, sum(f"stage2.{language}.gain" in tables.models for language in tables.languages))
    variance = float((p * (1 - p) / (rows * languages * means["seeds"])).mean())
    return [ErrorMoments(variance, 0.0), ErrorMoments(variance, -variance)]


def rows_of_validation(tables: StudyTables) -> float | None:
    """Rows that validation accuracies are over: as recorded, else as the data were asked for.

    Args:
        tables: The study.

    Returns:
        The median over models; None where neither is known.
    """
    for column in ("validation_examples", "config.data.validation_examples"):
        if column in tables.models and len(known := pd.to_numeric(tables.models[column], errors="coerce").dropna()):
            return float(known.median())
    return None
