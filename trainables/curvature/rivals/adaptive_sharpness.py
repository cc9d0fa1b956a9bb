"""Adaptive sharpness: the largest rise of the training loss when every weight may change by a fraction of itself.

    max over delta with |delta_j| <= rho |w_j| of  L(w + delta) - L(w),   rho = 0.002

L is the mean cross-entropy of logits divided by their standard deviation over the classes, so the scale of the logits
has no influence (Andriushchenko et al. 2023, "A modern look at the relationship between sharpness and generalization";
worst case, elementwise adaptive, l-infinity). The maximum is sought with 20 steps of APGD (Croce and Hein 2020,
"Reliable evaluation of adversarial robustness", algorithm 1), which start at w itself, use all training rows at once
and draw no random numbers. As with any search, the result is a lower bound.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.curvature.rivals.subject import FineTuned
from trainables.curvature.rivals.training_loss import loss_and_gradient
from trainables.curvature.state import measuring

RHO = 0.002  # largest change of a weight, as a fraction of it
STEPS = 20
MOMENTUM = 0.75  # fraction of the step along the gradient; the rest continues the previous step
PROGRESS = 0.75  # fraction of steps that must raise the loss for the step size to stay


def adaptive_sharpness(trained: FineTuned) -> float:
    """Rise of the mean loss of normalised logits within ``RHO``, in evaluation mode.

    The search moves copies and never writes to the model's own weights or ``.grad``. Cost: 21 forward and backward
    passes over the training rows, and seven times the memory of the trainable parameters.

    Returns:
        Nats, 0 or more; NaN for a model that is not finite.
    """
    start = {name: p.detach() for name, p in trained.model.named_parameters() if p.requires_grad}
    radius = {name: RHO * value.abs() for name, value in start.items()}
    with measuring(trained.model, frozen=False):
        return _Search(trained, start, radius).run()


def normalized(logits: Tensor) -> Tensor:
    """Logits ``[batch, num_classes]`` divided by their standard deviation over the classes; equal logits give zeros.

    Example:
        >>> normalized(torch.tensor([[1.0, 3.0], [5.0, 5.0]]))
        tensor([[-1.,  1.],
                [ 0.,  0.]])
    """
    centred = logits - logits.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    return centred * variance.clamp(min=torch.finfo(logits.dtype).tiny).rsqrt()


def checkpoints(steps: int) -> list[int]:
    """Steps after which the step size is reviewed: at 22 % of them, then at intervals that shrink from 19 % to 6 %.

    Example:
        >>> checkpoints(20)
        [5, 9, 12, 14, 16, 18, 19]
    """
    # In hundredths, so that floating-point rounding has no effect.
    marks = [0, 22]
    while marks[-1] < 100:
        marks.append(marks[-1] + max(marks[-1] - marks[-2] - 3, 6))
    found = [-(-mark * steps // 100) for mark in marks[1:]]
    return sorted({step for step in found if step < steps})


class _Search:
    """APGD, algorithm 1, for the box ``|x - start| <= radius``; each weight has its own radius and step."""

    def __init__(self, trained: FineTuned, start: dict[str, Tensor], radius: dict[str, Tensor]) -> None:
        self._trained, self._start, self._radius = trained, start, radius

    def run(self) -> float:
        x = before = best = self._start
        first, gradient = self._at(x)
        highest = value = first
        best_gradient, size, rises, last, marks = gradient, 2.0, 0, 0, checkpoints(STEPS)
        size_before, highest_before = size, highest
        for step in range(1, STEPS + 1):
            moved = self._step(x, before, gradient, size, 1.0 if step == 1 else MOMENTUM)
            x, before, previous = moved, x, value
            value, gradient = self._at(x)
            rises += value > previous
            if value > highest:
                highest, best, best_gradient = value, x, gradient
            if step in marks:
                stuck = size_before == size and highest_before == highest
                size_before, highest_before = size, highest
                if rises < PROGRESS * (step - last) or stuck:
                    size /= 2
                    x, value, gradient = best, highest, best_gradient
                rises, last = 0, step
        return highest - first

    def _at(self, x: dict[str, Tensor]) -> tuple[float, dict[str, Tensor]]:
        leaves = {name: value.detach().requires_grad_() for name, value in x.items()}
        value, gradient = loss_and_gradient(self._trained, leaves, normalized)
        return value, {name: part.sign_() for name, part in gradient.items()}

    @torch.no_grad()
    def _step(
        self, x: dict[str, Tensor], before: dict[str, Tensor], signs: dict[str, Tensor], size: float, share: float
    ) -> dict[str, Tensor]:
        """One step of ``size`` radii uphill, mixed with the previous step; parameters without influence stay put."""
        moved = dict(x)
        for name, sign in signs.items():
            aim = self._inside(name, x[name] + size * self._radius[name] * sign)
            mixed = x[name] + share * (aim - x[name]) + (1 - share) * (x[name] - before[name])
            moved[name] = self._inside(name, mixed)
        return moved

    def _inside(self, name: str, value: Tensor) -> Tensor:
        centre, radius = self._start[name], self._radius[name]
        return torch.minimum(torch.maximum(value, centre - radius), centre + radius)
