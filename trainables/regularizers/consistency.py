"""Consistency losses: a divergence between the model's outputs for the clean input and for a view of it.

One mechanism serves all published methods; ``presets.py`` says what each fixes, and every part can be set separately.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from trainables.plugins import check_name
from trainables.regularizers.presets import PRESETS, Divergence, Dropout, StopGradient
from trainables.schema import Fraction, Frozen, Weight
from trainables.views.view import VIEWS, ViewConfig

if TYPE_CHECKING:
    import torch

    from trainables.views.passes import Passes


_CHOICES = ("weight", "divergence", "temperature", "stop_gradient", "view_share", "dropout")


def _known(preset: str) -> str:
    return check_name("consistency preset", preset, PRESETS.known())


@dataclass(frozen=True)
class Consistency:
    """A consistency loss with every choice made.

    Attributes:
        dropout: How the two passes of the divergence draw their masks.
    """

    preset: str
    weight: float
    divergence: Divergence
    temperature: float
    stop_gradient: StopGradient
    view_share: float
    dropout: Dropout
    view: ViewConfig

    @property
    def masks(self) -> tuple[int | None, int | None]:
        """Numbers of the dropout masks of the divergence's clean pass and of its view pass."""
        return {"independent": (0, 1), "shared": (0, 0), "off": (None, None)}[self.dropout]

    @property
    def view_mask(self) -> int:
        """Number of the dropout mask under which the view has its own cross-entropy."""
        return 0 if self.dropout == "shared" else 1


class ConsistencyConfig(Frozen):
    """A divergence between two passes; null fields take the preset's choice.

    ``dropout`` says how the two passes of the divergence draw their masks: ``independent``, as the public code of most
    methods does (the loss then contains an R-Drop part); ``shared``, the same masks in both; ``off``, both in
    evaluation mode while the cross-entropies keep their dropout. The last two isolate the view's effect.

    ``stop_gradient`` says where no gradient flows: ``none``; ``target``, the first argument of each KL is a constant,
    or, for hidden states, the clean ones; ``clean``, the clean prediction is a constant in every term; ``embedding``,
    the view's pass has no gradient into the word embeddings.
    """

    preset: Annotated[str, AfterValidator(_known)] = Field(
        "mvr", description=f"published method that fills in what is null: {', '.join(PRESETS)}"
    )
    weight: Weight | None = Field(None, description="weight of the divergence (nats, mean over examples)")
    dropout: Dropout | None = Field(None, description="dropout of the two passes: independent, shared or off")
    divergence: Divergence | None = Field(None, description="clean against view (nats), or of hidden states")
    temperature: float | None = Field(None, gt=0.0, description="divides the target's logits; below 1 sharpens it")
    stop_gradient: StopGradient | None = Field(None, description="where no gradient flows")
    view_share: Fraction | None = Field(None, description="share of the cross-entropy that the view's own takes")
    view: ViewConfig | None = Field(None, description="the perturbation")

    @model_validator(mode="after")
    def _parts_fit(self) -> ConsistencyConfig:
        loss = self.resolved()
        kind = VIEWS[str(loss.view.kind)]
        if loss.dropout == "shared" and not kind.keeps_tokens:
            raise ValueError(
                f"consistency.dropout='shared' needs a view that keeps the tokens in place, and {loss.view.kind!r} "
                "does not; use 'off' to isolate the view"
            )
        if loss.view.kind == "second_dropout" and loss.dropout != "independent":
            raise ValueError(
                f"consistency.dropout={loss.dropout!r} leaves the view 'second_dropout' nothing to differ in; "
                "use 'independent'"
            )
        if loss.divergence == "hidden_squared_error":
            if not kind.keeps_tokens:
                raise ValueError(
                    "consistency.divergence='hidden_squared_error' needs a view that keeps the tokens in place, and "
                    f"{loss.view.kind!r} does not"
                )
            if loss.temperature != 1:
                raise ValueError("consistency.temperature is of predictions; hidden_squared_error takes 1")
        return self

    def resolved(self) -> Consistency:
        """The loss with the preset's choice wherever this configuration is null.

        Raises:
            ValueError: The view lacks a field that has no default, or has one that its kind does not use.
        """
        preset = PRESETS[self.preset]

        own = {name: getattr(self, name) for name in _CHOICES}
        chosen = {name: getattr(preset, name) if value is None else value for name, value in own.items()}
        return Consistency(preset=self.preset, view=self._view(), **chosen)

    def _view(self) -> ViewConfig:
        """The given view; fields left open take the preset's published value for this kind, else the kind's default."""
        given = {} if self.view is None else self.view.model_dump(exclude_none=True)
        published = PRESETS[self.preset].views
        kind = given.get("kind", published[0].kind)
        own = next((view for view in published if view.kind == kind), ViewConfig(kind=kind))
        return ViewConfig(**own.model_dump(exclude_none=True) | given).resolved()

    def expanded(self) -> dict[str, Any]:
        """A description of this loss for people: every choice, dotted below ``view``, with the preset's remarks.

        Example:
            >>> loss = ConsistencyConfig(preset="r_drop").expanded()
            >>> loss["view.kind"], loss["divergence"], loss["weight"]
            ('second_dropout', 'half_symmetric_kl', 1.0)
        """
        loss, preset = self.resolved(), PRESETS[self.preset]
        return {
            "preset": self.preset,
            "source": preset.source,
            "formula": preset.formula,
            **{name: getattr(loss, name) for name in _CHOICES},
            **{f"view.{name}": value for name, value in loss.view.explicit().items()},
            "deviation": preset.deviation,
            "conversion": "; ".join(
                f"{c.code}: coefficient c is weight {c.formula}"
                + (f" of {c.objective:g} times the objective" if c.objective != 1 else "")
                for c in preset.conversions
            ),
        }

    def penalty(self, batch: Passes) -> torch.Tensor:
        """The unweighted divergence: nats, mean over examples; for hidden states, squared state units.

        The micro-batch remembers its passes, so none is made twice.
        """
        from trainables.divergences import PREDICTIONS, hidden_squared_error

        loss = self.resolved()
        clean_mask, view_mask = loss.masks
        if loss.divergence == "hidden_squared_error":
            clean, view = batch.hidden("main", clean_mask), batch.hidden("view", view_mask)
            if loss.stop_gradient in ("target", "clean"):
                clean = [[state.detach() for state in layers] for layers in clean]
            return hidden_squared_error(clean, view, batch.token_masks("main", clean_mask))
        clean_logits, view_logits = batch.logits("main", clean_mask), batch.logits("view", view_mask)
        if loss.stop_gradient == "clean":
            clean_logits = clean_logits.detach()
        divergence = PREDICTIONS[loss.divergence]
        return divergence(clean_logits, view_logits, loss.temperature, loss.stop_gradient == "target")
