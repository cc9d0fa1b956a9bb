"""What every rival is given: a fine-tuned model and the rows on which it may be judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from trainables.curvature.estimate import Estimator, TraceEstimate
from trainables.curvature.spectrum import fisher_spectrum
from trainables.curvature.trace import fisher_trace


@dataclass(frozen=True)
class FineTuned:
    """A model at the end of its training.

    Attributes:
        train: Training rows as batches: model inputs ``[batch, ...]`` and observed ``labels`` ``[batch]``.
        validation_logits: Logits of English validation rows ``[examples, num_classes]``.
        traced: English validation rows on which Tr(F) is measured, like ``train``; rivals must not read ``labels``.
        trace_options: Arguments of ``fisher_trace``.
    """

    model: Any
    train: Sequence[Mapping[str, Tensor]]
    validation_logits: Tensor
    pretrained: Mapping[str, Tensor]
    traced: Sequence[Mapping[str, Tensor]]
    trace_options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def trace(self) -> TraceEstimate:
        """Tr(F) on the traced rows, with its parts by weight matrix, computed when first asked for."""
        return fisher_trace(self.model, self.traced, by_matrix=True, **self.trace_options)

    @cached_property
    def spectrum(self) -> Tensor:
        """Eigenvalues of the Fisher matrix on the traced rows, computed when first asked for."""
        return fisher_spectrum(self.model, self.traced)

    @cached_property
    def squared_score(self) -> float:
        """Mean squared norm of training rows' scores at their observed labels, computed when first asked for."""
        return fisher_trace(self.model, self.train, estimator=Estimator.EMPIRICAL).value

    def labelled(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Model inputs ``[batch, ...]`` and labels ``[batch]`` of the training rows, on the model's device."""
        for batch in self.train:
            rows = {name: value.to(self.model.device) for name, value in batch.items()}
            labels = rows.pop("labels")
            yield rows, labels

    def unlabelled(self) -> Iterator[dict[str, Tensor]]:
        """Model inputs ``[batch, ...]`` of the traced rows, without labels, on the model's device."""
        for batch in self.traced:
            yield {name: value.to(self.model.device) for name, value in batch.items() if name != "labels"}
