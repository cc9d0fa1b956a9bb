"""Does a headline survive its controls? Partial correlations given each control alone and given all of them at once.

The accuracy before the second stage is not an exact control. It is a binomial share, so holding it fixed does not fully
hold fixed what it measures; and it is measured on the same rows as the gain, which its error enters with a minus sign.
So a headline on the gain must survive three versions of this control: on the other half of the rows, on the same rows,
and on the same rows with the error removed. Each of the three alone can mislead (docs/statistics.md).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.configurations import StudyTables
from analysis.numbers import Number, Status, from_association
from analysis.statistics.association import CRITICAL, Association, centred, partial_correlation, within
from analysis.statistics.measurement_error import ErrorMoments, corrected
from analysis.statistics.permutation import headline, permuted
from analysis.verdicts.declared import BEFORE, CORRECTED, HYPOTHESES, SAME_ROWS, TOGETHER, TOGETHER_CORRECTED, Control

HALVES = tuple(f"{half}.{what}" for half in ("half1", "half2") for what in ("accuracy_before", "gain"))
UNEVEN = 0.05  # halves keep rows of one sentence together, so their sizes may differ from half by this much
STEEPEST = 1.0  # a model that starts one point lower can gain at most one point more
_REASONS = {"missing": "it was not measured in every fitted model", "constant": "it does not vary within families"}


def survive(tables: StudyTables, key: str) -> dict[str, Number]:
    """Every control of a hypothesis as ``KEY.given.CONTROL``, with the status that tells the verdict how to use it."""
    hypothesis = HYPOTHESES[key]
    base = (hypothesis.outcome, "ln_trace")
    known = tables.known(base, [control.column for control in hypothesis.controls])
    halves = halves_of(tables) if BEFORE in known else None
    means = tables.means(*base, *known) if halves is None else halves
    y, x, groups = means[base[0]], means[base[1]], means["family"]
    found: dict[str, Number] = {}
    held: list[Control] = []
    for control in hypothesis.controls:
        status: Status = "missing"
        if control.column in known:
            status = "tested" if _varies(means, control) else "constant"
        if status == "tested":
            held.append(control)
            found[control.key] = _number(headline(x, y, groups, [means[control.column]]))
        elif not control.setting:
            found[control.key] = Number(None, "correlation", reason=_REASONS[status], status=status)
    columns = [control.column for control in held]
    if len(held) > 1:
        found[TOGETHER] = _number(headline(x, y, groups, [means[column] for column in columns]))
    if BEFORE in columns:
        errors = error_of_before(tables, means, halves)
        if halves is not None:
            found |= {SAME_ROWS: found[BEFORE], BEFORE: _number(other_half(halves))}
        if errors:
            found[CORRECTED] = _without_error(means, [], errors)
        if errors and len(held) > 1:
            exact = [means[column] for column in columns if column != BEFORE]
            found[TOGETHER_CORRECTED] = _without_error(means, exact, errors)
    return {f"{key}.given.{name}": number for name, number in found.items()}


def _varies(means: pd.DataFrame, control: Control) -> bool:
    spread = centred(means[control.column].to_numpy(), means["family"])
    return bool(np.abs(spread).max() > 1e-9 * np.abs(means[control.column]).max())


def _number(found: Association) -> Number:
    # Without an interval no degree of freedom is left, so that p is meaningless.
    return replace(from_association(found), status="exhausted" if found.low is None else "tested")


def _without_error(means: pd.DataFrame, exact: list[pd.Series[float]], errors: list[ErrorMoments]) -> Number:
    """The corrected partial correlation; if two errors are possible, the one that supports the headline less."""
    x, y, before, groups = (means[column] for column in ("ln_trace", "gain", BEFORE, "family"))
    sign = partial_correlation(x, y, groups).r or 0.0

    def doubt(found: Association) -> float:
        if found.r is None or found.p is None:
            return 2.0
        return found.p if found.r * sign > 0 else 2.0 - found.p

    return _number(max((corrected(x, y, groups, before, exact, error, STEEPEST) for error in errors), key=doubt))


def halves_of(tables: StudyTables) -> pd.DataFrame | None:
    """Configurations with ln_trace, gain, its controls, and both halves of the second stage's validation rows.

    None if a model lacks halves, or if they do not average to the whole, as in a record that was edited by hand.
    """
    base = ("gain", "ln_trace")
    wanted = [BEFORE, *HALVES]
    if tables.known(base, wanted) != wanted:
        return None
    used = tables.usable(*base, *wanted)
    for what in ("gain", BEFORE):
        one, two = used[f"half1.{what}"], used[f"half2.{what}"]
        if (np.abs((one + two) / 2 - used[what]) > UNEVEN * np.abs(one - two) + 1e-9).any():
            return None
    controls = [control.column for control in HYPOTHESES["H4"].controls]
    return tables.means(*base, *HALVES, *tables.known(base, controls))


def other_half(halves: pd.DataFrame) -> Association:
    """The gain on one half of the rows, given the accuracy before on the other half, averaged over both ways.

    The interval is from the mean of the two z, and p from permuting both together. ``halves``: see :func:`halves_of`.
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
    """The possible errors of the accuracy before: one or two; none if the number of rows is unknown.

    With halves, both moments are measured, as what the halves do not share. Without halves, the variance is binomial,
    counting the rows of all languages as independent, and the covariance with the error of the gain lies between 0 (the
    errors before and after are identical) and minus the variance (they are independent); both ends are returned.

    Args:
        means: Configurations with gain, accuracy_before and seeds.
        halves: From :func:`halves_of`.
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
    """Rows behind a validation accuracy: as recorded, or else as requested, or else at least those of Tr(F).

    The median over models; None if nothing is known.
    """
    for column in ("validation_examples", "config.data.validation_examples", "fisher_trace_examples"):
        if column in tables.models and len(known := pd.to_numeric(tables.models[column], errors="coerce").dropna()):
            return float(known.median())
    return None
