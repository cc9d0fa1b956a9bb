"""Consistency losses: a divergence between the predictions on the clean input and on a view of it.

A preset fixes what a published method fixes; one table, one line a method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from trainables.augmentations.view import KEEPS_TOKENS, ViewConfig
from trainables.schema import Frozen, Weight

if TYPE_CHECKING:
    import torch

    from trainables.objective import Step

SUBWORD = ViewConfig(kind="subword", strength=None)


@dataclass(frozen=True)
class Preset:
    """What a published method fixes.

    Attributes:
        source: Paper that states the loss.
        formula: The loss in words.
        view_share: Share of the cross-entropy that the view's own cross-entropy takes.
    """

    source: str
    formula: str
    view_share: float


PRESETS: dict[str, Preset] = {
    # Gradient flows through both predictions and the temperature is 1, as in the authors' classification code.
    "mvr": Preset("Wang et al. 2021, equation 2", "0.5 CE + 0.5 CE' + w KL(p_clean || p_view)", 0.5),
}


def kl_divergence(clean: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    """KL(p_clean || p_view), sum over classes, mean over examples.

    Args:
        clean: Logits ``[batch, num_classes]``.
        view: Logits ``[batch, num_classes]``.

    Returns:
        Scalar, nats; differentiable in both arguments.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[0.3, 2.0, -1.0]])
        >>> kl_divergence(logits, logits).item()
        0.0
    """
    log_p, log_q = clean.float().log_softmax(-1), view.float().log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()


class ConsistencyConfig(Frozen):
    """A divergence between the prediction on the clean input and on a view of it.

    ``dropout`` says how the two passes of the divergence draw their dropout masks: ``independent`` as the public code
    of every method does (the loss then contains an R-Drop part), ``shared`` the same masks in both, ``off`` both in
    evaluation mode while the cross-entropies keep their dropout, which isolates the view.
    """

    preset: Literal["mvr"] = Field("mvr", description="published method that fixes divergence and cross-entropies")
    weight: Weight = Field(0.6, description="weight of the divergence (nats, mean over examples)")
    dropout: Literal["independent", "shared", "off"] = Field("independent", description="dropout of the two passes")
    view: ViewConfig = Field(SUBWORD, description="the perturbation")

    @model_validator(mode="after")
    def _shared_masks_need_equal_shapes(self) -> ConsistencyConfig:
        if self.dropout == "shared" and self.view.kind not in KEEPS_TOKENS:
            raise ValueError(
                f"consistency.dropout='shared' needs a view that keeps the tokens in place, and {self.view.kind!r} "
                "does not; use 'off' to isolate the view"
            )
        return self

    @property
    def view_share(self) -> float:
        """Share of the cross-entropy that the view's own cross-entropy takes."""
        return PRESETS[self.preset].view_share

    def view_logits(self, step: Step) -> torch.Tensor:
        """The prediction on the view, with dropout, as the view's own cross-entropy takes it.

        Args:
            step: The current step.

        Returns:
            Logits ``[batch, num_classes]``.
        """
        return step.logits("view", mask=0 if self.dropout == "shared" else 1)

    def penalty(self, step: Step) -> torch.Tensor:
        """The unweighted divergence.

        Args:
            step: The current step; it remembers passes, so none is made twice.

        Returns:
            Scalar, nats, mean over examples.
        """
        if self.dropout == "off":
            return kl_divergence(step.logits("main", mask=None), step.logits("view", mask=None))
        return kl_divergence(step.logits("main", mask=0), self.view_logits(step))
