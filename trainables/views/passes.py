"""What a view or a penalty may ask of a micro-batch: its passes, made once, and what they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from trainables.seeding import Streams
    from trainables.tokenization.encoding import Encoded
    from trainables.views.hooks import Part, Perturbation

Role = Literal["main", "view", "clean"]
Reference = tuple[Literal["main", "clean"], int | None, int | None]
"""What a view starts from: role and dropout mask of the clean pass, and the mask under which it is attacked."""


@dataclass(frozen=True)
class Pass:
    """The results of one pass.

    Attributes:
        logits: ``[micro-batch, num_classes]``, float32 or better.
        embeddings: Word embeddings of each part, where a view starts from them.
        hidden: Hidden states of each part, layer by layer, where the consistency loss compares them.
    """

    logits: torch.Tensor
    parts: list[Part]
    embeddings: list[torch.Tensor]
    hidden: list[list[torch.Tensor]]


class Passes(Protocol):
    """What terms and views may ask of a micro-batch; ``training.micro_batch`` implements it and explains every name."""

    model: PreTrainedModel
    labels: torch.Tensor
    batch_size: int
    starting_point: Mapping[str, torch.Tensor]
    streams: Streams
    stage: str
    index: int
    micro_batch: int
    wrt: list[torch.Tensor]

    @property
    def special_ids(self) -> tuple[int, ...]: ...  # noqa: D102
    def logits(self, role: Role, mask: int | None) -> torch.Tensor: ...  # noqa: D102
    def hidden(self, role: Role, mask: int | None) -> list[list[torch.Tensor]]: ...  # noqa: D102
    def token_masks(self, role: Role, mask: int | None) -> list[torch.Tensor]: ...  # noqa: D102
    def run_once(self, role: Role, mask: int | None) -> Pass: ...  # noqa: D102
    def run(self, perturbation: Perturbation, mask: int | None, role: Role | None = None) -> Pass: ...  # noqa: D102
    def part(self, encoded: list[Encoded], positions: list[int]) -> Part: ...  # noqa: D102
