"""L2 to zero, in the loss, so that unlike decoupled weight decay it passes through AdamW's scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.schema import Frozen, Weight

if TYPE_CHECKING:
    import torch

    from trainables.objective import Step


class L2Config(Frozen):
    """0.5 times the sum of squares of all parameters, biases and LayerNorm included.

    Sum over parameters, not divided by their number and not by the batch; unit: squared parameter units.
    """

    weight: Weight = Field(1e-4, description="weight of 0.5 * sum theta^2")

    def penalty(self, step: Step) -> torch.Tensor:
        """The unweighted penalty.

        Args:
            step: The step whose model's trainable parameters are penalised.

        Returns:
            Scalar, 0.5 * sum theta^2.
        """
        parameters: list[torch.Tensor] = [p for p in step.model.parameters() if p.requires_grad]
        total = parameters[0].square().sum()
        for parameter in parameters[1:]:
            total = total + parameter.square().sum()
        return 0.5 * total
