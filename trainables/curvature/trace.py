"""fisher_trace: the trace of the Fisher information of a classifier, in about one training step.

    Tr(F) = mean over x of  sum_y p(y|x) ||grad log p(y|x)||^2

over every parameter that requires a gradient, in evaluation mode. This module chooses the path; the directions in logit
space are in ``cotangents``, the rules in ``fast_path/rules``, and the fallback in ``loop``.
"""

from __future__ import annotations

import math
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainables.curvature.batches import Examples, read_examples
from trainables.curvature.cotangents import Cotangents
from trainables.curvature.estimate import (
    Estimator,
    SlowPathWarning,
    TraceEstimate,
    layer_group,
    ordered_groups,
)
from trainables.curvature.fast_path.operations import NoRule
from trainables.curvature.paths import Measurement
from trainables.errors import InputError


def fisher_trace(
    model: nn.Module,
    batches: Iterable[Mapping[str, Any]],
    *,
    estimator: Estimator | str = Estimator.AUTO,
    samples: int = 1,
    generator: torch.Generator | None = None,
    slow: Literal["allow", "error"] = "allow",
    progress: Callable[[int, int], None] | None = None,
    by_matrix: bool = False,
) -> TraceEstimate:
    """Tr(F) of a sequence classifier: mean over examples, sum over parameters, expectation over the model's labels.

    Exact: with ``S S^T = diag(p) - p p^T``, where S has one column fewer than there are classes, an example's trace is
    the sum over columns of ``||J^T s_k||^2``, with J the Jacobian of its logits. Parameters are frozen meanwhile: a
    backward pass carries only activations' gradients, and the norms come from Gram matrices. Cost: one forward pass and
    ``num_classes - 1`` (``exact``), ``samples`` (``signs``, ``monte-carlo``) or 1 (``empirical``) such backward passes.

    Signs: ``E ||J^T S e||^2 = Tr(F)`` for random signs ``e``: one direction for any number of classes.

    A model is measured this way if every operation on its parameters has a rule: products, lookups, norms in any
    spelling, and what examples share, such as tables of positions. Before the first result, two examples are also
    measured by a loop over examples. If the results differ by more than 1e-4 (float32), or a rule is missing, the loop
    measures all examples: the right number, about 4 times slower, with a :class:`SlowPathWarning` that says why.
    The model and the random generators are left as found, even after an error.

    Args:
        model: A classifier whose output has ``logits`` ``[batch, num_classes]``, float32 or better. Parameters that do
            not require a gradient do not count.
        batches: Mappings from argument names to tensors ``[batch, ...]``, as a tokenizer makes them. Order and padding
            do not matter: examples are sorted by length and padding is trimmed, except for a model that reads padding
            (ConvBERT), whose examples stay as given. No chunk is larger than the largest batch. ``labels`` are read by
            ``empirical`` and ignored otherwise.
        estimator: ``auto`` (``exact`` up to five classes, ``signs`` above), ``exact``, ``signs``, ``monte-carlo`` or
            ``empirical``. All but the last estimate Tr(F).
        samples: Draws per example, for ``signs`` and ``monte-carlo``.
        generator: CPU generator of the draws; None means a new one with seed 0, so measurements of the same examples
            are comparable. The draws do not depend on batching.
        slow: ``error`` forbids the loop over examples.
        progress: Called with (examples done, examples) after each chunk.
        by_matrix: Also return the part of each weight matrix, at next to no cost.

    Raises:
        InputError: Wrong input, a model without a softmax over at least two classes, too little memory, or a need for
            the slow path where it is forbidden.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> model = BertForSequenceClassification(BertConfig(
        ...     vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16))
        >>> ids = torch.tensor([[1, 5, 7], [1, 9, 0]])
        >>> batch = {"input_ids": ids, "attention_mask": (ids > 0).long()}
        >>> estimate = fisher_trace(model, [batch])
        >>> estimate.path, estimate.num_examples, list(estimate.per_layer)
        ('fast', 2, ['embeddings', 'layer.0', 'pooler', 'classifier'])
    """
    start = time.perf_counter()
    try:
        kind = Estimator(estimator)
    except ValueError:
        raise InputError(f"unknown estimator {estimator!r}; known: {', '.join(Estimator)}") from None
    if samples < 1 or (samples > 1 and kind in (Estimator.EXACT, Estimator.EMPIRICAL)):
        raise InputError(
            f"samples must be 1 or more, and 1 unless the estimator is signs or monte-carlo, got {samples}"
        )
    groups = counted_groups(model)
    examples = read_examples(batches)
    if kind is Estimator.EMPIRICAL and any(label is None for label in examples.labels):
        raise InputError("the empirical Fisher needs observed labels: give each batch a tensor 'labels'")
    cotangents = Cotangents(examples, kind, samples, generator or torch.Generator().manual_seed(0))
    counted = [(name, parameter) for name, parameter in model.named_parameters() if name in groups]
    matrices = {name: name for name, parameter in counted if by_matrix and parameter.ndim == 2}
    parts, note = _measured(Measurement(model, examples, cotangents, groups | matrices, progress), slow)
    per_matrix = {name: float(parts[name].mean()) for name in matrices}
    for name in matrices:
        parts[groups[name]] = parts.get(groups[name], 0.0) + parts.pop(name)
    entries: Counter[str] = Counter()
    for name, parameter in counted:
        entries[groups[name]] += parameter.numel()
    names = ordered_groups(list(groups))
    table = torch.stack([parts[group] for group in names])
    per_example = table.sum(0)
    count = len(per_example)
    return TraceEstimate(
        value=float(per_example.mean()),
        standard_error=float(per_example.std()) / math.sqrt(count) if count > 1 else math.nan,
        per_example=per_example,
        num_examples=count,
        num_classes=cotangents.num_classes,
        per_layer=dict(zip(names, table.mean(1).tolist(), strict=True)),
        parameters_per_layer={group: entries[group] for group in names},
        estimator=cotangents.estimator,
        path="fast" if note is None else "slow",
        seconds=time.perf_counter() - start,
        note=note,
        per_matrix=per_matrix,
    )


