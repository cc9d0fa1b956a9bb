"""Which rows and columns of the trials table a person asks for: ``--where``, ``--sort``, ``--columns``."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from trainables.errors import InputError

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
CONDITION = re.compile(r"\s*([^=!<>\s]+)\s*(=|!=|<=|>=|<|>)\s*([^=\s].*?|)\s*")
NUMBERS = ("integer", "floating", "mixed-integer-float")


def check_options(trial: str | None, *, sort: str | None, descending: bool, json: bool, csv: bool, **rest: Any) -> None:
    """Raise an InputError for options of ``show`` that exclude each other; ``rest``: other options about all trials."""
    if trial is not None and (sort or descending or json or csv or any(rest.values())):
        raise InputError(
            f"options such as --where and --json choose among the trials of a study; leave them or {trial!r} out"
        )
    if json and csv:
        raise InputError("choose one of --json and --csv")
    if descending and sort is None:
        raise InputError("--descending needs --sort COLUMN")


def select(
    trials: pd.DataFrame,
    *,
    where: Sequence[str] = (),
    sort: str | None = None,
    descending: bool = False,
    columns: str | None = None,
) -> pd.DataFrame:
    """Some rows and columns of the trials table, in some order.

    Args:
        where: Conditions such as ``arm=fpen`` or ``accuracy.en>=0.6``; a row is kept when all hold. A missing value
            equals only ``null``, and is neither below nor above a number.
        sort: Column to sort by; a ``-`` before it puts the largest first. Rows without a value come last.
        descending: Put the largest first.
        columns: Columns to keep, separated by commas; None keeps all.

    Raises:
        InputError: A column is unknown, or a condition cannot be understood.
    """
    for condition in where:
        trials = trials[_holds(trials, condition)]
    if sort is not None:
        column = sort.removeprefix("-")
        check_columns([column], trials.columns)
        largest_first = descending or sort.startswith("-")
        trials = trials.sort_values(column, ascending=not largest_first, kind="stable", na_position="last")
    if columns is not None:
        names = list(dict.fromkeys(name.strip() for name in columns.split(",") if name.strip()))
        if not names:
            raise InputError("--columns takes names of columns with commas, got none")
        check_columns(names, trials.columns)
        trials = trials[names]
    return trials


def check_columns(names: Iterable[str], known: Iterable[str]) -> None:
    """Raise an InputError for a column that the trials table lacks, suggesting the nearest name."""
    known = list(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "--csv begins with all of them"
            raise InputError(f"the trials table has no column {name!r}; {hint}")


def _holds(trials: pd.DataFrame, condition: str) -> pd.Series[bool]:
    """Whether a condition holds for each row."""
    parts = CONDITION.fullmatch(condition)
    if parts is None:
        raise InputError(f"--where takes COLUMN, one of {' '.join(OPERATORS)}, and a value, got {condition!r}")
    name, sign, text = parts.groups()
    check_columns([name], trials.columns)
    column, missing = trials[name], trials[name].isna()
    equality = sign in ("=", "!=")
    if text == "null" and equality:
        return missing if sign == "=" else ~missing
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in NUMBERS:
        try:
            number = float(text)
        except ValueError:
            raise InputError(f"--where {condition}: column {name} holds numbers, got {text!r}") from None
        holds = OPERATORS[sign](column.astype(float), number)
    elif equality:
        words = column.map(lambda value: str(value).lower() if kind == "boolean" else str(value))
        holds = OPERATORS[sign](words, text)
    elif missing.all():
        holds = missing
    else:
        raise InputError(f"--where {condition}: column {name} holds no numbers; compare it with = or !=")
    kept: pd.Series[bool] = (holds & ~missing) | missing if sign == "!=" else holds & ~missing
    return kept
