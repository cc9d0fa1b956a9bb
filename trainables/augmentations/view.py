"""What a view is: other inputs for the same examples, or the same inputs with a perturbed model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainables.schema import Frozen

KEEPS_TOKENS = frozenset({"embedding_gaussian"})


class ViewConfig(Frozen):
    """A perturbation of the input that keeps the label."""

    kind: Literal["subword", "embedding_gaussian"] = Field(description="the augmentation")
    strength: float | None = Field(None, ge=0.0, description="the augmentation's own unit; null takes its default")