def _measured(measurement: Measurement, slow: Literal["allow", "error"]) -> tuple[dict[str, Tensor], str | None]:
    """The parts of a measurement by the fastest correct path and, if that is the slow one, the reason."""
    reason = _reason_against_inputs(measurement.examples)
    if reason is None:
        try:
            measurement.fast()
            return measurement.parts, None
        except NoRule as error:
            reason = str(error)
    note = f"the slow path, a loop over single examples, about 4 times as long as the fast path, because {reason}"
    if slow == "error":
        raise InputError(f"the Fisher trace of this model needs {note}; allow it with slow='allow'")
    warnings.warn(f"the Fisher trace takes {note}", SlowPathWarning, stacklevel=3)
    measurement.slow()
    return measurement.parts, note


def reason_against_fast_path(model: nn.Module) -> str | None:
    """Why :func:`fisher_trace` would use the slow loop for a model, tried on two short examples; None if it would not.

    Raises:
        InputError: As :func:`fisher_trace`.
    """
    config: Any = getattr(model, "config", None)
    end = getattr(config, "eos_token_id", None)
    ids = torch.full((2, 6), 7 % max(getattr(config, "vocab_size", 8), 1))
    ids[:, -1] = end if isinstance(end, int) else ids[0, 0]
    device = next(model.parameters()).device
    examples = read_examples([{"input_ids": ids.to(device), "attention_mask": torch.ones_like(ids, device=device)}])
    cotangents = Cotangents(examples, Estimator.SIGNS, 1, torch.Generator().manual_seed(0))
    try:
        Measurement(model, examples, cotangents, counted_groups(model), None).fast()
    except NoRule as error:
        return str(error)
    return None


def counted_groups(model: nn.Module) -> dict[str, str]:
    """Name and layer group of each parameter that counts for Tr(F), which is every one that requires a gradient.

    Raises:
        InputError: No parameter counts, or Tr(F) is not defined for the model.
    """
    problem = getattr(getattr(model, "config", None), "problem_type", None)
    if problem in ("regression", "multi_label_classification"):
        raise InputError(f"the model is set up for {problem}: Tr(F) is defined here for one softmax over the labels")
    for name, parameter in model.named_parameters():
        if parameter.is_inference():
            raise InputError(
                f"no gradient can be taken of {name}, which was made under torch.inference_mode: build or load the "
                "model outside of it"
            )
        if parameter.dtype not in (torch.float32, torch.float64):
            kind = str(parameter.dtype).removeprefix("torch.")
            raise InputError(f"Tr(F) needs float32 or better, but {name} is {kind}: call model.float() first")
    groups = {name: layer_group(name) for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not groups:
        raise InputError("no parameter requires a gradient, so none counts: call model.requires_grad_(True) first")
    return groups


_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})


def _reason_against_inputs(examples: Examples) -> str | None:
    keys = examples.inputs[0].keys()
    for example in examples.inputs:
        if example.keys() != keys or not keys <= _INPUTS or "input_ids" not in keys:
            return f"the inputs are {', '.join(example)}, and only {', '.join(sorted(_INPUTS))} have rules"
        if any(value.ndim != 2 for value in example.values()):
            return "an input is not of the form [examples, length]"
    return None
