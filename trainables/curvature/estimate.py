"""The result of a Fisher trace measurement, and how parameters are grouped into layers."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from trainables.errors import Diverged, InputError


class Estimator(enum.StrEnum):
    """The labels at which squared scores are taken. Costs are in backward passes per batch, after one forward pass.

    Attributes:
        AUTO: ``exact`` up to five classes, ``signs`` above.
        EXACT: Expectation over the model's own labels: Tr(F) without label noise; num_classes - 1 passes.
        SIGNS: Random signs over the directions of ``exact``: unbiased for Tr(F), whatever the number of classes and the
            model's confidence; one pass per draw.
        MONTE_CARLO: Labels sampled from the model: unbiased for Tr(F), but useless for confident models; one pass per
            draw. Also spelled ``monte_carlo``.
        EMPIRICAL: Observed labels: the trace of the empirical Fisher, a different quantity, never Tr(F); one pass.
    """

    AUTO = "auto"
    EXACT = "exact"
    SIGNS = "signs"
    MONTE_CARLO = "monte-carlo"
    EMPIRICAL = "empirical"

    @classmethod
    def _missing_(cls, value: object) -> Estimator | None:
        return cls.MONTE_CARLO if value == "monte_carlo" else None


class SlowPathWarning(UserWarning):
    """This model is measured by the per-example loop: correct, but several times slower. The message says why."""


class NonFiniteLogits(InputError, Diverged):
    """The model's output is not finite, so no curvature is defined: broken input for a command, divergence in a trial.

    Attributes:
        example: Number of the first such example, counted from 0 in the order of the input.
    """

    def __init__(self, example: int) -> None:
        super().__init__(f"the model's logits are not finite at example {example} (counting from 0): it has diverged")
        self.example = example


@dataclass(frozen=True)
class TraceEstimate:
    """Mean over examples of the sum over parameters of squared scores.

    Attributes:
        value: The mean over examples (squared nats per squared parameter unit). Tr(F) for the estimators ``exact``,
            ``signs`` and ``monte-carlo``; the trace of the empirical Fisher for ``empirical``.
        standard_error: Of ``value``, from the spread of ``per_example``. It therefore covers both the choice of the
            examples and the draws of signs or labels, which are independent across examples; NaN for a single example.
        per_example: float64 ``[num_examples]`` on the CPU, in the order of the input.
        per_layer: Parts of ``value`` by layer group, in the order of the network: ``embeddings``, ``layer.0`` ...,
            ``pooler``, ``classifier``, and ``other`` for parameters whose name fits no group. They sum to ``value``.
        parameters_per_layer: Number of entries, by group, of the parameters that require a gradient; no others count.
        estimator: Which labels were used; never ``auto``.
        path: ``fast`` (ghost norms) or ``slow`` (a loop over examples).
        note: Why the slow path was taken and what it costs; None on the fast path.
        per_matrix: Tr(F_W) of each two-dimensional parameter W, where F_W is its block of F; empty unless asked for.
    """

    value: float
    standard_error: float
    per_example: Tensor
    num_examples: int
    num_classes: int
    per_layer: dict[str, float]
    parameters_per_layer: dict[str, int]
    estimator: Estimator
    path: Literal["fast", "slow"]
    seconds: float
    note: str | None = None
    per_matrix: dict[str, float] = field(default_factory=dict)

    @property
    def num_parameters(self) -> int:
        """Number of entries of all parameters that require a gradient."""
        return sum(self.parameters_per_layer.values())

    def unused_draws(self, draws: int, option: str) -> str | None:
        """A note where draws were asked for and ``auto`` made none; ``option`` names the estimator's option."""
        if draws == 1 or self.estimator is not Estimator.EXACT:
            return None
        return f"with {self.num_classes} labels auto is exact and draws nothing: {draws} draws need {option}=signs"


_LAYER = re.compile(r"(?:^|\.)(?:layers?|block|blocks|h)\.(\d+)\.")
_GROUPS = (("embeddings", r"embed|wte|wpe"), ("pooler", r"pooler"), ("classifier", r"classif|score|head|out_proj"))


def layer_group(name: str) -> str:
    """The layer group that a parameter belongs to, by its name.

    Example:
        >>> [layer_group(f"bert.{n}.weight") for n in ("embeddings.LayerNorm", "encoder.layer.3.output.dense")]
        ['embeddings', 'layer.3']
        >>> [layer_group(n) for n in ("bert.pooler.dense.bias", "classifier.out_proj.weight", "gate")]
        ['pooler', 'classifier', 'other']
    """
    if layer := _LAYER.search(name):
        return f"layer.{layer[1]}"
    return next((group for group, words in _GROUPS if re.search(words, name)), "other")


def ordered_groups(names: list[str]) -> list[str]:
    """The distinct layer groups of parameters: embeddings, layers by number, pooler, classifier, other.

    Example:
        >>> ordered_groups(["classifier.bias", "encoder.layer.10.bias", "encoder.layer.9.bias", "embeddings.weight"])
        ['embeddings', 'layer.9', 'layer.10', 'classifier']
    """
    places = {"embeddings": (-1.0, 0), "pooler": (math.inf, 0), "classifier": (math.inf, 1), "other": (math.inf, 2)}
    groups = {layer_group(name) for name in names}
    return sorted(groups, key=lambda group: places.get(group) or (float(group.removeprefix("layer.")), 0))
