"""How a number is written in the report's sentences."""

from __future__ import annotations

from collections.abc import Callable

_WRITE: dict[str, Callable[[float], str]] = {
    "correlation": lambda v: f"{v:.2f}",
    "count": lambda v: f"{v:,.0f}",
    "points": lambda v: f"{100 * v:.2f}",
    "percent": lambda v: f"{100 * v:.1f} %",
    "ratio": lambda v: f"{v:.3f}",
    "share": lambda v: f"{100 * v:.3g} %",
    "general": lambda v: f"{v:.3g}",
}


def write_value(value: float, style: str) -> str:
    """A finite value in the way of its style ("points" are percentage points), without a minus before zero.

    Example:
        >>> write_value(-0.001, "correlation"), write_value(0.0123, "points")
        ('0.00', '1.23')
    """
    text = _WRITE[style](value)
    return text[1:] if text.startswith("-") and not text.strip("-0. %") else text


def write_p(p: float) -> str:
    """A p-value in words, with as many digits as show on which side of .05 it is.

    Example:
        >>> write_p(0.00004), write_p(0.0312), write_p(0.0498), write_p(0.4)
        ('p < 0.001', 'p = 0.031', 'p = 0.0498', 'p = 0.40')
    """
    if p < 0.001:
        return "p < 0.001"
    if f"{p:.3f}" == "0.050":
        return f"p = {p:.4f}"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
