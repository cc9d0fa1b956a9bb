"""How far equation 1 holds: the second-order expansion of the KL divergence under parameter noise.

    KL(p_theta || p_{theta + sigma eps})  ~  1/2 sigma^2 eps^T F eps,   E eps^T F eps = Tr(F) for eps ~ N(0, I)

Everything is float64, since a KL of 1e-9 nats is below float32's rounding of the logits.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature.estimate import Estimator, TraceEstimate
from trainables.curvature.forward_mode import clear_padding, forward_mode, label_variance, logits_at, product
from trainables.curvature.trace import fisher_trace
from trainables.divergences import divergence
from trainables.errors import InputError


@dataclass(frozen=True)
class KlExpansion:
    """Divergences along random directions, and the quadratic forms that predict them.

    Attributes:
        sigmas: Noise scales, ascending: the standard deviation of each parameter's displacement.
        kl: ``KL(p_theta || p_{theta + sigma eps})``, mean over examples (nats); float64 ``[draws, sigmas]``.
        quadratic: ``eps^T F eps`` of each direction; float64 ``[draws]``.
        trace: Exact Tr(F) on the same examples, float64.
    """

    sigmas: tuple[float, ...]
    kl: Tensor
    quadratic: Tensor
    trace: TraceEstimate

    @property
    def ratio(self) -> Tensor:
        """KL divided by ``1/2 sigma^2 eps^T F eps``, 1 where equation 1 holds; float64 ``[draws, sigmas]``."""
        squares = torch.tensor(self.sigmas, dtype=torch.float64).square()
        return self.kl / (0.5 * squares * self.quadratic.unsqueeze(1))

    @property
    def ratio_mean(self) -> list[float]:
        """Mean of ``ratio`` over directions, for each sigma."""
        means: list[float] = self.ratio.mean(0).tolist()
        return means

    @property
    def ratio_standard_error(self) -> list[float]:
        """Standard error of ``ratio_mean`` over directions; NaN for a single one."""
        if len(self.ratio) == 1:
            return [math.nan] * len(self.sigmas)
        errors: list[float] = (self.ratio.std(0) / math.sqrt(len(self.ratio))).tolist()
        return errors

    @property
    def quadratic_mean(self) -> float:
        """Mean of ``eps^T F eps``: Hutchinson's unbiased estimate of Tr(F)."""
        return float(self.quadratic.mean())

    @property
    def quadratic_standard_error(self) -> float:
        """Standard error of ``quadratic_mean`` over directions; NaN for a single one."""
        count = len(self.quadratic)
        return float(self.quadratic.std()) / math.sqrt(count) if count > 1 else math.nan

    def leaves(self, tolerance: float) -> float | None:
        """The smallest sigma at which some direction's ratio differs from 1 by more than ``tolerance`` (a fraction).

        None if every ratio is within the tolerance.
        """
        off = ((self.ratio - 1).abs() > tolerance).any(0).tolist()
        return next((sigma for sigma, outside in zip(self.sigmas, off, strict=True) if outside), None)


def kl_expansion(
    model: nn.Module,
    batches: Iterable[Mapping[str, Any]],
    sigmas: Sequence[float],
    draws: int,
    *,
    generator: torch.Generator | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> KlExpansion:
    """Compare the divergence under parameter noise with its second-order expansion, along the same directions.

    Each direction is one draw of N(0, I) over the parameters that require a gradient. Its quadratic form is the mean
    over examples of the variance, under p, of ``J eps``, and takes one forward-mode product; the divergences take one
    forward pass for each sigma. The model is not touched: the work is done on a float64 copy with eager attention. With
    a direction and a displaced point, this takes six times the memory of a float32 model.

    Args:
        batches: Model inputs ``[batch, ...]``; ``labels`` are ignored.
        sigmas: Noise scales above 0.
        generator: CPU generator of the directions; None means a new one with seed 0.

    Raises:
        InputError: No sigmas, a sigma that is not above 0, no draws, or anything that :func:`fisher_trace` refuses.
    """
    if not sigmas or min(sigmas) <= 0 or draws < 1:
        raise InputError(f"needs sigmas above 0 and at least one draw, got sigmas={list(sigmas)} draws={draws}")
    generator = generator or torch.Generator().manual_seed(0)
    batches = [{key: value for key, value in batch.items() if key != "labels"} for batch in batches]
    twin: Any = copy.deepcopy(model).double().eval()
    if hasattr(twin, "set_attn_implementation"):
        twin.set_attn_implementation("eager")
    trace = fisher_trace(twin, batches, estimator=Estimator.EXACT)
    ordered = tuple(sorted(sigmas))
    kl = torch.zeros(draws, len(ordered), dtype=torch.float64)
    quadratic = torch.zeros(draws, dtype=torch.float64)
    theta = {name: p.detach() for name, p in twin.named_parameters() if p.requires_grad}
    device = next(iter(theta.values())).device
    inputs = [{key: value.to(device) for key, value in batch.items()} for batch in batches]
    with forward_mode(), torch.random.fork_rng([]):
        for draw in range(draws):
            epsilon = _direction(twin, theta, generator)
            log_p = []
            for batch in inputs:
                logits, change = product(twin, theta, epsilon, batch)
                log_p.append(logits.log_softmax(-1))
                quadratic[draw] += label_variance(log_p[-1], change).sum().cpu() / trace.num_examples
            for column, sigma in enumerate(ordered):
                at = {name: value + sigma * epsilon[name] for name, value in theta.items()}
                for batch, before in zip(inputs, log_p, strict=True):
                    after = logits_at(twin, at, batch).log_softmax(-1)
                    kl[draw, column] += divergence(before, after).sum().cpu() / trace.num_examples
            if progress is not None:
                progress(draw + 1, draws)
    return KlExpansion(ordered, kl, quadratic, trace)


def _direction(model: nn.Module, theta: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Standard normal numbers per parameter, drawn on the CPU so that a seed gives the same ones on any device."""
    epsilon = {
        name: torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.device)
        for name, value in theta.items()
    }
    clear_padding(model, epsilon)
    return epsilon
