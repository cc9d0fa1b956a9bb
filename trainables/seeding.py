"""The stateless random streams of a trial, one per purpose.

Before each use, a generator is seeded from (trial seed, purpose, stage, step). So switching one term on leaves the
others' streams as they are, and a checkpoint need not store a generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

Purpose = Literal["initialization", "order", "dropout", "view", "labels", "directions"]


def row_seed(seed: int, row: int) -> int:
    """The seed, below 2**63, of one row's draws, which thus do not depend on the rows beside it."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{row}".encode(), digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True)
class Streams:
    """Seeds for every purpose of one trial."""

    seed: int

    def derive(self, purpose: Purpose, stage: str = "", step: int = 0, part: int = 0) -> int:
        """The seed of one use, below 2**63.

        Args:
            stage: Stage and language, such as ``1.de``.
            step: Optimiser step or epoch within the stage.
            part: Number of the use within the step: micro-batch, pass.

        Example:
            >>> Streams(0).derive("order", "0") == Streams(0).derive("order", "0", 0)
            True
            >>> Streams(0).derive("order", "0") == Streams(0).derive("view", "0")
            False
        """
        key = f"{self.seed}/{purpose}/{stage}/{step}/{part}"
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 1

    def generator(self, purpose: Purpose, stage: str = "", step: int = 0, part: int = 0) -> torch.Generator:
        """A freshly seeded CPU generator for one use, as for :meth:`derive`; the global one is not touched."""
        return torch.Generator().manual_seed(self.derive(purpose, stage, step, part))

    @contextmanager
    def forked(self, purpose: Purpose, stage: str = "", step: int = 0, part: int = 0) -> Iterator[None]:
        """Seed torch's global generators, and restore them on leaving: for dropout and initialisation."""
        devices = range(torch.cuda.device_count())
        with torch.random.fork_rng(devices=list(devices)):
            torch.manual_seed(self.derive(purpose, stage, step, part))
            yield
