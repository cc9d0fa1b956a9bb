"""What a planned design can detect, before anything runs, as ``run --dry-run`` prints it. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist

EFFECTS = (0.4, 0.6, 0.8)
ALPHA = 0.05
NO_ASSOCIATION = 0.3  # an interval within +- this is called "no association"


def degrees_of_freedom(groups: Iterable[int]) -> int:
    """Degrees of the Fisher-z interval given family: n - (families - 1) - 3 over families of two or more.

    Below 1 there is no interval. ``groups`` are the numbers of configurations of the families.

    Example:
        >>> degrees_of_freedom([4, 4, 4, 4, 4, 4, 1])
        16
    """
    counted = [size for size in groups if size > 1]
    return sum(counted) - (len(counted) - 1) - 3


def power_at(r: float, degrees: int) -> float:
    """Power of the two-sided test of a correlation within families at level .05, by Fisher's z.

    r is the true correlation of configuration means. The power is 0 with no degree of freedom.

    Example:
        >>> round(power_at(0.6, 16), 2)
        0.79
    """
    if degrees < 1:
        return 0.0
    shift = math.atanh(abs(r)) * math.sqrt(degrees)
    return NormalDist().cdf(shift - _critical(ALPHA)) + NormalDist().cdf(-shift - _critical(ALPHA))


def planned_power(groups: list[int], controls: int = 0) -> dict[float, float]:
    """Power of a plan's headline test at within-family correlations of .4, .6 and .8, before adjustment.

    Args:
        groups: Number of configurations of each family (seeds do not count).
        controls: Number of controls that a verdict must survive, each alone and all together. Each costs a degree, and
            several tests cost two more (matched to simulated studies with controls unrelated to Tr(F)).

    Example:
        >>> {r: round(power, 2) for r, power in planned_power([6] * 6).items()}
        {0.4: 0.61, 0.6: 0.96, 0.8: 1.0}
    """
    degrees = degrees_of_freedom(groups) - (controls + 2 if controls else 0)
    return {r: power_at(r, degrees) for r in EFFECTS}


def degrees_to_decide(r: float, tests: int = 1) -> float:
    """Degrees of Fisher's z at which the same estimate would no longer be "undecided".

    The smaller of two numbers: the degrees at which the test rejects 0 at .05 / tests (Holm's first step), and those at
    which the 95 % interval lies within +-.3.

    Example:
        >>> round(degrees_to_decide(-0.4), 1), round(degrees_to_decide(0.05), 1)
        (21.4, 57.1)
    """
    degrees = []
    if r:
        degrees.append((_critical(ALPHA / tests) / math.atanh(min(abs(r), 0.999))) ** 2)
    if abs(r) < NO_ASSOCIATION:
        degrees.append((_critical(ALPHA) / (math.atanh(NO_ASSOCIATION) - math.atanh(abs(r)))) ** 2)
    return min(degrees)


def _critical(alpha: float) -> float:
    return NormalDist().inv_cdf(1 - alpha / 2)
