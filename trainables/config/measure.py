"""What a trial measures besides accuracy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from trainables.plugins import check_name, known
from trainables.schema import Count, Frozen, Language, later

RIVALS = (
    "label_variance",
    "margin",
    "sharpness",
    "empirical_fisher",
    "parameter_norm",
    "distance_from_pretrained",
    "fisher_rao",
    "normalized_trace",
    "relative_flatness",
    "lambda_max",
    "effective_rank",
    "trace_f2",
    "noise_scale",
    "adaptive_sharpness",
)
"""The built-in rivals of Tr(F), which trainables/curvature/rivals defines."""
USUAL_RIVALS = RIVALS[:6]
"""Those that are measured unless a configuration names others; identities of configurations contain this very list."""


def _known(rival: str) -> str:
    return check_name("rival of Tr(F)", rival, known("rivals", RIVALS))


Rival = Annotated[str, AfterValidator(_known)]


class ExpansionConfig(Frozen):
    """Equation 1: the KL divergence under parameter noise against its second-order expansion, in float64."""

    sigmas: tuple[Annotated[float, Field(gt=0.0)], ...] = Field(
        (1e-5, 1e-4, 1e-3, 1e-2), min_length=1, description="standard deviations of the noise (parameter units)"
    )
    draws: Count = Field(
        10, description="directions of the noise; each costs a forward-mode pass and a forward pass a sigma, in float64"
    )
    examples: Count = Field(
        8, description="first English validation examples; needs six times the memory of the float32 model"
    )
    every: Count | None = Field(
        None, description="also every k-th step of stage 0; null: before training and at the end of stage 0 only"
    )

    @model_validator(mode="after")
    def _sigmas_are_distinct(self) -> ExpansionConfig:
        if len(set(self.sigmas)) != len(self.sigmas):
            raise ValueError(f"measure.expansion.sigmas takes distinct values, got {','.join(map(str, self.sigmas))}")
        return self


class MeasureConfig(Frozen):
    """What is measured besides accuracy."""

    trace_examples: Count = Field(500, description="English validation examples for Tr(F), one fixed draw")
    trace_train: bool = Field(True, description="also on as many stage-0 training examples")
    trace_languages: tuple[Language, ...] = Field((), description="further languages for Tr(F)")
    trace_every: Count | None = Field(
        None,
        description="Tr(F) also before training, every k-th step of stage 0 and at its end, into the curves; "
        "null: never",
    )
    accuracy_every: Count | None = later(
        1, description="epochs of stage 0 between looks at English accuracy, into the curves; null: never"
    )
    estimator: Literal["auto", "exact", "signs", "monte_carlo"] = later(
        "auto",
        description="labels of Tr(F): exact, random signs (one pass whatever their number), sampled labels; "
        "auto: exact up to five labels, signs above",
    )
    estimator_draws: Count = later(
        1, description="draws an example for signs and monte_carlo, the same at every step of a curve"
    )
    rivals: tuple[Rival, ...] = Field(
        USUAL_RIVALS,
        description="rivals of Tr(F) after stage 0; those that use labels on the first trace_examples training rows, "
        "the others on the rows of Tr(F)",
    )
    expansion: ExpansionConfig | None = Field(
        None, description="equation 1 before, during and after stage 0; null: never"
    )
    twins: tuple[Annotated[int, Field(ge=-8, le=8)], ...] = later(
        (),
        description="exponents k of rescaled twins, the same function with queries times 2^k and keys times 2^-k in "
        "every layer, on which Tr(F) and the rivals are measured after stage 0; each costs as much as they do",
    )
    path: bool = later(
        False,
        description="equation 1 along the way of each second stage, on the first trace_examples validation rows of "
        "English and its language; costs about two and a half plain passes over them a language",
    )
    path_points: int = later(
        0, ge=0, description="points of the curve of that KL through each second stage, its end included; 0: no curve"
    )

    def trace_options(self) -> dict[str, Any]:
        """Arguments of ``fisher_trace`` that are not its defaults.

        The trace draws the same random numbers at every call, so that the points of a curve are comparable.
        """
        options = self.model_dump(include={"estimator", "estimator_draws"}, exclude_defaults=True)
        return {{"estimator_draws": "samples"}.get(name, name): value for name, value in options.items()}

    @model_validator(mode="after")
    def _fits_together(self) -> MeasureConfig:
        if self.estimator == "exact" and self.estimator_draws > 1:
            raise ValueError(
                f"measure.estimator_draws={self.estimator_draws} needs an estimator that draws, and exact does not"
            )
        if len({0, *self.twins}) <= len(self.twins):
            raise ValueError(
                f"measure.twins takes distinct exponents of two other than 0, got {','.join(map(str, self.twins))}"
            )
        if self.path_points and not self.path:
            raise ValueError(f"measure.path_points={self.path_points} needs measure.path=true")
        return self
