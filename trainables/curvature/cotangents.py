"""Directions in logit space, where the Fisher information of a softmax is ``diag(p) - p p^T``.

Their backward passes give the Fisher information, all of it or one label's score. The estimator decides which of them a
measurement uses. Nothing in this module depends on parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trainables.curvature.batches import Examples
from trainables.curvature.estimate import Estimator, NonFiniteLogits
from trainables.errors import InputError

EXACT_UP_TO = 5  # classes; above that, one direction of random signs costs a fraction of the exact directions


@dataclass
class Cotangents:
    """Cotangents whose squared gradient norms add up to the examples' values.

    An example's random numbers depend on its place in the input, not on the batching or the path. Equal generators give
    equal numbers, so two measurements of the same examples differ only by the model.

    Attributes:
        examples: The examples that are measured.
        estimator: ``auto`` until the number of classes is known.
        generator: CPU generator of the draws.
        num_classes: 0 until it is known.
    """

    examples: Examples
    estimator: Estimator
    samples: int
    generator: torch.Generator
    num_classes: int = 0
    _draws: Tensor = field(default_factory=lambda: torch.empty(0))

    def begin(self, num_classes: int) -> int:
        """Settle what depends on the number of classes, and return the number of backward passes per chunk.

        It may be called again with the same number of classes.

        Raises:
            InputError: The model has fewer than two classes.
        """
        if num_classes < 2:
            raise InputError("the model has one label: Tr(F) of a softmax needs two classes or more")
        if self.estimator is Estimator.AUTO:
            self.estimator = Estimator.EXACT if num_classes <= EXACT_UP_TO else Estimator.SIGNS
        count, first = len(self.examples.inputs), self.num_classes == 0
        self.num_classes = num_classes
        if self.estimator is Estimator.EXACT:
            return num_classes - 1
        if first and self.estimator is Estimator.MONTE_CARLO:
            self._draws = torch.rand(count, self.samples, generator=self.generator, dtype=torch.float64)
        if first and self.estimator is Estimator.SIGNS:
            shape = (count, self.samples, num_classes)
            self._draws = torch.randint(0, 2, shape, generator=self.generator, dtype=torch.int8) * 2 - 1
        return 1 if self.estimator is Estimator.EMPIRICAL else self.samples

    def at(self, logits: Tensor, chunk: list[int]) -> tuple[Tensor, ...]:
        """The cotangents of some examples, one ``[rows, classes]`` for each backward pass.

        Args:
            logits: ``[rows, classes]``.

        Raises:
            NonFiniteLogits: The model has diverged.
            InputError: An observed label is not one of the model's.
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
            return tuple(signed_root(logits, draw) / math.sqrt(self.samples) for draw in signs.unbind(1))
        if self.estimator is Estimator.MONTE_CARLO:
            labels = labels_at(logits, self._draws[chunk].to(logits.device))
        else:
            labels = torch.tensor([self._observed(i) for i in chunk], device=logits.device).unsqueeze(1)
        return tuple(label_score(logits, label) / math.sqrt(labels.shape[1]) for label in labels.unbind(1))

    def _observed(self, example: int) -> int:
        label = self.examples.labels[example]
        if label is None or label.ndim != 0 or label.is_floating_point() or not 0 <= label < self.num_classes:
            value, limit = None if label is None else label.tolist(), self.num_classes - 1
            raise InputError(f"example {example} (counting from 0) has the label {value}, not one of 0 to {limit}")
        return int(label)


