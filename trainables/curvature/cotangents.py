"""Which directions in logit space a measurement looks at: its estimator, and the numbers that the estimator draws."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainables.curvature.batches import Examples
from trainables.curvature.estimate import Estimator, NonFiniteLogits
from trainables.curvature.root import label_score, labels_at, signed_root, softmax_root
from trainables.errors import InputError

EXACT_UP_TO = 5  # classes; above, one direction of random signs costs a fraction of all of them


class Cotangents:
    """Cotangents whose squared norms add up to the examples' values.

    Drawn numbers belong to an example by its place in the input, whatever the batching and the path; equal generators
    give equal numbers, so that two measurements of the same examples differ by the model alone.

    Args:
        examples: What is measured.
        generator: CPU generator of the draws.
    """

    def __init__(self, examples: Examples, estimator: Estimator, samples: int, generator: torch.Generator) -> None:
        self.estimator = estimator
        self.num_classes = 0
        self._examples = examples
        self._samples = samples
        self._generator = generator
        self._draws = torch.empty(0)

    def begin(self, num_classes: int) -> int:
        """Settle what depends on the number of classes, and return the backward passes of each chunk.

        The same number may be given again.

        Raises:
            InputError: There is no softmax over two classes or more.
        """
        if num_classes < 2:
            raise InputError("the model has one label: Tr(F) of a softmax needs two classes or more")
        if self.estimator is Estimator.AUTO:
            self.estimator = Estimator.EXACT if num_classes <= EXACT_UP_TO else Estimator.SIGNS
        count, first = len(self._examples.inputs), self.num_classes == 0
        self.num_classes = num_classes
        if self.estimator is Estimator.EXACT:
            return num_classes - 1
        if first and self.estimator is Estimator.MONTE_CARLO:
            self._draws = torch.rand(count, self._samples, generator=self._generator, dtype=torch.float64)
        if first and self.estimator is Estimator.SIGNS:
            shape = (count, self._samples, num_classes)
            self._draws = torch.randint(0, 2, shape, generator=self._generator, dtype=torch.int8) * 2 - 1
        return 1 if self.estimator is Estimator.EMPIRICAL else self._samples

    def at(self, logits: Tensor, chunk: list[int]) -> tuple[Tensor, ...]:
        """The cotangents of some examples, one ``[rows, classes]`` for each backward pass.

        Args:
            logits: ``[rows, classes]``.

        Raises:
            NonFiniteLogits: The model has diverged.
            InputError: An observed label is none of the model's.
        """
        logits = logits.detach()
        finite = logits.isfinite().all(1)
        if not bool(finite.all()):
            raise NonFiniteLogits(min(i for i, fine in zip(chunk, finite.tolist(), strict=True) if not fine))
        self.begin(logits.shape[1])
        if self.estimator is Estimator.EXACT:
            return softmax_root(logits).unbind(2)
        if self.estimator is Estimator.SIGNS:
            signs = self._draws[chunk].to(logits)
            return tuple(signed_root(logits, draw) / math.sqrt(self._samples) for draw in signs.unbind(1))
        if self.estimator is Estimator.MONTE_CARLO:
            labels = labels_at(logits, self._draws[chunk].to(logits.device))
        else:
            labels = torch.tensor([self._observed(i) for i in chunk], device=logits.device).unsqueeze(1)
        return tuple(label_score(logits, label) / math.sqrt(labels.shape[1]) for label in labels.unbind(1))

    def _observed(self, example: int) -> int:
        label = self._examples.labels[example]
        if label is None or label.ndim != 0 or label.is_floating_point() or not 0 <= label < self.num_classes:
            value, limit = None if label is None else label.tolist(), self.num_classes - 1
            raise InputError(f"example {example} (counting from 0) has the label {value}, not one of 0 to {limit}")
        return int(label)
