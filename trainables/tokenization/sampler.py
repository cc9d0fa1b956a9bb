"""What all subword samplers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class SubwordSampler(ABC):
    """Draws segmentations of normalised words into ids of a vocabulary; equal seeds give equal segmentations."""

    def sample(self, words: Sequence[str | int], strength: float, seed: int) -> list[list[int]]:
        """One segmentation for each word.

        Args:
            words: As ``Encoder.words`` gives them; the id of an added token remains as it is and draws nothing.
            strength: 0 is the plain segmentation, what else is the sampler's.
        """
        drawn = iter(self._sample([word for word in words if isinstance(word, str)], strength, seed))
        return [[word] if isinstance(word, int) else next(drawn) for word in words]

    @abstractmethod
    def _sample(self, words: list[str], strength: float, seed: int) -> list[list[int]]: ...
