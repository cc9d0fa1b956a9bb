"""The number format of training and evaluation passes: bfloat16 autocast where the device gains from it, else float32.

This module makes that one decision and defines the context that acts on it. Weights, gradients, optimiser, losses and
their softmax, penalties and every curvature number are float32 or better whatever is decided here: only the passes of
``micro_batch.MicroBatch`` and of ``evaluation.predict`` enter the context, and they return float32 logits.

Three kinds of step make all their passes in float32:

- one on which the Fisher penalty acts. The penalty differentiates its main pass, so that pass is part of a curvature
  number, and a view must not differ from it by rounding, which a consistency loss would count;
- one where a consistency loss has a continuous view. Its divergence falls with the square of the perturbation, and
  bfloat16's rounding alone amounts to some 1e-6 nats (measured on the bundled model: 16 times the divergence of an
  adversarial embedding at its default radius, 11 times that of embedding noise of 1e-3; 0.2 % off with subword views);
- one with TRAM, whose ascent is as long as such a divergence.

The rule applies per step, not per trial or study, so a penalty of weight 0 still equals the baseline bit for bit, and
the second stage is the same in all arms. For comparisons, this means that in bfloat16 the trials of ``fpen`` lack
rounding noise (relative size 2^-9 per activation) that the other arms have. All weights of the arm lack it, so only
comparisons between families are affected, not correlations within them. Where that matters, ``model.precision=float32``
gives every arm the same passes, at the cost of the faster format.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainables.errors import InputError

NARROWEST = 128
"""Hidden size from which bfloat16 on a CPU is worth it: at 96 a step gains a third at best, at 256 and above a half."""


def training_dtype(device: torch.device, precision: str, hidden_size: int) -> torch.dtype:
    """The format of a trial's training and evaluation passes.

    ``torch.bfloat16`` where the configuration asks for it, and, under ``auto``, on a GPU that computes in it, or on a
    CPU that does for encoders wide enough to gain; else ``torch.float32``.

    Raises:
        InputError: The configuration asks for bfloat16, and the device does not compute in it.
    """
    if precision == "float32":
        return torch.float32
    available = has_bfloat16(device)
    if precision == "bfloat16":
        if not available:
            kind = "GPU" if device.type == "cuda" else "CPU"
            raise InputError(
                f"model.precision=bfloat16, but the {kind} here does not compute in it; set model.precision=auto, "
                "which takes it where a trial's machine has it"
            )
        return torch.bfloat16
    gains = available and (device.type == "cuda" or hidden_size >= NARROWEST)
    return torch.bfloat16 if gains else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has bfloat16 instructions: emulation is slower than float32 and no more exact."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16")) and _onednn_has_bfloat16()


def _onednn_has_bfloat16() -> bool:
    """Whether oneDNN may use what the CPU has: ONEDNN_MAX_CPU_ISA can forbid it, and emulation is 6 times as slow."""
    return bool(torch._C._has_mkldnn and torch.ops.mkldnn._is_mkldnn_bf16_supported())


COARSE = frozenset({"subword", "code_switch", "translation", "second_dropout", "token_substitution"})
"""Views whose perturbation cannot be small; a plugin's may be."""


def step_dtype(dtype: torch.dtype, exact: bool, consistency_view: str | None) -> torch.dtype:
    """The format of all passes of one step: ``torch.float32`` where a small difference counts, else the trial's.

    Args:
        dtype: What :func:`training_dtype` decided for the trial.
        exact: Whether the Fisher penalty or TRAM acts in the step.
        consistency_view: Kind of the view of the stage's consistency loss; None without one.
    """
    small = consistency_view is not None and consistency_view not in COARSE
    return torch.float32 if exact or small else dtype


@contextmanager
def passes_in(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Within the context, a forward pass computes in a format; parameters keep theirs.

    float32 changes nothing, so float64 models stay as they are.
    """
    if dtype == torch.float32:
        yield
        return
    with torch.autocast(device.type, dtype=dtype):
        yield


def at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    """Logits as losses take them: in float32, or in float64 where they already are."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
