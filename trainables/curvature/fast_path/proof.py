"""The fast path proves itself: before its first result, two examples are also measured by the loop.

A proof is made once, for a model's structure: the weights may change, as they do in training, but the modules, hooks,
settings and set of trainable parameters may not. It is made again for each measurement as long as a parameter has no
gradient in it, such as the first factor of a low-rank update that starts at 0.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature.batches import Example
from trainables.curvature.fast_path.ghost import GhostNorms
from trainables.curvature.fast_path.operations import Call, NoRule, Rehearsal, telling_rows
from trainables.curvature.loop import logits_of
from trainables.errors import one_line

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6}  # relative; many models normalise in float32
_WIDTH = 16  # positions in a rehearsal


@dataclass(frozen=True)
class Rehearsed:
    """What a forward pass over ``width`` positions does: its operations on parameters, and its number of classes."""

    calls: tuple[Call, ...]
    width: int
    num_classes: int


@dataclass(frozen=True)
class Expected:
    """What the loop found for one example.

    Attributes:
        logits: ``[1, classes]``.
        cotangent: ``[1, classes]``.
        norms: Squared gradient norm by group.
        still: Names of the parameters whose gradient is 0, for which the example proves nothing.
    """

    logits: Tensor
    cotangent: Tensor
    norms: dict[str, float]
    still: frozenset[str]


Ways = dict[bool, Rehearsed]
"""What forward passes do, by whether an example is padded: many models skip a mask that is all ones."""

_PROVEN: weakref.WeakKeyDictionary[nn.Module, tuple[Hashable, Ways]] = weakref.WeakKeyDictionary()


def structure(model: nn.Module, groups: Mapping[str, str]) -> Hashable:
    """What a proof depends on; equal as long as the model computes the same function of its weights."""
    modules = []
    for name, module in model.named_modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        settings = tuple(
            (key, value) for key, value in vars(module).items() if isinstance(value, (bool, int, float, str))
        )
        own = (id(vars(module).get("forward")), id(module._compiled_call_impl), *(tuple(map(id, h)) for h in hooks))
        modules.append((name, type(module), own, tuple(s for s in settings if s[0] != "training")))
    parameters = tuple((name, id(p), p.dtype, p.device) for name, p in model.named_parameters(remove_duplicate=False))
    config: Any = getattr(model, "config", None)
    written = config.to_json_string(use_diff=False) if hasattr(config, "to_json_string") else ""
    attention = getattr(config, "_attn_implementation", None)
    return (tuple(modules), parameters, tuple(groups), written, attention)


def proven(model: nn.Module, of: Hashable) -> Ways:
    """The proven ways through a model with a given structure, kept as long as the model exists.

    The caller adds each way that it proves.
    """
    found = _PROVEN.get(model)
    if found is None or found[0] != of:
        found = _PROVEN[model] = (of, {})
    return found[1]


def is_padded(inputs: Example) -> bool:
    """Whether some positions are not attended to; False if there is no mask."""
    return "attention_mask" in inputs and not bool(inputs["attention_mask"].all())


def _short_rows(model: nn.Module, inputs: Example, pad_token: int) -> Example:
    """Some positions of an example, in a number of rows that tells batched values from shared ones.

    They are its first attended positions and its last one, where some models look for a token that ends the text. The
    result is padded if ``inputs`` are.

    Args:
        inputs: Model inputs ``[rows, positions]``; the second row is used, or the only one.

    Raises:
        NoRule: No suitable number of rows is found.
    """
    one = {key: value[1:2] if len(value) > 1 else value for key, value in inputs.items()}
    mask = one.get("attention_mask", torch.ones_like(one["input_ids"]))
    attended = mask[0].nonzero()[:, 0]
    columns = torch.cat([attended[: min(_WIDTH, len(attended)) - 1], attended[-1:]])
    short = {key: value[:, columns] for key, value in one.items()}
    rows = telling_rows(model, len(columns) + is_padded(inputs))
    short = {key: value.repeat(rows, 1) for key, value in short.items()}
    if is_padded(inputs):
        fill = {"input_ids": pad_token}
        short = {key: nn.functional.pad(value, (0, 1), value=fill.get(key, 0)) for key, value in short.items()}
    return short


def rehearse(model: nn.Module, groups: Mapping[str, str], inputs: Example, pad_token: int) -> Rehearsed:
    """Watch one short forward pass, padded if ``inputs`` are.

    Args:
        model: In evaluation mode, not frozen.

    Raises:
        NoRule: The model is compiled, or its forward pass fails.
        IndexError: An id is outside the model's tables, or the model's code has a fault.
    """
    short = _short_rows(model, inputs, pad_token)
    for name, module in model.named_modules():
        if module._compiled_call_impl is not None or type(module).__name__ == "OptimizedModule":
            raise NoRule(f"{name or 'the model'} is compiled")
    rows = len(short["input_ids"])
    counted = {name: parameter for name, parameter in model.named_parameters() if name in groups}
    try:
        with Rehearsal(counted, rows) as watched:
            logits = logits_of(model(**short))
    except (NoRule, IndexError):
        raise
    except Exception as error:
        raise NoRule(f"on several examples at a time it raised {what_was_raised(error)}") from error
    if len(logits) != rows:
        raise NoRule("its logits are not one row an example")
    return Rehearsed(tuple(watched.calls), short["input_ids"].shape[1], logits.shape[1])


def cotangent(place: int, num_classes: int) -> Tensor:
    """A logit direction ``[1, classes]``, float64, at which all parameters have gradients whatever the model predicts.

    ``place`` is the number of the example in the proof.
    """
    return torch.randn(1, num_classes, generator=torch.Generator().manual_seed(place), dtype=torch.float64)


def check(ghost: GhostNorms, logits: Tensor, expected: list[Expected]) -> None:
    """Compare the fast path on the first examples of a chunk with what the loop found.

    Args:
        ghost: After its forward pass; the graph of ``logits`` is kept.
        expected: What the loop found for the first rows of the chunk.

    Raises:
        NoRule: The two differ.
    """
    cotangents = torch.zeros_like(logits)
    for row, one in enumerate(expected):
        cotangents[row] = one.cotangent[0]
    found = ghost.backward(logits, cotangents, last=False)
    tolerance = TOLERANCE[logits.dtype]
    for row, one in enumerate(expected):
        total = sum(one.norms.values())
        off = max(abs(float(found[g][row]) - norm) if g in found else norm for g, norm in one.norms.items())
        change = float((logits[row].detach() - one.logits[0]).abs().max() / one.logits.abs().max().clamp(min=1.0))
        if not off <= tolerance * total or not change <= 10 * tolerance:
            raise NoRule(
                f"an example measured both ways differs by {off / total if total else off:.0e} of its value and "
                f"{change:.0e} in its logits"
            )


def what_was_raised(error: Exception) -> str:
    """The type of an exception and the start of its message, in one line."""
    return f"{type(error).__name__}: {one_line(error, 'no message')[:120]}"
