"""The Fisher penalty of Jastrzebski et al. (2021, section 4); Stickland and Murray call it ``fpen``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from trainables.schema import Count, Frozen, later

if TYPE_CHECKING:
    import torch

    from trainables.views.passes import Passes


class FisherPenaltyConfig(Frozen):
    """``|| (1/B) sum_i grad log p(yhat_i | x_i) ||^2`` with ``yhat_i`` sampled from the model's own prediction.

    It uses the forward pass of the cross-entropy, with its dropout and its noise, so it needs no second one. Its
    expectation over sampled labels is Tr(F)/B, so halving the batch doubles it. The labels are held constant, so its
    gradient lacks one part of Tr(F)'s: the one through the distribution of the labels.

    Two scalings keep a weight comparable. The penalty of a micro-batch of b rows has expectation Tr(F)/b; it is
    multiplied by b/B, before the mean over micro-batches that all terms share. With ``every=k`` the penalty acts on
    steps 0, k, 2k and so on, with k times the weight. Stickland's later public code, hf-sharpness, divides once more by
    B: its weight w is w/B here.

    A negative weight sharpens. The penalty has no upper bound, so its gradient then needs one, ``share``; see
    :func:`trainables.regularizers.parameters.add_bounded`.
    """

    weight: float = Field(
        0.01, description="weight of the penalty, which is Tr(F)/B in expectation; below 0 it sharpens"
    )
    every: Count = Field(1, description="acts on steps 0, k, 2k and so on, with k times the weight")
    share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = later(
        None,
        description="bound on the norm of the penalty's gradient, as a share of that of the other terms, lazy ones "
        "excepted; null: no bound, and weight >= 0",
    )

    @model_validator(mode="after")
    def _sharpening_is_bounded(self) -> FisherPenaltyConfig:
        if self.weight < 0 and self.share is None:
            raise ValueError(
                f"a weight below 0, got {self.weight:g}, sharpens without end: set penalties.fisher.share, for "
                "instance to 0.5, which bounds its gradient by half of the rest's"
            )
        return self

    def acts_on(self, index: int) -> bool:
        """True on steps 0, k, 2k and so on of a stage; never with weight 0, so that nothing else changes at all."""
        return self.weight != 0 and index % self.every == 0

    def penalty(self, batch: Passes) -> torch.Tensor:
        """The penalty of this micro-batch, times b/B, without its weight and ``every``.

        Args:
            batch: A micro-batch of an optimiser step on which the penalty acts; on others ``batch.wrt`` is empty.

        Returns:
            Scalar, squared nats per squared parameter unit; Tr(F)/B in expectation over labels.
        """
        from trainables.curvature import sample_labels, squared_mean_score

        logits = batch.logits("main", mask=0)  # the cross-entropy's own pass, in which MicroBatch.run fills wrt
        labels = sample_labels(logits, batch.streams.generator("labels", batch.stage, batch.index, batch.micro_batch))
        scale = len(labels) / batch.batch_size
        return scale * squared_mean_score(logits, labels, batch.wrt)
