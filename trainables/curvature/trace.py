"""fisher_trace: the trace of the Fisher information of a classifier, in about one training step.

    Tr(F) = mean over x of  sum_y p(y|x) ||grad log p(y|x)||^2

over every parameter that requires a gradient, in evaluation mode. Owns the choice of path and of cotangents; the layer
rules are in ``ghost``, the fallback in ``loop``.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from trainables.curvature import families
from trainables.curvature.batches import Examples, read_examples
from trainables.curvature.estimate import Estimator, SlowPathWarning, TraceEstimate, layer_group, summarize
from trainables.curvature.ghost import NoRule
from trainables.curvature.paths import Measurement
from trainables.errors import InputError


def fisher_trace(
    model: nn.Module,
    batches: Iterable[Mapping[str, Any]],
    *,
    estimator: Estimator | str = Estimator.EXACT,
    samples: int = 1,
    generator: torch.Generator | None = None,
    slow: Literal["allow", "error"] = "allow",
    progress: Callable[[int, int], None] | None = None,
) -> TraceEstimate:
    """Tr(F) of a sequence classifier: mean over examples, sum over parameters, expectation over the model's labels.

    Exact: with ``S S^T = diag(p) - p p^T`` (one column fewer than classes), an example's trace is the sum over the
    columns of ``||J^T s_k||^2``, J the Jacobian of its logits. Parameters are frozen for the measurement, so that a
    backward pass carries activations' gradients only, and the norms come from Gram matrices. Cost: one forward pass and
    ``num_classes - 1`` (``exact``), ``samples`` (``monte-carlo``) or 1 (``empirical``) such backward passes.

    BERT, XLM-RoBERTa, RoBERTa, DistilBERT and ELECTRA sequence classifiers are measured this way. Any other model is
    measured by a loop over examples: the same number, about 4 times slower, with a :class:`SlowPathWarning`.
    The model and the random generators are left as found, also after an error.

    Args:
        model: A classifier whose output has ``logits`` ``[batch, num_classes]``, float32 or better. Parameters that do
            not require a gradient do not count.
        batches: Mappings from argument names to tensors ``[batch, ...]``, as a tokenizer makes them. Any order and
            padding: examples are sorted by length and padding is trimmed. No chunk is larger than the largest batch.
            ``labels`` are read by ``empirical`` and ignored otherwise.
        estimator: ``exact``, ``monte-carlo`` or ``empirical``. Only the first two are Tr(F).
        samples: Labels an example, for ``monte-carlo``.
        generator: CPU generator of those labels; None is a fresh one with seed 0. The labels do not depend on batching.
        slow: ``error`` forbids the loop over examples.
        progress: Called with (examples done, examples) after each chunk.

    Returns:
        The estimate, with per-example values and the split by layer.

    Raises:
        InputError: Wrong input, a model without a softmax over two classes or more, no memory, or the slow path where
            it is forbidden.

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
    if samples < 1 or (samples > 1 and kind is not Estimator.MONTE_CARLO):
        raise InputError(f"samples must be 1 or more, and 1 unless the estimator is monte-carlo, got {samples}")
    groups = _groups(model)
    examples = read_examples(batches)
    uniforms = None
    if kind is Estimator.MONTE_CARLO:
        generator = generator or torch.Generator().manual_seed(0)
        uniforms = torch.rand(len(examples.inputs), samples, generator=generator, dtype=torch.float64)
    if kind is Estimator.EMPIRICAL and any(label is None for label in examples.labels):
        raise InputError("the empirical Fisher needs observed labels: give each batch a tensor 'labels'")
    measurement = Measurement(model, examples, kind, uniforms, groups, progress)
    reason = families.reason_against(model) or _reason_against_inputs(examples)
    if reason is None:
        try:
            measurement.fast()
        except NoRule as error:
            reason = str(error)
    note = None
    if reason is not None:
        note = f"the slow path, a loop over single examples, about 4 times as long as the fast path, because {reason}"
        if slow == "error":
            raise InputError(f"the Fisher trace of this model needs {note}; allow it with slow='allow'")
        warnings.warn(f"the Fisher trace takes {note}", SlowPathWarning, stacklevel=2)
        measurement.slow()
    return summarize(
        measurement.parts,
        num_classes=measurement.num_classes,
        num_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        estimator=kind,
        path="fast" if note is None else "slow",
        seconds=time.perf_counter() - start,
        note=note,
    )


def _groups(model: nn.Module) -> dict[str, str]:
    """Each parameter that counts, with its layer group."""
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


def _reason_against_inputs(examples: Examples) -> str | None:
    keys = examples.inputs[0].keys()
    for example in examples.inputs:
        if example.keys() != keys or not keys <= families.INPUTS or "input_ids" not in keys:
            return f"the inputs are {', '.join(example)}, and only {', '.join(sorted(families.INPUTS))} have rules"
        if any(value.ndim != 2 for value in example.values()):
            return "an input is not of the form [examples, length]"
    return None
