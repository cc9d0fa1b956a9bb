"""The part of a stage's configuration that its steps read."""

from __future__ import annotations

from dataclasses import dataclass

from trainables.regularizers.consistency import Consistency
from trainables.regularizers.fisher_penalty import FisherPenaltyConfig
from trainables.views.view import ViewConfig


@dataclass(frozen=True)
class Terms:
    """What the steps of a stage need to know about its objective.

    Attributes:
        batch_size: Rows of a full optimiser step.
        noise: The view that the cross-entropy sees, with all fields filled in; None is the clean input.
        tram: Whether TRAM acts, so that all passes of every step are made in float32 or better.
    """

    batch_size: int
    noise: ViewConfig | None
    consistency: Consistency | None
    fisher: FisherPenaltyConfig | None
    tram: bool
