"""The Fisher penalty of Jastrzebski et al. (2021, section 4), the paper's ``fpen``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from trainables.schema import Count, Frozen, later

if TYPE_CHECKING:
    import torch

    from trainables.views.passes import Passes


class FisherPenaltyConfig(Frozen):
    """``|| (1/B) sum_i grad log p(yhat_i | x_i) ||^2`` with ``yhat_i`` sampled from the model's own prediction.

    It takes the prediction that the cross-entropy sees (dropout on). Its expectation over sampled labels is Tr(F)/B,
    so that half a batch doubles it. The labels are held constant, so its gradient lacks one term of that of Tr(F):
    the one through the distribution of the labels. Two scalings keep a weight comparable: the penalty of a
    micro-batch of b rows has expectation Tr(F)/b and is multiplied by b/B, before the mean over micro-batches that
    all terms share; and with ``every=k`` the penalty acts on each k-th step with k times the weight. hf-sharpness,
    the later public code of the paper's first author, divides once more by B: its weight w is w/B here.

    A negative weight sharpens. The penalty has no upper bound, so its gradient then needs one, ``share``; see
    :func:`trainables.regularizers.parameters.add_bounded`.
    """

    weight: float = Field(
        0.01, description="weight of the unscaled penalty, which is Tr(F)/B in expectation; below 0 it sharpens"
    )
    every: Count = Field(1, description="acts on each k-th step with k times the weight")
    share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = later(
        None, description="largest norm of the penalty's gradient, as a share of the rest's; null: any, weight above 0"
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
        """True on each k-th step of a stage, unless the weight is 0: a penalty of weight 0 leaves the run as it is."""
        return self.weight != 0 and index % self.every == 0

    def penalty(self, step: Passes) -> torch.Tensor:
        """The unweighted penalty of this micro-batch, times b/B.

        Args:
            step: A step on which the penalty acts: only there has the main pass filled ``differentiable``.

        Returns:
            Scalar, squared nats per squared parameter unit; Tr(F)/B in expectation over labels.
        """
        from trainables.curvature import sample_labels, squared_mean_score

        logits = step.logits("main", mask=0)
        labels = sample_labels(logits, step.streams.generator("labels", step.stage, step.index, step.micro_batch))
        scale = len(labels) / step.batch_size
        return scale * squared_mean_score(logits, labels, step.differentiable)
