"""The two paths to the same number: ghost norms over chunks, and a loop over examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from trainables.curvature.batches import Examples, chunks, placed
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
        if ways:
            try:
                self._fast(ways, pad_token)
            except NoRule:
                ways.clear()  # these examples take a way through the model that is not among the proven ones
        if not ways:
            self._fast(ways, pad_token)

    @torch.inference_mode(False)  # tensors made in inference mode cannot be saved for a backward pass
    def _fast(self, ways: proof.Ways, pad_token: int) -> None:
        """Measure chunk by chunk; prove each way through the model on the first two examples that take it."""
        self._start()
        done = 0
        for chunk, raw in chunks(self.examples, pad_token, wary=True):
            inputs = placed(raw, self.model)
            expected: list[proof.Expected] = []
            with _rules_only(), self._input_errors(*inputs["input_ids"].shape):
                way = ways.get(proof.is_padded(inputs))
                if way is None:
                    with measuring(self.model, frozen=False), shortened(self.model):
                        way = proof.rehearse(self.model, self.groups, inputs, pad_token)
                    expected = self._by_loop(chunk[:2])
                passes = self.cotangents.begin(way.num_classes)
                with measuring(self.model, frozen=True), shortened(self.model):
                    ghost = GhostNorms(self.model, self.groups, way.calls, RULES, passes)
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

    def _by_loop(self, numbers: list[int]) -> list[proof.Expected]:
        """What the loop finds for a few examples, as given, at cotangents for which every parameter has a gradient."""
        found = []
        with measuring(self.model, frozen=False):
            for place, i in enumerate(numbers):
                logits = logits_of(self.model(**placed(self.examples.inputs[i], self.model)))
                cotangent = proof.cotangent(place, logits.shape[1]).to(logits)
                by_group = dict.fromkeys(self.groups.values(), 0.0)
                for name, norm in squared_norms(self.model, logits, cotangent, last=True).items():
                    by_group[self.groups[name]] += float(norm)
                found.append(proof.Expected(logits.detach(), cotangent, by_group))
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
