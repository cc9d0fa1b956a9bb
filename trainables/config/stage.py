"""One stage of fine-tuning: its optimiser, its regularisers, and when it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field, create_model, field_validator, model_validator

from trainables.plugins import entries, known, load
from trainables.regularizers.consistency import ConsistencyConfig
from trainables.regularizers.fisher_penalty import FisherPenaltyConfig
from trainables.regularizers.l2 import L2Config, L2SPConfig
from trainables.regularizers.parameters import Form
from trainables.regularizers.terms import Terms
from trainables.schema import Count, Fraction, Frozen, Weight, later
from trainables.views.view import ViewConfig, noise

if TYPE_CHECKING:
    import torch

    from trainables.views.passes import Passes


class OptimizerConfig(Frozen):
    """AdamW with linear decay to zero."""

    learning_rate: float = Field(2e-5, gt=0.0, description="peak learning rate")
    weight_decay: Weight = Field(0.0, description="decoupled weight decay")
    exempt_biases_and_norms: bool = Field(True, description="biases and LayerNorm do not decay")
    epsilon: float = Field(1e-8, gt=0.0, description="AdamW's epsilon")
    warmup: Fraction = Field(0.0, description="linear warm-up (fraction of all steps)")
    sam_rho: Weight | None = Field(None, description="radius of SAM's ascent (L2 norm, parameter units); null, 0: off")
    tram_sigma: Weight | None = later(
        None,
        description="deviation of TRAM's noise on word embeddings (embedding units), which sets its ascent; "
        "null, 0: off",
    )

    @model_validator(mode="after")
    def _one_ascent(self) -> OptimizerConfig:
        if self.sam_rho and self.tram_sigma:
            raise ValueError("sam_rho and tram_sigma are two ascents, and a step has one: set one of them to null")
        return self


class PluginPenaltyConfig(Frozen):
    """A penalty from a plugin: any function of the micro-batch, or of the parameters alone."""

    weight: Weight = Field(description="weight of a plugin's penalty")
    form: Form = Field(
        "plain", description="plain: in the loss; lazy, for a penalty on the parameters: on rows that the step has seen"
    )


class PenaltiesConfig(Frozen):
    """The penalties of a stage; null switches one off. Only the Fisher penalty and plugins use forward passes."""

    fisher: FisherPenaltyConfig | None = Field(None, description="Fisher penalty")
    l2: L2Config | None = Field(None, description="L2 to zero")
    l2_sp: L2SPConfig | None = Field(None, description="L2 to the stage's starting point")

    @property
    def needs_start(self) -> bool:
        """Whether a penalty may ask for the stage's starting point."""
        return self.l2_sp is not None or any(getattr(self, name) is not None for name in entries("penalties"))

    def of_form(self, form: Form) -> list[tuple[str, float, Callable[[Passes], torch.Tensor]]]:
        """The penalties of one form with a weight above 0: L2, L2-SP and those of plugins.

        The Fisher penalty is not among them: the objective adds it itself, since it has ``every`` and ``share``.

        Returns:
            Name, weight and unweighted penalty of each; none has weight 0.
        """
        found: list[tuple[str, float, Callable[[Passes], torch.Tensor]]] = []
        if self.l2 is not None and self.l2.form == form:
            found.append(("l2", self.l2.weight, self.l2.penalty))
        if self.l2_sp is not None and self.l2_sp.form == form:
            found.append(("l2_sp", self.l2_sp.weight, self.l2_sp.penalty))
            found.append(("l2_sp_head", self.l2_sp.head_weight, self.l2_sp.head_penalty))
        for name in entries("penalties"):
            own: PluginPenaltyConfig | None = getattr(self, name)
            if own is not None and own.form == form:
                found.append((name, own.weight, load("penalties", name)))
        return [entry for entry in found if entry[1] > 0]


if not TYPE_CHECKING:  # a plugin's penalty is a field like the built-in ones
    _OURS = list(PenaltiesConfig.model_fields)
    PenaltiesConfig = create_model(
        "PenaltiesConfig",
        __base__=PenaltiesConfig,
        __module__=__name__,
        **{
            name: (PluginPenaltyConfig | None, later(None, description=f"{entries('penalties')[name].value}, a plugin"))
            for name in known("penalties", _OURS)[len(_OURS) :]
        },
    )


