"""fisher_trace: the trace of the Fisher information of a classifier, in about one training step.

    Tr(F) = mean over x of  sum_y p(y|x) ||grad log p(y|x)||^2

over every parameter that requires a gradient, in evaluation mode. Owns the choice of path and of cotangents; the layer
rules are in ``ghost``, the fallback in ``loop``.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainables.curvature import families, loop
from trainables.curvature.batches import Examples, chunks, read_examples
from trainables.curvature.estimate import (
    Estimator,
    NonFiniteLogits,
    SlowPathWarning,
    TraceEstimate,
    layer_group,
    ordered_groups,
    summarize,
)
from trainables.curvature.ghost import GhostNorms, NoRule
from trainables.curvature.root import label_score, labels_at, softmax_root
from trainables.curvature.state import measuring
from trainables.errors import InputError

Progress = Callable[[int, int], None]


def fisher_trace(
    model: nn.Module,
    batches: Iterable[Mapping[str, Any]],
    *,
    estimator: Estimator | str = Estimator.EXACT,
    samples: int = 1,
    generator: torch.Generator | None = None,
    slow: Literal["allow", "error"] = "allow",
    progress: Progress | None = None,
) -> TraceEstimate:
    """Tr(F) of a sequence classifier: mean over examples, sum over parameters, expectation over the model's labels.

    Exact: with ``S S^T = diag(p) - p p^T`` (one column fewer than classes), an example's trace is the sum over the
    columns of ``||J^T s_k||^2``, J the Jacobian of its logits. Parameters are frozen for the measurement, so that a
    backward pass carries activations' gradients only, and the norms come from Gram matrices. Cost: one forward pass and
    ``num_classes - 1`` (``exact``), ``samples`` (``monte-carlo``) or 1 (``empirical``) such backward passes.

    BERT, XLM-RoBERTa, RoBERTa, DistilBERT and ELECTRA sequence classifiers are measured this way. Any other model is
    measured by a loop over examples: the same number, 3 to 5 times slower, with one :class:`SlowPathWarning`.
    The model and the random generators are left as found.

    Args:
        model: A classifier whose output has ``logits`` ``[batch, num_classes]``, float32 or better. Parameters that do
            not require a gradient do not count.
        batches: Mappings from argument names to tensors ``[batch, ...]``, as a tokenizer makes them. Any order and
            padding: examples are sorted by length and padding is trimmed. No chunk is larger than the largest batch.
            ``labels`` are read by ``empirical`` and ignored otherwise.
        estimator: ``exact``, ``monte-carlo`` or ``empirical``. Only the first two are Tr(F).
        samples: Labels an example for ``monte-carlo``.
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
    if samples < 1:
        raise InputError(f"samples must be 1 or more, got {samples}")
    counted = _counted(model)
    examples = read_examples(batches)
    uniforms = None
    if kind is Estimator.MONTE_CARLO:
        generator = generator or torch.Generator().manual_seed(0)
        uniforms = torch.rand(len(examples.inputs), samples, generator=generator, dtype=torch.float64)
    if kind is Estimator.EMPIRICAL and None in [label if label is None else 0 for label in examples.labels]:
        raise InputError("the empirical Fisher needs observed labels: give each batch a tensor 'labels'")
    task = _Task(model, examples, kind, uniforms, counted, progress)
    reason = families.reason_against(model) or _reason_against_inputs(examples)
    if reason is None:
        try:
            parts, num_classes = task.fast()
        except NoRule as error:
            reason = str(error)
    note = None
    if reason is not None:
        passes = {Estimator.EXACT: "classes - 1", Estimator.MONTE_CARLO: str(samples), Estimator.EMPIRICAL: "1"}[kind]
        note = (
            f"the Fisher trace takes the slow path, because {reason}: one example at a time, with {passes} backward "
            f"passes each, which takes 3 to 5 times as long"
        )
        if slow == "error":
            raise InputError(f"{note}; allow it with slow='allow'")
        warnings.warn(note, SlowPathWarning, stacklevel=2)
        parts, num_classes = task.slow()
    return summarize(
        parts,
        num_classes=num_classes,
        num_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        estimator=kind,
        path="fast" if note is None else "slow",
        seconds=time.perf_counter() - start,
        note=note,
    )


def _counted(model: nn.Module) -> dict[str, str]:
    """Each parameter that counts, with its layer group."""
    config = getattr(model, "config", None)
    problem = getattr(config, "problem_type", None)
    if problem in ("regression", "multi_label_classification"):
        raise InputError(f"the model is set up for {problem}: Tr(F) is defined here for one softmax over the labels")
    counted = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            if parameter.dtype not in (torch.float32, torch.float64):
                kind = str(parameter.dtype).removeprefix("torch.")
                raise InputError(f"Tr(F) needs float32 or better, but {name} is {kind}: call model.float() first")
            counted[name] = layer_group(name)
    if not counted:
        raise InputError("no parameter requires a gradient, so none counts: call model.requires_grad_(True) first")
    return counted