def softmax_root(logits: Tensor) -> Tensor:
    """A square root of ``diag(p) - p p^T`` with one column fewer than there are classes.

    With ``u = sqrt(p)`` and ``m`` the likeliest class, the Householder reflector ``H = I - v v^T / (1 + u_m)``,
    ``v = u + e_m``, maps ``e_m`` to ``-u``; its other columns are an orthonormal basis of the complement of ``u``, so
    ``S = diag(u) H`` without column ``m`` has ``S S^T = diag(p) - p p^T``. Pivoting on the likeliest class keeps every
    entry a product of positive numbers: float32 is accurate to 1e-6 at any logit gap, whereas a fixed pivot loses the
    whole matrix at a gap of 18.

    Args:
        logits: Finite logits ``[batch, num_classes]``, float32 or better, at least two classes.

    Returns:
        ``S`` as ``[batch, num_classes, num_classes - 1]``. Its columns belong to the classes other than the likeliest,
        in cyclic order starting after it.

    Example:
        >>> logits = torch.tensor([[0.0, 18.0, 1.0]], dtype=torch.float64)
        >>> p, root = logits.softmax(-1), softmax_root(logits)
        >>> torch.allclose(root @ root.mT, torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1), rtol=1e-12)
        True
    """
    num_classes = logits.shape[-1]
    # Not the root of softmax: half the log keeps classes whose p underflows.
    u = (0.5 * logits.log_softmax(-1)).exp()
    likeliest = logits.argmax(-1, keepdim=True)
    top = u.gather(-1, likeliest).unsqueeze(-1)
    rest = (likeliest + torch.arange(1, num_classes, device=logits.device)) % num_classes
    u_rest = u.gather(-1, rest).unsqueeze(-2)
    columns = -u.square().unsqueeze(-1) * u_rest / (1 + top)
    columns.scatter_add_(-2, rest.unsqueeze(-2), u_rest)
    columns.scatter_(-2, likeliest.unsqueeze(-1).expand_as(u_rest), -top * u_rest)
    return columns


def signed_root(logits: Tensor, signs: Tensor) -> Tensor:
    """``S e``, ``[batch, num_classes]``: :func:`softmax_root` times a vector of signs, without forming ``S``.

    For independent random signs, ``E ||J^T S e||^2 = ||J^T S||^2 = Tr(F)`` (Hutchinson 1990, in the space of the
    logits), with one direction for any number of classes. The relative variance is below 2 whatever the model's
    confidence, whereas that of a sampled label grows without bound.

    Args:
        logits: Finite logits ``[batch, num_classes]``, float32 or better.
        signs: 1 or -1, ``[batch, num_classes]``, one for each class; that of the likeliest class has no effect.

    Example:
        >>> logits, signs = torch.tensor([[0.0, 18.0, 1.0]]), torch.tensor([[1.0, 1.0, -1.0]])
        >>> columns = softmax_root(logits)  # of classes 2 and 0
        >>> torch.allclose(signed_root(logits, signs), columns[..., 1] - columns[..., 0])
        True
    """
    u = (0.5 * logits.log_softmax(-1)).exp()
    likeliest = logits.argmax(-1, keepdim=True)
    top = u.gather(-1, likeliest)
    signed = (u * signs).scatter(-1, likeliest, 0.0)
    total = signed.sum(-1, keepdim=True)
    return (signed - u.square() * total / (1 + top)).scatter(-1, likeliest, -top * total)


def label_score(logits: Tensor, labels: Tensor) -> Tensor:
    """Gradient ``[batch, num_classes]`` of ``log p(label)`` with respect to the logits: ``e_label - p``.

    The label's entry is the sum of the other probabilities, not ``1 - p``, which a confident model loses in float32.

    Args:
        logits: ``[batch, num_classes]``, float32 or better.
        labels: Class numbers ``[batch]``.

    Example:
        >>> label_score(torch.zeros(1, 2), torch.tensor([1]))
        tensor([[-0.5000,  0.5000]])
    """
    score = -logits.softmax(-1)
    index = labels.unsqueeze(-1)
    others = score.scatter(-1, index, 0.0).sum(-1, keepdim=True)
    return score.scatter(-1, index, -others)


def labels_at(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Labels drawn from ``softmax(logits)`` by inverting its cumulative distribution function at given uniform numbers.

    Args:
        logits: ``[batch, num_classes]``.
        uniforms: Numbers in [0, 1), ``[batch, draws]``, on the same device.

    Returns:
        Class numbers ``[batch, draws]``.

    Example:
        >>> labels_at(torch.zeros(1, 4), torch.tensor([[0.1, 0.6, 0.99]]))
        tensor([[0, 2, 3]])
    """
    edges = logits.detach().double().softmax(-1).cumsum(-1)
    last = logits.shape[-1] - 1
    return torch.searchsorted(edges, uniforms.to(edges.dtype), right=True).clamp(max=last)
