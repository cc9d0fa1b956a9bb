"""How numbers are written and where text may take them from."""

from __future__ import annotations

import json
import math

import pytest

from analysis.numbers import Number, Numbers, count, plain, write_p, write_value
from tests.analysis.synthetic import read_numbers


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [
        (-0.6249, "correlation", "-0.62"),
        (-0.004, "correlation", "0.00"),
        (12345.0, "count", "12,345"),
        (0.01234, "points", "1.23"),
        (-0.00001, "points", "0.00"),
        (0.4567, "percent", "45.7 %"),
        (1.0004, "ratio", "1.000"),
        (0.00012345, "general", "0.000123"),
    ],
)
def test_styles(value: float, style: str, text: str) -> None:
    assert write_value(value, style) == text


def test_p_is_never_zero() -> None:
    assert [write_p(p) for p in (0.0, 0.0009, 0.001, 0.0499, 0.1, 1.0)] == [
        "p < 0.001", "p < 0.001", "p = 0.001", "p = 0.0499", "p = 0.10", "p = 1.00",
    ]  # fmt: skip


NUMBERS = Numbers({
    "H1": Number(-0.5, "correlation", -0.7, -0.2, p=0.01, n=24, families=6, unit="configuration", method="m"),
    "bare": Number(None, "correlation", reason="x is constant within families"),
    "account.planned": count(24),
})  # fmt: skip


def test_text_takes_digits_from_numbers_only() -> None:
    text = NUMBERS.text(
        "r {H1}, {H1:p}, {H1:p_adjusted}, {H1:n} in {H1:families}; {bare}, {bare:interval}, {bare:reason}"
    )
    assert text == (
        "r -0.50 [-0.70, -0.20], p = 0.010, no p, 24 in 6; "
        "not defined (x is constant within families), no interval, x is constant within families"
    )
    with pytest.raises(KeyError, match="H9"):
        NUMBERS.text("{H9}")
    assert NUMBERS.text(plain("a {H9} from a {user}")) == "a {H9} from a {user}"


def test_marks_wrap_each_number() -> None:
    assert NUMBERS.text("n {H1:n}!", lambda key, digits: f"<{key}|{digits}>") == "n <H1|24>!"
    assert NUMBERS.explain("H1") == "n = 24; unit: configuration; 6 families; m; numbers.json: H1"


def test_json_round_trip_and_absent_is_absent() -> None:
    data = json.loads(json.dumps(NUMBERS.as_json(), allow_nan=False))
    assert "low" not in data["bare"]
    assert "value" not in data["bare"]
    back = read_numbers(data)
    assert dict(back) == dict(NUMBERS)
    assert len(back) == 3
    assert math.isclose(back["H1"].value or 0, -0.5)
