"""The two paths to the same number: ghost norms over chunks, and a loop over examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature.batches import Examples, attended_length, chunks, placed
from trainables.curvature.cotangents import Cotangents
from trainables.curvature.fast_path import proof
from trainables.curvature.fast_path.ghost import GhostNorms
from trainables.curvature.fast_path.operations import NoRule
from trainables.curvature.fast_path.rules import RULES
from trainables.curvature.last_layer import shortened
from trainables.curvature.loop import logits_of, squared_norms
from trainables.curvature.state import measuring
from trainables.errors import InputError


@dataclass
class Measurement:
    """One measurement in progress.

    Attributes:
        groups: Maps the name of each parameter that counts to the group in which it is summed.
        progress: Called with (examples done, examples).
        parts: Maps each group to the per-example values so far, float64 ``[examples]``.
    """

    model: nn.Module
    examples: Examples
    cotangents: Cotangents
    groups: dict[str, str]
    progress: Callable[[int, int], None] | None
    parts: dict[str, Tensor] = field(default_factory=dict)

    def fast(self) -> None:
        """Measure by ghost norms.

        Raises:
            NoRule: The forward pass does something that the rules do not cover, or a proof fails.
            InputError: See :func:`trainables.curvature.fisher_trace`.
        """
        config: Any = getattr(self.model, "config", None)
        pad_token = getattr(config, "pad_token_id", None) or 0
        ways = proof.proven(self.model, proof.structure(self.model, self.groups))
        # These examples may take a way through the model that is not among the proven ones; or padding is in the way.
        attempts = [False] * (2 if ways else 1) + [True] * self._has_padding(pad_token)
        for number, as_given in enumerate(attempts, start=1):
            try:
                return self._fast(ways, pad_token, as_given)
            except NoRule:
                ways.clear()
                if number == len(attempts):
                    raise

    def _has_padding(self, pad_token: int) -> bool:
        """Whether trimming and adding padding can make a difference."""
        widths = {example["input_ids"].shape[1] for example in self.examples.inputs}
        return len(widths | {attended_length(example, pad_token) for example in self.examples.inputs}) > 1

    @torch.inference_mode(False)  # tensors made in inference mode cannot be saved for a backward pass
    def _fast(self, ways: proof.Ways, pad_token: int, as_given: bool) -> None:
        """Measure chunk by chunk; prove each way through the model on the first two examples that take it.

        Args:
            as_given: Neither trim nor add padding, for a model that reads it.
        """
        self._start()
        done, still = 0, set(self.groups)
        for chunk, raw in chunks(self.examples, pad_token, wary=True, as_given=as_given):
            inputs = placed(raw, self.model)
            expected: list[proof.Expected] = []
            with _rules_only(), self._input_errors(*inputs["input_ids"].shape):
                way = ways.get(proof.is_padded(inputs))
                if way is None:
                    with measuring(self.model, frozen=False), shortened(self.model):
                        way = proof.rehearse(self.model, self.groups, inputs, pad_token)
                    expected = self._by_loop(chunk[:2], None if as_given else pad_token)
                    still = still.intersection(*(one.still for one in expected))
                passes = self.cotangents.begin(way.num_classes)
                with measuring(self.model, frozen=True), shortened(self.model):
                    ghost = GhostNorms(self.model, self.groups, way.calls, RULES, passes, way.width)
                    logits = ghost.forward(inputs)
                    columns = self.cotangents.at(logits, chunk)
                    if expected:
                        proof.check(ghost, logits, expected)
                        ways[proof.is_padded(inputs)] = way
                    for k, column in enumerate(columns, start=1):
                        for group, norms in ghost.backward(logits, column, last=k == len(columns)).items():
                            self.parts[group][chunk] += norms.cpu()
            done += len(chunk)
            self._report(done)
        # A proof is kept if it is of all parameters, and of padding that does not matter.
        if as_given or (still and still != set(self.groups)):
            ways.clear()

    def _by_loop(self, numbers: list[int], pad_token: int | None) -> list[proof.Expected]:
        """What the loop finds for a few examples, at cotangents for which nearly every parameter has a gradient.

        Args:
            pad_token: Padding of this token is left out, to see whether it matters; None takes the examples as given.
        """
        found = []
        with measuring(self.model, frozen=False):
            for place, i in enumerate(numbers):
                example = self.examples.inputs[i]
                if pad_token is not None:
                    length = attended_length(example, pad_token)
                    example = {key: value[:, :length] for key, value in example.items()}
                logits = logits_of(self.model(**placed(example, self.model)))
                cotangent = proof.cotangent(place, logits.shape[1]).to(logits)
                by_group = dict.fromkeys(self.groups.values(), 0.0)
                by_name = squared_norms(self.model, logits, cotangent, last=True)
                for name, norm in by_name.items():
                    by_group[self.groups[name]] += float(norm)
                still = frozenset(name for name, norm in by_name.items() if norm == 0)
                found.append(proof.Expected(logits.detach(), cotangent, by_group, still))
        return found

    def slow(self) -> None:
        """Measure by a loop over examples, exactly as given: padding may mean something to an unknown model.

        Raises:
            InputError: See :func:`trainables.curvature.fisher_trace`.
        """
        with measuring(self.model, frozen=False):
            self._start()
            for i, example in enumerate(self.examples.inputs):
                inputs = placed(example, self.model)
                with self._input_errors(1, next(iter(inputs.values())).shape[-1]):
                    logits = logits_of(self.model(**inputs))
                    columns = self.cotangents.at(logits, [i])
                    for k, column in enumerate(columns, start=1):
                        for name, norm in squared_norms(self.model, logits, column, last=k == len(columns)).items():
                            self.parts[self.groups[name]][i] += norm.cpu()
                self._report(i + 1)

    def _start(self) -> None:
        count = len(self.examples.inputs)
        self.parts = {group: torch.zeros(count, dtype=torch.float64) for group in dict.fromkeys(self.groups.values())}

    def _report(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.examples.inputs))

    @contextmanager
    def _input_errors(self, rows: int, width: int) -> Iterator[None]:
        """Turn torch's errors about an input that does not fit into messages about that input."""
        outside = (
            f"an id is outside the model's tables (examples of {width} positions): is this the model's tokenizer, and "
            "is the length within its maximum?"
        )
        try:
            yield
        except IndexError as error:
            # Embedding's words, and those of indexing a tensor: any other IndexError is a fault of the code.
            if not any(words in str(error) for words in ("out of range in self", "out of bounds")):
                raise
            raise InputError(outside) from error
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
                raise InputError(
                    f"out of memory with {rows} examples of {width} positions: use smaller batches"
                ) from error
            if width > getattr(getattr(self.model, "config", None), "max_position_embeddings", width):
                raise InputError(outside) from error
            raise


@contextmanager
def _rules_only() -> Iterator[None]:
    """Turn whatever goes wrong inside the model on the fast path into NoRule, so that the loop decides."""
    try:
        yield
    except (NoRule, InputError):
        raise
    except Exception as error:
        raise NoRule(f"it raised {proof.what_was_raised(error)}") from error
