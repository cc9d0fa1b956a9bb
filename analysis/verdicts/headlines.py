"""The headline of a hypothesis: over fitted models, repeated over other populations, and given each control."""

from __future__ import annotations

from dataclasses import replace

from analysis.configurations import StudyTables
from analysis.numbers import Number, from_association
from analysis.population import SENSITIVITY
from analysis.statistics.association import NO_FAMILY
from analysis.statistics.permutation import headline
from analysis.verdicts.controls import survive
from analysis.verdicts.declared import HYPOTHESES

EVERYTHING = "with_all"


def headline_numbers(tables: StudyTables, key: str) -> dict[str, Number]:
    """The correlation of the outcome of H1 or H4 with ln Tr(F) over configurations, given family.

    The numbers are KEY, KEY.with_all, KEY.at.90, KEY.at.98 and KEY.given.CONTROL.
    """
    outcome = HYPOTHESES[key].outcome
    numbers = {key: over(tables, outcome), f"{key}.{EVERYTHING}": over(tables, outcome, 0.0)}
    for percent, share in SENSITIVITY.items():
        numbers[f"{key}.at.{percent}"] = over(tables, outcome, share)
    if numbers[key].value is not None:
        numbers |= survive(tables, key)
    return numbers


def over(tables: StudyTables, outcome: str, fit: float | None = None) -> Number:
    """The correlation of an outcome with ln Tr(F) over one population (``fit`` as in :meth:`StudyTables.usable`).

    If there is none, its reason says what the population lacks.
    """
    means = tables.means(outcome, "ln_trace", fit=fit)
    number = from_association(headline(means["ln_trace"], means[outcome], means["family"]))
    if fit == 0 or number.reason != NO_FAMILY:
        return number
    if tables.means("ln_trace", fit=fit)["family"].duplicated().any():
        return replace(number, reason="in no family do two fitted configurations have this outcome, in every language")
    return replace(number, reason=tables.unfitted)
