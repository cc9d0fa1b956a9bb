"""The two ways to one number: ghost norms over chunks, and a loop over examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature import families
from trainables.curvature.batches import Examples, chunks
from trainables.curvature.estimate import Estimator, NonFiniteLogits, ordered_groups
from trainables.curvature.ghost import GhostNorms
from trainables.curvature.loop import logits_of, squared_norms
from trainables.curvature.root import label_score, labels_at, softmax_root
from trainables.curvature.state import measuring
from trainables.errors import InputError


@dataclass
class Measurement:
    """One measurement in progress.

    Attributes:
        model: The model.
        examples: What it is measured on.
        estimator: Which labels.
        uniforms: For ``monte-carlo``, the random numbers of the labels, ``[examples, samples]``; else None.
        groups: Name of each parameter that counts, to its layer group.
        progress: Called with (examples done, examples).
        num_classes: Labels of the model, known after the first forward pass.
        parts: Layer group to the per-example values so far, float64 ``[examples]``.
    """

    model: nn.Module
    examples: Examples
    estimator: Estimator
    uniforms: Tensor | None
    groups: dict[str, str]
    progress: Callable[[int, int], None] | None
    num_classes: int = 0
    parts: dict[str, Tensor] = field(default_factory=dict)

    def fast(self) -> None:
        """Measure by ghost norms; the model has passed :func:`families.reason_against`.

        Raises:
            NoRule: The forward pass does something that the rules do not cover.
            InputError: See :func:`trainables.curvature.fisher_trace`.
        """
        family = families.family_of(self.model)
        assert family is not None
        config: Any = self.model.config
        samples = 1 if self.uniforms is None else self.uniforms.shape[1]
        passes = max(config.num_labels - 1, 1) if self.estimator is Estimator.EXACT else samples
        last = families.last_layer_to_shorten(self.model, family)
        shortened = nullcontext() if last is None else families.shortened(last, family)
        with measuring(self.model, frozen=True), GhostNorms(self.model, self.groups, passes) as ghost, shortened:
            self._start()
            done = 0
            for chunk, inputs in chunks(self.examples, getattr(config, "pad_token_id", None) or 0):
                rows, width = inputs["input_ids"].shape
                if family.positions == "counted" and "position_ids" not in inputs:
                    # Of the default, [1, length], only the gradient summed over examples could be seen.
                    inputs["position_ids"] = torch.arange(width).expand(rows, width)
                with _input_errors(rows, width):
                    logits = ghost.forward({key: value.to(self._device) for key, value in inputs.items()})
                    for cotangent, is_last in self._cotangents(logits, chunk):
                        for group, norms in ghost.backward(logits, cotangent, last=is_last).items():
                            self.parts[group][chunk] += norms.cpu()
                done += rows
                self._report(done)

    def slow(self) -> None:
        """Measure by a loop over examples, as they were given: padding may mean something to an unknown model.

        Raises:
            InputError: See :func:`trainables.curvature.fisher_trace`.
        """
        with measuring(self.model, frozen=False):
            self._start()
            for i, example in enumerate(self.examples.inputs):
                # Cloned, because tensors that were made in inference mode cannot be saved for a backward pass.
                inputs = {key: value.clone().to(self._device) for key, value in example.items()}
                with _input_errors(1, next(iter(inputs.values())).shape[-1]):
                    logits = logits_of(self.model(**inputs))
                    for cotangent, is_last in self._cotangents(logits, [i]):
                        for name, norm in squared_norms(self.model, logits, cotangent, last=is_last).items():
                            self.parts[self.groups[name]][i] += norm.cpu()
                self._report(i + 1)

    def _start(self) -> None:
        count = len(self.examples.inputs)
        self.parts = {group: torch.zeros(count, dtype=torch.float64) for group in ordered_groups(list(self.groups))}

    def _report(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.examples.inputs))

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _cotangents(self, logits: Tensor, chunk: list[int]) -> Iterator[tuple[Tensor, bool]]:
        """Cotangents ``[rows, classes]`` whose squared norms add up to the examples' values; whether it is the last."""
        logits = logits.detach()
        finite = logits.isfinite().all(1)
        if not bool(finite.all()):
            raise NonFiniteLogits(min(i for i, fine in zip(chunk, finite.tolist(), strict=True) if not fine))
        self.num_classes = logits.shape[1]
        if self.num_classes < 2:
            raise InputError("the model has one label: Tr(F) of a softmax needs two classes or more")
        if self.estimator is Estimator.EXACT:
            columns = softmax_root(logits).unbind(2)
        else:
            labels = self._labels(logits, chunk)
            columns = tuple(label_score(logits, label) / math.sqrt(labels.shape[1]) for label in labels.unbind(1))
        for k, column in enumerate(columns, start=1):
            yield column, k == len(columns)

    def _labels(self, logits: Tensor, chunk: list[int]) -> Tensor:
        """Sampled or observed labels ``[rows, samples]``."""
        if self.uniforms is not None:
            return labels_at(logits, self.uniforms[chunk].to(logits.device))
        for i in chunk:
            label = self.examples.labels[i]
            if label is None or label.ndim != 0 or label.is_floating_point() or not 0 <= label < self.num_classes:
                value = None if label is None else label.tolist()
                limit = self.num_classes - 1
                raise InputError(f"example {i} (counting from 0) has the label {value}, not one of 0 to {limit}")
        return torch.tensor([int(self.examples.labels[i] or 0) for i in chunk], device=logits.device).unsqueeze(1)


@contextmanager
def _input_errors(rows: int, width: int) -> Iterator[None]:
    """What torch says when an input does not fit, in the words of the input."""
    try:
        yield
    except IndexError as error:
        raise InputError(
            f"an id is outside the model's tables (examples of {width} positions): is this the model's tokenizer, and "
            "is the length within its maximum?"
        ) from error
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
            raise InputError(f"out of memory with {rows} examples of {width} positions: use smaller batches") from error
        raise
