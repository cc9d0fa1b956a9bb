"""Do the report's statistics keep what they promise? 4,000 simulated studies for each design, seeds 0 to 3999.

Usage: python -m benchmarks.statistics

A study has 6 families of 4 (or 6) configurations with 3 seeds each. Families shift both variables by several times the
spread within them. Configurations have a bivariate normal effect and seeds bivariate normal noise of their own
correlation; the correlation of configuration means over 3 seeds, given family, is the truth and is set to 0 (the null)
or -.6. "unequal" families spread by a lognormal factor (standard deviation of the logarithm 0.7), shared by both
variables. Bars: rejection of a true null 4.2 to 5.8 %, coverage of 95 % intervals 94 to 96.5 %.
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.association import CRITICAL, partial_correlation
from analysis.comparison import difference, sign_error
from analysis.permutation import headline
from analysis.power import planned_power

STUDIES = 4_000
SEEDS = 3
SEED_SPREAD = 0.45  # of one seed, against 1 for a configuration
RIVAL = 0.5  # correlation of the rival measure with x
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Scenario:
    """One row of the table."""

    truth: float
    seed_noise: float
    unequal: float = 0.0


SCENARIOS = (
    Scenario(0.0, 0.5),
    Scenario(0.0, -0.5),
    Scenario(0.0, 0.5, unequal=0.7),
    Scenario(-0.6, -0.6),
    Scenario(-0.6, 0.5),
    Scenario(-0.6, -0.6, unequal=0.7),
)


def draw(seed: int, families: int, size: int, scenario: Scenario) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Configuration means of x, y and a rival of x [families, size]."""
    rng = np.random.default_rng(seed)
    noise = SEED_SPREAD**2 / SEEDS
    between = scenario.truth * (1 + noise) - scenario.seed_noise * noise
    x, other = rng.standard_normal((2, families, size))
    y = between * x + math.sqrt(1 - between**2) * other
    e, other = SEED_SPREAD * rng.standard_normal((2, families, size, SEEDS))
    x, y = x + e.mean(-1), y + (scenario.seed_noise * e + math.sqrt(1 - scenario.seed_noise**2) * other).mean(-1)
    rival = RIVAL * x + math.sqrt((1 - RIVAL**2) * (1 + noise)) * rng.standard_normal((families, size))
    spread = np.exp(scenario.unequal * rng.standard_normal((families, 1)))
    shift = 3 * rng.standard_normal((3, families, 1))
    return x * spread + shift[0], y * spread + shift[1], rival * spread + shift[2]


def simulate(families: int, size: int, scenario: Scenario) -> dict[str, float]:
    """Shares over all studies: rejections, and intervals that hold the truth."""
    groups = np.repeat(np.arange(families), size)
    left, right = (np.concatenate([i + size * f for f in range(families)]) for i in np.triu_indices(size, 1))
    rank_truth = 6 / math.pi * math.asin(scenario.truth / 2)
    sign_truth = 0.5 + math.asin(scenario.truth) / math.pi
    plain = CRITICAL / math.sqrt(families * size - (families - 1) - 3)
    hits = dict.fromkeys(("rejected", "headline", "methods", "ranks", "rank_rejected", "difference", "sign_error"), 0)
    for seed in range(STUDIES):
        x, y, rival = (values.ravel() for values in draw(seed, families, size, scenario))
        found, ranks = headline(x, y, groups), partial_correlation(x, y, groups, ranks=True)
        hits["rejected"] += found.p < 0.05
        hits["headline"] += found.low <= scenario.truth <= found.high
        hits["methods"] += abs(math.atanh(found.r) - math.atanh(scenario.truth)) <= plain
        hits["rank_rejected"] += ranks.p < 0.05
        hits["ranks"] += ranks.low <= rank_truth <= ranks.high
        gap = difference(x, rival, y, groups)
        hits["difference"] += gap.low <= (1 - RIVAL) * scenario.truth <= gap.high
        error = sign_error(x, y, left, right)
        hits["sign_error"] += error.low <= sign_truth <= error.high
    return {name: int(count) / STUDIES for name, count in hits.items()}


def main() -> None:
    """Run every scenario, print the table and keep it."""
    start = time.perf_counter()
    header = (
        "| design | true r | seed noise | spread | rejected (permutation) | rejected (ranks) | covered: headline | "
        "equal-spread degrees | ranks | difference | sign error |"
    )
    lines = [header, "|" + " --- |" * 11]
    records = []
    for size in (4, 6):
        for scenario in SCENARIOS:
            found = simulate(6, size, scenario)
            records.append({"families": 6, "configurations": size, "seeds": SEEDS, **vars(scenario), **found})
            cells = [f"6 x {size} x {SEEDS}", f"{scenario.truth:g}", f"{scenario.seed_noise:+g}"]
            cells += ["unequal" if scenario.unequal else "equal"]
            cells += [f"{100 * found[name]:.1f} %" for name in ("rejected", "rank_rejected", "headline", "methods")]
            cells += [f"{100 * found[name]:.1f} %" for name in ("ranks", "difference", "sign_error")]
            lines.append("| " + " | ".join(cells) + " |")
            print(lines[-1], file=sys.stderr, flush=True)
    formula = ", ".join(f"6 x {n}: {planned_power([n] * 6)[0.6]:.2f}" for n in (4, 6))
    lines += ["", "Rejection at a true r of 0 is the size of the test, at -0.6 its power; the formula of `--dry-run` "]
    lines[-1] += f"says {formula}. {STUDIES:,} studies a row, seeds 0 to {STUDIES - 1}; standard error of a share near "
    lines[-1] += f"95 %: {100 * math.sqrt(0.95 * 0.05 / STUDIES):.1f} points. {time.perf_counter() - start:.0f} s."
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "statistics.md").write_text(text, encoding="utf-8")
    (RESULTS / "statistics.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
