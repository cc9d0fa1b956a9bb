"""Do the report's statistics keep what they promise? 1,000 simulated studies for each design, seeds 0 to 999.

Usage: python -m benchmarks.statistics [STUDIES]

The first table is about verdicts. Studies of 6 x 4 x 3, of 6 x 6 x 3 (families, configurations, seeds) and of the
design of ``quick``, with every trap of ``benchmarks.traps``, go through the report's own code, from population to
verdict. Bars: false verdicts (supported or contradicted when there is no effect) at most 5 % within Monte Carlo error;
power at -.6 at least .8 for 36 configurations and ``quick``; coverage 93 to 97 %. Each test uses 999 arrangements.

The second table is about the arithmetic alone.

There, a study has 6 families of 4 (or 6) configurations with 3 seeds each. Families shift both variables by several
times the spread within them. Configurations have a bivariate normal effect, and seeds bivariate normal noise with its
own correlation; the correlation of configuration means over 3 seeds, given family, is the truth and is set to 0 (the
null) or -.6. The spread of "unequal" families varies by a lognormal factor (standard deviation of the logarithm 0.7),
shared by both variables.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from analysis.statistics import permutation
from analysis.statistics.association import CRITICAL, partial_correlation
from analysis.statistics.comparison import difference, sign_error
from analysis.statistics.permutation import headline
from benchmarks.traps import TRAPS, Trap, study, verdict
from study.catalog import quick
from study.plan.planning import draft

STUDIES = 1_000
ARRANGEMENTS = 999
SEEDS = 3
SEED_SPREAD = 0.45  # spread of seeds, against 1 for configurations
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
    """Configuration means of x, of y and of a rival of x, each ``[families, size]``."""
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


def simulate(families: int, size: int, scenario: Scenario, studies: int) -> dict[str, float]:
    """Shares over all studies: rejections, and intervals that contain the truth."""
    groups = np.repeat(np.arange(families), size)
    left, right = (np.concatenate([i + size * f for f in range(families)]) for i in np.triu_indices(size, 1))
    rank_truth = 6 / math.pi * math.asin(scenario.truth / 2)
    sign_truth = 0.5 + math.asin(scenario.truth) / math.pi
    plain = CRITICAL / math.sqrt(families * size - (families - 1) - 3)
    hits = dict.fromkeys(("rejected", "headline", "methods", "ranks", "rank_rejected", "difference", "sign_error"), 0)
    for seed in range(studies):
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
    return {name: int(count) / studies for name, count in hits.items()}


def designs() -> dict[str, tuple[list[int], int]]:
    """Name to the number of configurations in each family that counts, and the number of seeds."""
    planned = quick()
    rows = {row.label: row.arm for row in draft(planned)}
    groups = [count for count in Counter(rows.values()).values() if count > 1]
    return {
        "6 x 4 x 3": ([4] * 6, 3),
        "6 x 6 x 3": ([6] * 6, 3),
        f"quick ({sum(groups)} x {planned.seeds})": (groups, planned.seeds),
    }


def words(groups: list[int], seeds: int, trap: Trap, chosen: range) -> dict[str, list[int]]:
    """Counts over studies: significant headlines, verdicts, explained, intervals that contain the truth, models."""
    permutation.DRAWS = ARRANGEMENTS
    counts = {key: [0] * 5 for key in trap.asks.split()}
    for seed in chosen:
        tables = study(seed, groups, seeds, trap)
        for key, count in counts.items():
            number, word = verdict(tables, key)
            held = number.low is not None and number.high is not None and number.low <= trap.truth <= number.high
            found = (number.p is not None and number.p < 0.05, word in ("supported", "contradicted"))
            for place, value in enumerate((*found, word == "explained", held, number.n or 0)):
                count[place] += int(value)
    return counts


def table_of_words(studies: int, pool: Executor) -> tuple[list[str], list[dict[str, Any]]]:
    """The lines of the first table, and its records."""
    header = (
        "| design | studies | | configurations counted | headline significant | supported or contradicted | explained "
    )
    lines, records = [f"{header}| covered |", "|" + " --- |" * 8], []
    for name, (groups, seeds) in designs().items():
        for trap in TRAPS:
            parts = [range(start, min(start + 50, studies)) for start in range(0, studies, 50)]
            done = list(pool.map(partial(words, groups, seeds, trap), parts))
            for key in trap.asks.split():
                sums = [sum(part[key][place] for part in done) for place in range(5)]
                significant, verdicts, explained, held, n = (value / studies for value in sums)
                covered = "" if trap.confounded else f"{100 * held:.1f} %"
                cells = [name, trap.name, key, f"{n:.1f}"]
                cells += [f"{100 * value:.1f} %" for value in (significant, verdicts, explained)]
                lines.append("| " + " | ".join([*cells, covered]) + " |")
                print(lines[-1], file=sys.stderr, flush=True)
                record = {"design": name, "trap": trap.name, "hypothesis": key, "configurations": n}
                record |= {"significant": significant, "verdicts": verdicts, "explained": explained}
                records.append(record | ({} if trap.confounded else {"covered": held}))
    return lines, records


def table_of_arithmetic(studies: int, pool: Executor) -> tuple[list[str], list[dict[str, Any]]]:
    """The lines of the second table, and its records."""
    header = (
        "| design | true r | seed noise | spread | rejected (permutation) | rejected (ranks) | covered: headline | "
        "equal-spread degrees | ranks | difference | sign error |"
    )
    lines, records = [header, "|" + " --- |" * 11], []
    cases = [(size, scenario) for size in (4, 6) for scenario in SCENARIOS]
    found = pool.map(simulate, *zip(*((6, size, scenario, studies) for size, scenario in cases), strict=True))
    for (size, scenario), shares in zip(cases, found, strict=True):
        records.append({"families": 6, "configurations": size, "seeds": SEEDS, **vars(scenario), **shares})
        cells = [f"6 x {size} x {SEEDS}", f"{scenario.truth:g}", f"{scenario.seed_noise:+g}"]
        cells += ["unequal" if scenario.unequal else "equal"]
        cells += [f"{100 * shares[name]:.1f} %" for name in ("rejected", "rank_rejected", "headline", "methods")]
        cells += [f"{100 * shares[name]:.1f} %" for name in ("ranks", "difference", "sign_error")]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines, records


def main() -> None:
    """Run every scenario, print the tables and write them."""
    start = time.perf_counter()
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else STUDIES
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        first, of_words = table_of_words(studies, pool)
        second, of_arithmetic = table_of_arithmetic(studies, pool)
    error = 100 * math.sqrt(0.05 * 0.95 / studies)
    notes = (
        f"{studies:,} studies a row, seeds 0 to {studies - 1}; standard error of a share near 5 or 95 %: {error:.1f} "
        f"points. {time.perf_counter() - start:.0f} s."
    )
    text = "\n".join(["## Words", "", *first, "", "## Arithmetic", "", *second, "", notes]) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "statistics.md").write_text(text, encoding="utf-8")
    records = {"words": of_words, "arithmetic": of_arithmetic}
    (RESULTS / "statistics.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