class UntilConfig(Frozen):
    """A stage that ends at a training loss, so that models of equal fit are compared, whatever their regulariser.

    After a warm-up as long as with ``epochs``, the learning rate is constant: a decay would need a known end.
    """

    train_nll: float = Field(
        gt=0.0, description="the stage ends when the mean NLL on training rows, evaluation mode, is below it (nats)"
    )
    max_epochs: Count = Field(20, description="passes after which it ends all the same, in state not_reached")
    every: Count = Field(10, description="optimiser steps between two looks")
    examples: Count = Field(500, description="training examples that are looked at, one fixed draw")


class StageConfig(Frozen):
    """One stage of fine-tuning."""

    epochs: Count = Field(5, description="passes over the training examples")
    until: UntilConfig | None = later(None, description="end at a training loss in place of after epochs; null: never")
    batch_size: Count = Field(32, description="examples of an optimiser step")
    accumulation: Count = Field(1, description="micro-batches of an optimiser step")
    clip: float | None = Field(1.0, gt=0.0, description="gradient norm is clipped to this; null: not clipped")
    runs: Count = later(
        1,
        description="times that the stage is trained, from the same weights with other orders, masks and draws; "
        "the weights' mean is kept",
    )
    selection: Literal["last", "best_english", "average"] = Field(
        "last", description="which epoch's weights are kept; average: the mean over all ends of epochs"
    )
    label_smoothing: Fraction = Field(0.0, description="label smoothing of the cross-entropy (fraction)")
    optimizer: OptimizerConfig = Field(OptimizerConfig(), description="optimiser and schedule")
    consistency: ConsistencyConfig | None = Field(None, description="consistency loss; null: none")
    noise: ViewConfig | None = Field(None, description="a view without a consistency term; null: none")
    penalties: PenaltiesConfig = Field(PenaltiesConfig(), description="penalties, each with its weight")

    @property
    def terms(self) -> Terms:
        """What a step needs to know about this stage, with presets and defaults filled in."""
        return Terms(
            batch_size=self.batch_size,
            noise=None if self.noise is None else self.noise.resolved(),
            consistency=None if self.consistency is None else self.consistency.resolved(),
            fisher=self.penalties.fisher,
            tram=bool(self.optimizer.tram_sigma),
        )

    @field_validator("noise")
    @classmethod
    def _noise_stands_alone(cls, view: ViewConfig | None) -> ViewConfig | None:
        return None if view is None else noise(view)

    @model_validator(mode="after")
    def _fits_together(self) -> StageConfig:
        if self.batch_size % self.accumulation:
            raise ValueError(
                "accumulation must divide batch_size, "
                f"got batch_size={self.batch_size}, accumulation={self.accumulation}"
            )
        if self.until is not None and self.selection != "last":
            raise ValueError(f"until ends a stage at a training loss, so selection must be last, not {self.selection}")
        if self.runs > 1 and (self.until is not None or self.selection == "best_english"):
            other = "selection=best_english" if self.until is None else "until"
            raise ValueError(f"runs={self.runs} averages weights after equal epochs, so it takes no {other}")
        if self.optimizer.tram_sigma and self.noise is not None:
            raise ValueError("optimizer.tram_sigma puts a noise of its own on the input, so noise must be null")
        return self

    @property
    def longest(self) -> int:
        """The largest number of passes over the training examples that the stage makes."""
        return self.runs * self.epochs if self.until is None else self.until.max_epochs

    def views(self) -> list[tuple[ViewConfig, bool]]:
        """The stage's views, with all fields filled in: the noise, then that of the consistency loss.

        Returns:
            Each view, and whether its divergence compares hidden states.
        """
        found = [] if self.noise is None else [(self.noise.resolved(), False)]
        if self.consistency is not None:
            loss = self.consistency.resolved()
            found.append((loss.view, loss.divergence == "hidden_squared_error"))
        return found
