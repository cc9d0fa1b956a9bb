"""L2 to zero, in the loss, so that unlike decoupled weight decay it passes through AdamW's scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.regularizers.parameters import Form, penalised
from trainables.schema import Frozen, Weight, later

if TYPE_CHECKING:
    import torch

    from trainables.views.passes import Passes


class L2Config(Frozen):
    """0.5 times the sum of squares of all parameters, by default biases and LayerNorm included.

    Sum over parameters, not divided by their number and not by the batch; unit: squared parameter units. The form
    ``plain`` has no dose under AdamW, ``lazy`` has one: see :data:`trainables.regularizers.parameters.Form`.
    """

    weight: Weight = Field(1e-4, description="weight of 0.5 * sum theta^2")
    exempt_biases_and_norms: bool = Field(False, description="leave biases and LayerNorm out of the sum")
    form: Form = later(
        "plain", description="lazy: on rows that the step has seen; plain: on all, where AdamW takes full steps"
    )

    def penalty(self, step: Passes) -> torch.Tensor:
        """The unweighted penalty, 0.5 * sum theta^2."""
        total = step.labels.new_zeros((), dtype=step.model.dtype)
        for _, parameter in penalised(step.model, self.exempt_biases_and_norms):
            total = total + parameter.square().sum()
        return 0.5 * total
