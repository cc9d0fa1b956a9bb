"""L2 penalties, to zero and to a starting point.

They are in the loss, as in L2-SP's authors' code, so unlike decoupled weight decay they pass through AdamW's scaling.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from trainables.regularizers.parameters import Form, penalised
from trainables.schema import Frozen, Weight, later

if TYPE_CHECKING:
    import torch

    from trainables.views.passes import Passes

_FORM = "lazy: on rows that the step has seen; plain: on all, where AdamW takes full steps"


class L2Config(Frozen):
    """0.5 times the sum of squares of all parameters, by default biases and LayerNorm included.

    It is divided neither by their number nor by the batch; unit: squared parameter units. Under AdamW, the weight sets
    no dose in the form ``plain`` but does in ``lazy``: see :data:`trainables.regularizers.parameters.Form`.
    """

    weight: Weight = Field(1e-4, description="weight of 0.5 * sum theta^2")
    exempt_biases_and_norms: bool = Field(False, description="leave biases and LayerNorm out of the sum")
    form: Form = later("plain", description=_FORM)

    def penalty(self, batch: Passes) -> torch.Tensor:
        """The unweighted penalty, 0.5 * sum theta^2."""
        return _half_squares(batch, (p for _, p in penalised(batch.model, self.exempt_biases_and_norms)))


class L2SPConfig(Frozen):
    """``0.5 ||theta - theta_0||^2`` over the encoder and ``0.5 ||head||^2``, each with its own weight.

    (Li, Grandvalet and Davoine 2018, equation 3.) Sums over parameters; unit: squared parameter units. ``theta_0`` is
    what the stage starts from: the pretrained encoder in stage 0, the encoder after stage 0 in stage 1. ``form`` is as
    for L2. The encoder includes the pooler, even where no pretrained one exists.
    """

    weight: Weight = Field(0.01, description="weight of 0.5 * sum (theta - theta_0)^2 over the encoder")
    head_weight: Weight = Field(0.01, description="weight of 0.5 * sum theta^2 over the head")
    exempt_biases_and_norms: bool = Field(True, description="leave biases and LayerNorm out of both sums")
    form: Form = later("plain", description=_FORM)

    def penalty(self, batch: Passes) -> torch.Tensor:
        """The unweighted penalty of the encoder, 0.5 * sum (theta - theta_0)^2."""
        start = batch.starting_point
        return _half_squares(batch, (p - start[name] for name, p in self._parameters(batch, encoder=True)))

    def head_penalty(self, batch: Passes) -> torch.Tensor:
        """The unweighted penalty of the head, 0.5 * sum theta^2."""
        return _half_squares(batch, (p for _, p in self._parameters(batch, encoder=False)))

    def _parameters(self, batch: Passes, encoder: bool) -> Iterable[tuple[str, torch.Tensor]]:
        prefix = f"{batch.model.base_model_prefix}."
        for name, parameter in penalised(batch.model, self.exempt_biases_and_norms):
            if name.startswith(prefix) == encoder:
                yield name, parameter


def _half_squares(batch: Passes, tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    total = batch.labels.new_zeros((), dtype=batch.model.dtype)
    for tensor in tensors:
        total = total + tensor.square().sum()
    return 0.5 * total
