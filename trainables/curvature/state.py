"""Leave the model and the process as they were found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def measuring(model: nn.Module, *, frozen: bool) -> Iterator[None]:
    """Evaluation mode, gradients on, full precision; everything is restored at the end, even after an exception.

    This covers each module's mode, each parameter's ``requires_grad``, torch's random generators and the precision of
    float32 products. Gradients in ``.grad`` and attention implementations are not touched; BigBird, which gives up its
    sparse attention for good at the first short input, is set back after each pass.

    Args:
        frozen: Whether parameters stop requiring a gradient, so that a backward pass carries only activations'
            gradients.
    """
    modes = [(module, module.training) for module in model.modules()]
    requires_grad = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    precision = torch.get_float32_matmul_precision()
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
        try:
            # TF32 keeps ten bits of each factor, too few for sums of squares.
            torch.set_float32_matmul_precision("highest")
            model.eval()
            # The outermost module passes a change on to those inside.
            for module in [module for module in model.modules() if hasattr(module, "set_attention_type")][:1]:
                stack.enter_context(_attention_kept(module))
            if frozen:
                model.requires_grad_(False)
            yield
        finally:
            torch.set_float32_matmul_precision(precision)
            for module, training in modes:
                module.training = training
            for parameter, required in requires_grad:
                parameter.requires_grad_(required)


@contextmanager
def _attention_kept(module: Any) -> Iterator[None]:
    kind = module.attention_type

    def set_back(*_: Any) -> None:
        if module.attention_type != kind:
            module.set_attention_type(kind)

    handle = module.register_forward_hook(set_back, always_call=True)
    try:
        yield
    finally:
        handle.remove()
