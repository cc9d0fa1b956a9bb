"""How much outcomes in many languages fall with ln Tr(F): a mixed model in closed form, on plain arrays.

Configurations are crossed with languages, and each configuration has an error that is common to all languages, so
languages are not independent replicates. On a complete table, the restricted-likelihood estimates of such a model are
the mean squares of an analysis of variance, unless these make a variance negative. So it needs neither iteration, which
with few configurations ends at a boundary or not at all, nor a library that takes a second to load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtrc, stdtr, stdtrit

from analysis.statistics.association import Array, Within, within

LEAST_LANGUAGES = 4
LEAST_DEGREES = 3  # configurations minus families minus the slope


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error and the degrees of its t.

    Its unit is that of the outcome or, for a slope, that of the outcome per unit of x.
    """

    value: float
    error: float
    degrees: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        half = float(stdtrit(self.degrees, 0.975)) * self.error
        return self.value - half, self.value + half

    @property
    def p(self) -> float:
        """Two-sided p of zero."""
        return float(2 * stdtr(self.degrees, -abs(self.value) / self.error)) if self.error else 0.0


@dataclass(frozen=True)
class RandomSlopes:
    """Slopes over languages.

    Attributes:
        mean: The slope in the mean language; its error reflects both configurations and the choice of languages.
        spread: Standard deviation of the true slopes over languages (outcome per unit of x).
        p_spread: p of the hypothesis that slopes are equal in all languages.
        slopes: Each language's own slope [languages].
        errors: Their standard errors [languages], each from that language's residuals.
        degrees: Degrees of each slope's t [languages], at most configurations - families - 1.
        configurations: Number of configurations that count, those in families of two or more.
    """

    mean: Estimate
    spread: float
    p_spread: float
    slopes: Array
    errors: Array
    degrees: Array
    configurations: int
    families: int


def random_slopes(x: ArrayLike, y: ArrayLike, groups: ArrayLike) -> RandomSlopes | str:
    """The mixed model of outcomes in many languages on x, within families, or a sentence on why there is none.

    y_cl = a_{f(c) l} + (b + b_l) x_c + u_c + e_cl for configuration c of family f in language l, b_l ~ N(0, t^2),
    u_c ~ N(0, s_u^2), e_cl ~ N(0, s_e^2). With x and y centred within families, S = sum x_c^2, n configurations,
    F families, L languages and nu = n - F - 1, the estimates of restricted likelihood for a balanced design (Searle,
    Casella and McCulloch 1992, ch. 4) follow from the languages' own slopes b^_l = sum x_c y_cl / S, their residuals
    r_cl and the residuals' means over languages r_c:

    s_e^2 = sum (r_cl - r_c)^2 / (nu (L - 1)), M = sum (b^_l - b^)^2 / (L - 1), t^2 = max(0, M - s_e^2 / S),
    b^ = mean b^_l, Var(b^) = V(r) + t^2 / L,
    V(r) = (n - F) / nu sum_f [sum_{c in f} x_c^2 sum_{c in f} r_c^2 / (n_f - 1)] / S^2,

    with Satterthwaite's (1946) degrees for the three parts of Var(b^). For families of equal spread, V(r) is the mean
    square sum r_c^2 / (nu S) of restricted likelihood. For others, that mean square would reject a true null in a fifth
    of the studies, so V(r) is the variance over permutations within families, as for every correlation in the report,
    with one degree more than :attr:`analysis.statistics.association.Within.degrees`, at most nu. The error of a
    language's own slope is the root of V(r_l). The p of equal slopes is from F = M S / s_e^2 with L - 1 and nu (L - 1)
    degrees.

    Args:
        x: Numbers [n].
        y: Outcomes [n, L], all finite.
        groups: Family of each row [n]; a family of one row does not count.
    """
    labels, outcomes = np.asarray(groups), np.asarray(y, dtype=np.float64)
    languages = outcomes.shape[1]
    if languages < LEAST_LANGUAGES:
        return f"it takes {LEAST_LANGUAGES} languages or more, and there are {languages}"
    columns = [within(x, outcome, labels) for outcome in outcomes.T]
    first = columns[0]
    n, families = len(first.x), len(first.sizes)
    nu = n - families - 1
    if nu < LEAST_DEGREES:
        return f"too few fitted configurations ({n} in families of two or more; {families + 1 + LEAST_DEGREES} needed)"
    if reason := next((column.reason for column in columns if column.reason), None):
        return reason
    centred = np.column_stack([column.y for column in columns])
    size = float(first.x @ first.x)
    slopes = first.x @ centred / size
    residuals = centred - np.outer(first.x, slopes)
    shared = residuals.mean(axis=1)
    own = float(((residuals - shared[:, None]) ** 2).sum()) / (nu * (languages - 1)) / size
    between = float(slopes.var(ddof=1))
    parts = [_error(first, shared)]
    if between > own:
        parts += [(between / languages, languages - 1), (-own / languages, nu * (languages - 1))]
    variance = sum(part for part, _ in parts)
    own_errors = np.array([_error(first, rest) for rest in residuals.T])
    degrees = variance**2 / sum(part**2 / d for part, d in parts) if variance else float(nu)
    return RandomSlopes(
        mean=Estimate(float(slopes.mean()), math.sqrt(variance), degrees),
        spread=math.sqrt(max(0.0, between - own)),
        p_spread=float(fdtrc(languages - 1, nu * (languages - 1), between / own)) if own else 0.0,
        slopes=slopes,
        errors=np.sqrt(own_errors[:, 0]),
        degrees=own_errors[:, 1],
        configurations=n,
        families=families,
    )


def _error(data: Within, residuals: Array) -> tuple[float, float]:
    """Variance of a slope on x, by permuting its residuals [n] within families, and the degrees of its t."""
    rest, free = replace(data, y=residuals), len(data.x) - len(data.sizes)
    variance = rest.permuted / float(data.x @ data.x) ** 2 * free / (free - 1)
    return variance, max(1.0, rest.degrees + 1) if variance else float(free - 1)


def between_languages(values: ArrayLike, flags: ArrayLike) -> Estimate | str:
    """Mean over the flagged languages minus that over the others, with a pooled variance over languages.

    For slopes from a complete table, this is the interaction of the flag with x in the mixed model, as what a
    configuration adds to all languages is the same on both sides and cancels. The difference has L - 2 degrees; if it
    is not defined, the result is a sentence that says why.

    Args:
        values: One value per language [L].
        flags: Which languages are of the first kind [L].
    """
    data, one = np.asarray(values, dtype=np.float64), np.asarray(flags, dtype=bool)
    sides = data[one], data[~one]
    if min(map(len, sides)) < 2:
        return f"it takes two languages or more of each kind, and there are {len(sides[0])} and {len(sides[1])}"
    degrees = len(data) - 2
    pooled = sum(float(((side - side.mean()) ** 2).sum()) for side in sides) / degrees
    error = math.sqrt(pooled * sum(1 / len(side) for side in sides))
    return Estimate(float(sides[0].mean() - sides[1].mean()), error, float(degrees))