def _reason_against_inputs(examples: Examples) -> str | None:
    keys = examples.inputs[0].keys()
    for example in examples.inputs:
        if example.keys() != keys or not keys <= families.INPUTS or "input_ids" not in keys:
            return f"the inputs are {', '.join(example)}, and only {', '.join(sorted(families.INPUTS))} have rules"
        if any(value.ndim != 2 for value in example.values()):
            return "an input is not of the form [examples, length]"
    return None


class _Task:
    """One measurement: where cotangents come from and where the parts go."""

    def __init__(
        self,
        model: nn.Module,
        examples: Examples,
        kind: Estimator,
        uniforms: Tensor | None,
        counted: dict[str, str],
        progress: Progress | None,
    ) -> None:
        self.model, self.examples, self.kind, self.uniforms = model, examples, kind, uniforms
        self.counted, self.progress = counted, progress
        self.device = next(model.parameters()).device
        self.num_classes = 0
        count = len(examples.inputs)
        self.parts = {group: torch.zeros(count, dtype=torch.float64) for group in ordered_groups(list(counted))}

    def cotangents(self, logits: Tensor, chunk: list[int]) -> Tensor:
        """``[rows, classes, passes]``, scaled so that squared norms add up to an example's value."""
        logits = logits.detach()
        finite = logits.isfinite().all(1)
        if not bool(finite.all()):
            raise NonFiniteLogits(min(i for i, fine in zip(chunk, finite.tolist(), strict=True) if not fine))
        self.num_classes = logits.shape[1]
        if self.num_classes < 2:
            raise InputError("the model has one label: Tr(F) of a softmax needs two classes or more")
        if self.kind is Estimator.EXACT:
            return softmax_root(logits)
        if self.uniforms is not None:
            labels = labels_at(logits, self.uniforms[chunk].to(self.device))
        else:
            labels = torch.stack([self._label(i) for i in chunk]).to(self.device).unsqueeze(1)
        scores = [label_score(logits, labels[:, k]) for k in range(labels.shape[1])]
        return torch.stack(scores, 2) / math.sqrt(labels.shape[1])

    def _label(self, i: int) -> Tensor:
        label = self.examples.labels[i]
        if label is None or label.ndim != 0 or not 0 <= int(label) < self.num_classes:
            raise InputError(
                f"example {i} (counting from 0) has the label {label}, not one of 0..{self.num_classes - 1}"
            )
        return label.long()

    def fast(self) -> tuple[dict[str, Tensor], int]:
        model: Any = self.model
        family = families.family_of(model)
        assert family is not None
        passes = {Estimator.EXACT: model.config.num_labels - 1, Estimator.EMPIRICAL: 1}.get(self.kind)
        if passes is None:
            assert self.uniforms is not None
            passes = self.uniforms.shape[1]
        short = families.last_layer_to_shorten(model, family)
        with measuring(model, frozen=True), GhostNorms(model, self.counted, max(passes, 1)) as ghost:
            try:
                if short is not None:
                    families.shorten(short, family)
                self._each_chunk(ghost, family)
            finally:
                if short is not None:
                    del short.forward
        return self.parts, self.num_classes

    def _each_chunk(self, ghost: GhostNorms, family: families.Family) -> None:
        pad = getattr(self.model.config, "pad_token_id", None) or 0
        done = 0
        for chunk, inputs in chunks(self.examples, pad):
            rows, width = inputs["input_ids"].shape
            if family.positions == "counted" and "position_ids" not in inputs:
                # Of the default, [1, length], only the gradient summed over examples could be seen.
                inputs["position_ids"] = torch.arange(width).expand(rows, width)
            inputs = {key: value.to(self.device) for key, value in inputs.items()}
            logits = ghost.forward(inputs)
            cotangents = self.cotangents(logits, chunk)
            for k in range(cotangents.shape[2]):
                last = k + 1 == cotangents.shape[2]
                for group, norms in ghost.backward(logits, cotangents[:, :, k], last=last).items():
                    self.parts[group][chunk] += norms.cpu()
            done += rows
            if self.progress is not None:
                self.progress(done, len(self.examples.inputs))

    def slow(self) -> tuple[dict[str, Tensor], int]:
        for part in self.parts.values():
            part.zero_()
        with measuring(self.model, frozen=False):
            for i, example in enumerate(self.examples.inputs):
                logits = loop.run(self.model, {key: value.to(self.device) for key, value in example.items()})
                cotangents = self.cotangents(logits, [i])[0]
                for norms in loop.squared_norms(self.model, logits, cotangents):
                    for name, norm in norms.items():
                        self.parts[self.counted[name]][i] += norm.cpu()
                if self.progress is not None:
                    self.progress(i + 1, len(self.examples.inputs))
        return self.parts, self.num_classes
