"""The numbers that the report quotes, each with its n, interval, unit and method, and the one way to quote them.

``numbers.json`` is this table. Text names a number as ``{id}`` or ``{id:field}``; only :class:`Numbers` writes digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from analysis.statistics.association import Association

Status = Literal["tested", "constant", "missing", "exhausted"]
Style = Literal["correlation", "count", "points", "percent", "ratio", "general", "share"]
CONFIGURATION = "configuration (mean over its seeds)"
_WRITE: dict[Style, Callable[[float], str]] = {
    "correlation": lambda v: f"{v:.2f}",
    "count": lambda v: f"{v:,.0f}",
    "points": lambda v: f"{100 * v:.2f}",
    "percent": lambda v: f"{100 * v:.1f} %",
    "ratio": lambda v: f"{v:.3f}",
    "share": lambda v: f"{100 * v:.3g} %",
    "general": lambda v: f"{v:.3g}",
}
_REFERENCE = re.compile(r"\{\{|\{([A-Za-z][\w.=-]*)(?::([a-z_]+))?\}")


@dataclass(frozen=True)
class Number:
    """One number, with what a referee would ask about it.

    Attributes:
        value: The estimate; None if it is not defined.
        level: Confidence level of the interval from ``low`` to ``high``.
        p: Two-sided, unadjusted.
        p_adjusted: p after Holm, for a hypothesis over H1 to H4 and for a difference over the measures of its outcome.
        n: Number of units that it rests on.
        unit: What one unit is, which is also what is permuted or resampled.
        method: How estimate, interval and p are computed.
        reason: Why there is no value.
        needed: Number of units that would decide, where the verdict is "undecided".
        status: Of a control: tested; constant within families; missing from the records; or exhausted
            (given it, nothing is left to correlate).
    """

    value: float | None
    style: Style
    low: float | None = None
    high: float | None = None
    level: float | None = field(init=False)
    p: float | None = None
    p_adjusted: float | None = None
    n: int | None = None
    families: int | None = None
    unit: str | None = None
    method: str | None = None
    reason: str | None = None
    needed: int | None = None
    status: Status | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", None if self.low is None else 0.95)


def from_association(found: Association, unit: str = CONFIGURATION) -> Number:
    """A correlation, as a number of the report."""
    return Number(
        found.r, "correlation", found.low, found.high, found.p, None, found.n, found.families, unit, found.method,
        found.reason,
    )  # fmt: skip


def count(value: int) -> Number:
    """A plain count."""
    return Number(float(value), "count")


class Numbers(dict[str, Number]):
    """All numbers of a report, by id."""

    def quote(self, key: str, field: str | None = None) -> str:
        """Value and interval as text, or one field: value, interval, p, p_adjusted, n, families, needed or reason."""
        number = self[key]
        if field is None and number.value is None:
            return f"not defined ({number.reason})" if number.reason else "not defined"
        if field is None:
            return self.quote(key, "value") + (f" {self.quote(key, 'interval')}" if number.low is not None else "")
        if field == "value":
            return "not defined" if number.value is None else write_value(number.value, number.style)
        if field == "interval":
            if number.low is None or number.high is None:
                return "no interval"
            return f"[{write_value(number.low, number.style)}, {write_value(number.high, number.style)}]"
        found = getattr(number, field)
        if field in ("p", "p_adjusted"):
            return "no p" if found is None else write_p(found)
        return f"{found:,}" if isinstance(found, int) else found or "none"

    def text(self, template: str, mark: Callable[[str, str], str] | None = None) -> str:
        """The text of a template, with its numbers filled in.

        Args:
            template: Text with references ``{id}`` or ``{id:field}``.
            mark: Wraps the digits, given id and digits, for a page that shows where each number comes from.

        Example:
            >>> Numbers({"account.planned": count(24)}).text("{account.planned} trials")
            '24 trials'
        """

        def fill(match: re.Match[str]) -> str:
            if match[1] is None:
                return "{"
            digits = self.quote(match[1], match[2])
            return mark(match[1], digits) if mark else digits

        return _REFERENCE.sub(fill, template)

    def explain(self, key: str) -> str:
        """What a number rests on, in one line: number of units, unit, families, method and id."""
        number = self[key]
        parts = [f"n = {number.n:,}" if number.n is not None else "", f"unit: {number.unit}" if number.unit else ""]
        parts += [f"{number.families} families" if number.families else "", number.method or "", f"numbers.json: {key}"]
        return "; ".join(part for part in parts if part)

    def adjusted(self, p_values: Mapping[str, float]) -> Numbers:
        """A copy with adjusted p-values at some ids."""
        return Numbers(self | {key: replace(self[key], p_adjusted=p) for key, p in p_values.items()})

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Plain data, from id to fields, without those that are absent."""
        return {
            key: {name: value for name, value in asdict(number).items() if value is not None}
            for key, number in self.items()
        }


def write_value(value: float, style: Style) -> str:
    """A finite value as its style prescribes ("points" are percentage points); zero has no minus sign.

    Example:
        >>> write_value(-0.001, "correlation"), write_value(0.0123, "points")
        ('0.00', '1.23')
    """
    text = _WRITE[style](value)
    return text[1:] if text.startswith("-") and not text.strip("-0. %") else text


def write_p(p: float) -> str:
    """A p-value as text, with enough digits to show on which side of .05 it lies.

    Example:
        >>> write_p(0.00004), write_p(0.0312), write_p(0.0498), write_p(0.4)
        ('p < 0.001', 'p = 0.031', 'p = 0.0498', 'p = 0.40')
    """
    if p < 0.001:
        return "p < 0.001"
    if f"{p:.3f}" == "0.050":
        return f"p = {p:.4f}"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def plain(text: str) -> str:
    """Any text, from a record or a user, as a template that yields exactly that text.

    Example:
        >>> Numbers({}).text(plain("KeyError: {x}"))
        'KeyError: {x}'
    """
    return text.replace("{", "{{")


def listed(names: Sequence[str], last: str = "and") -> str:
    """One or more names, listed as in a sentence.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), names[-1])))
