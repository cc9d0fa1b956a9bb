"""Power and sample size: closed forms against simulation and against each other."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from analysis.statistics.permutation import headline
from analysis.statistics.power import degrees_of_freedom, degrees_to_decide, planned_power, power_at
from analysis.verdicts.declared import HYPOTHESES
from study.plan.loading import load_study
from study.sweep.answer import print_power


def test_power_agrees_with_simulation() -> None:
    groups = np.repeat(np.arange(4), 5)
    hits = 0
    for seed in range(200):
        x, noise = np.random.default_rng(seed).normal(size=(2, 20))
        hits += headline(x, -0.6 * x + 0.8 * noise, groups).p < 0.05
    assert hits / 200 == pytest.approx(planned_power([5] * 4)[0.6], abs=0.09)


def test_power_of_nothing_is_nothing() -> None:
    assert planned_power([]) == {0.4: 0.0, 0.6: 0.0, 0.8: 0.0}
    assert planned_power([1, 1, 1])[0.8] == 0.0
    assert power_at(0.0, 20) == pytest.approx(0.05)
    assert degrees_of_freedom([6]) == 3


def test_more_configurations_more_power() -> None:
    powers = [planned_power([n] * 5)[0.4] for n in (3, 5, 8, 20)]
    assert powers == sorted(powers)


@pytest.mark.parametrize("r", [-0.5, -0.2, 0.0, 0.1, 0.29, 0.31, 0.9, 1.0])
def test_needed_degrees_decide(r: float) -> None:
    import math

    half = 1.959964 / math.sqrt(degrees_to_decide(r))
    z = math.atanh(min(abs(r), 0.999))
    assert z - half > -1e-6 or z + half < math.atanh(0.3) + 1e-6


def test_more_hypotheses_ask_for_more() -> None:
    assert degrees_to_decide(-0.4, tests=4) > degrees_to_decide(-0.4)


def test_a_dry_run_imports_nothing_heavy() -> None:
    heavy = "[m for m in ('numpy', 'scipy', 'pandas', 'altair') if m in sys.modules]"
    code = f"import sys, analysis.statistics.power; print({heavy})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_verdict_that_survives_its_controls_has_the_power_of_five_degrees_less() -> None:
    assert planned_power([6] * 6, controls=3)[0.6] == pytest.approx(power_at(0.6, 36 - 5 - 3 - 3 - 2))
    assert planned_power([6] * 6, controls=0) == planned_power([6] * 6)


@pytest.mark.parametrize("name", ["xnli", "pawsx"])
def test_the_papers_studies_can_reach_a_verdict_at_six_tenths(name: str) -> None:
    study = load_study(name)
    groups = [len(arm.points(study.base)) for arm in study.arms]
    controls = sum(not control.setting for control in HYPOTHESES["H1"].controls)
    assert planned_power([count for count in groups if count > 1], controls)[0.6] >= 0.8


def test_the_dry_run_says_what_a_plan_cannot_know() -> None:
    text = io.StringIO()
    print_power(load_study("xnli"), Console(file=text, width=400))
    assert "power of the headline test by within-family correlation: 0.61 at 0.4, 0.96 at 0.6, 1.00 at 0.8" in (
        text.getvalue()
    )
    assert (
        "power of a verdict that survives its controls, at 0.6: 0.91 if every model fits its training data (which no "
        "plan can know), 0.63 if a quarter of each family does not"
    ) in text.getvalue()
