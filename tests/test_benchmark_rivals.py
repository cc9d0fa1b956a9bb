"""The benchmark of the rivals: everything is timed, and a bar that is missed is called so."""

from __future__ import annotations

from benchmarks.rivals import BARS, CHEAP, compare, measures, table

TINY = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}


def test_everything_is_timed_against_a_plain_pass() -> None:
    ratios = compare(measures(4, **TINY), rounds=1)
    assert ratios["plain pass"] == 1.0
    assert all(ratio >= 0 for ratio in ratios.values())
    assert {*CHEAP, *BARS} - {*ratios} == {"these four together"}


def test_a_missed_bar_is_called_so() -> None:
    ratios = dict.fromkeys(("plain pass", *CHEAP, "spectrum (three rivals)", "path of a language"), 1.0)
    lines = table(ratios | {"noise_scale": 0.0})
    assert "| these four together | 3.00 | 3: met |" in lines
    assert "| these four together | 4.00 | 3: NOT MET |" in table(ratios)
