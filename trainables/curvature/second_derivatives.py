"""Find whatever would break a double backward, before the first step, and say what to change.

torch 2.13's fused attention kernels, compiled functions and reentrant checkpoints have first derivatives only; data-
parallel reducers listen to ``backward()`` and never see ``autograd.grad``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from trainables.errors import InputError

_WRAPPERS = ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel", "FSDPModule")
_ONCE = (
    ("ScaledDotProduct", "fused attention", "load the model with attn_implementation='eager'"),
    ("CompiledFunction", "a torch.compile'd function", "train the model without torch.compile"),
    ("CheckpointFunction", "a reentrant checkpoint", "enable gradient checkpointing with use_reentrant=False"),
)


def require_second_derivatives(model: nn.Module) -> None:
    """Set eager attention and refuse what has no second derivative; call it once, before the first step.

    Raises:
        InputError: The model is wrapped, compiled or checkpointed with ``use_reentrant=True``, or it has sparse
            embeddings or an attention that cannot be set to eager. The message says what to change.

    Example:
        >>> require_second_derivatives(nn.Linear(2, 2))
        >>> require_second_derivatives(nn.DataParallel(nn.Linear(2, 2)))
        Traceback (most recent call last):
        trainables.errors.InputError: the Fisher penalty needs the bare model, not a DataParallel: ...
    """
    refuse_wrappers(model)
    config: Any = getattr(model, "config", None)
    if getattr(config, "_attn_implementation", "eager") == "eager":
        return
    setter: Any = getattr(model, "set_attn_implementation", None)
    if setter is not None:
        setter("eager")
    if config._attn_implementation != "eager":
        raise InputError(
            f"the Fisher penalty needs eager attention, "
            f"but {type(model).__name__} keeps {config._attn_implementation}: load it with attn_implementation='eager'"
        )


def refuse_wrappers(model: nn.Module) -> None:
    """Refuse models whose second derivative is known to break; InputError as :func:`require_second_derivatives`."""
    for module in model.modules():
        names = {kind.__name__ for kind in type(module).__mro__}
        if wrapper := next((name for name in _WRAPPERS if name in names), None):
            raise InputError(
                f"the Fisher penalty needs the bare model, not a {wrapper}: "
                "its reducer never sees the penalty's gradient"
            )
        if "OptimizedModule" in names or module._compiled_call_impl is not None:
            raise InputError(
                "torch.compile has no second derivative: train with a Fisher penalty without torch.compile"
            )
        if getattr(module, "gradient_checkpointing", False) and _is_reentrant(module):
            raise InputError(
                "reentrant gradient checkpointing has no second derivative: enable it with "
                'activation_checkpointing_kwargs={"use_reentrant": False}'
            )
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.sparse:
            raise InputError(
                "sparse embedding gradients have no second derivative: build the embedding with sparse=False"
            )


def _is_reentrant(module: nn.Module) -> bool:
    function: Any = getattr(module, "_gradient_checkpointing_func", None)
    return bool(getattr(function, "keywords", {}).get("use_reentrant", False))


def refuse_first_derivatives_only(output: Tensor) -> None:
    """Refuse a graph with a node that can be differentiated only once.

    Raises:
        InputError: The graph has such a node; the message says what to change.
    """
    start: Any = output.grad_fn
    seen: set[Any] = set()
    stack = [start] if start is not None else []
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        for prefix, what, remedy in _ONCE:
            if node.name().startswith(prefix):
                raise InputError(f"the Fisher penalty cannot be differentiated through {what}: {remedy}")
        stack.extend(next_node for next_node, _ in node.next_functions if next_node is not None)
