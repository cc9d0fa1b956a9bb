"""One micro-batch of one optimiser step: the forward passes that the terms of the objective share.

This module defines the passes, what a view changes in them, and their dropout masks. Terms are weighted and added up
elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch.func import functional_call
from transformers import PreTrainedModel

from trainables.curvature import penalty_forward
from trainables.examples import Examples, to_device
from trainables.precision import at_least_float32, passes_in, step_dtype
from trainables.regularizers.terms import Terms
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoded
from trainables.training.length_chunks import length_chunks
from trainables.views.hooks import Draws, Hook, Part, PassRecorder, Perturbation, hooked
from trainables.views.modules import word_embedding
from trainables.views.passes import Pass, Reference, Role
from trainables.views.perturbation import perturb
from trainables.views.view import VIEWS, ViewConfig

ROLES: tuple[Role, ...] = ("main", "view")


@dataclass(eq=False)
class MicroBatch:
    """One micro-batch of one optimiser step. It remembers its forward passes, so that no term makes one twice.

    Attributes:
        indices: Row numbers of the micro-batch.
        stage: Stage and language, such as ``1.de``.
        index: Optimiser steps done in the stage.
        micro_batch: Number of the micro-batch within the step.
        dtype: Format of the passes; some steps make theirs in float32 all the same (see ``precision.step_dtype``).
        starting_point: Parameters at the stage's start, by name, where a penalty needs them.
        batch_size: Rows of a full optimiser step.
        wrt: What the Fisher penalty differentiates with respect to; set by the main pass with dropout mask 0 on steps
            where the penalty acts, else empty.
    """

    model: PreTrainedModel
    examples: Examples
    indices: list[int]
    terms: Terms
    streams: Streams
    stage: str
    index: int
    micro_batch: int
    dtype: torch.dtype = torch.float32
    starting_point: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        consistency, fisher = self.terms.consistency, self.terms.fisher
        view = None if consistency is None else consistency.view
        self._views: dict[Role, ViewConfig | None] = {"main": self.terms.noise, "view": view, "clean": None}
        self.batch_size = self.terms.batch_size
        self.labels = self.examples.labels[self.indices].to(self.model.device)
        self.wrt: list[torch.Tensor] = []
        self.fisher_acts = fisher is not None and fisher.acts_on(self.index)
        exact = self.fisher_acts or self.terms.tram
        self.dtype = step_dtype(self.dtype, exact, None if view is None else view.kind)
        self._perturbations: dict[Role, Perturbation] = {}
        self._passes: dict[tuple[Role, int | None], Pass] = {}

    def logits(self, role: Role, mask: int | None) -> torch.Tensor:
        """The model's prediction, ``[micro-batch, num_classes]``, float32 or better.

        Args:
            role: ``main``, what the cross-entropy sees: the stage's noise, or the clean input without one; ``view``,
                the view of the consistency loss; ``clean``, without the noise, from which some kinds of noise start.
            mask: Number of the dropout mask, 0 or 1: equal numbers give equal masks; None turns dropout off.
        """
        return self.run_once(role, mask).logits

    def hidden(self, role: Role, mask: int | None) -> list[list[torch.Tensor]]:
        """The hidden states above the noised layer, where the consistency loss compares them.

        Returns:
            For each part of the micro-batch, each layer's states ``[examples, longest, width]``.
        """
        return self.run_once(role, mask).hidden

    def token_masks(self, role: Role, mask: int | None) -> list[torch.Tensor]:
        """For each part of :meth:`hidden`, 1 at tokens and 0 at padding, ``[examples, longest]``."""
        return [part.mask() for part in self.run_once(role, mask).parts]

    def run_once(self, role: Role, mask: int | None) -> Pass:
        """The pass of a role under a mask, as for :meth:`logits`, made at the first call and remembered."""
        key = (role, mask)
        if key not in self._passes:
            # A substitution needs the gradient of this pass, even where the divergence itself needs none.
            with torch.set_grad_enabled(torch.is_grad_enabled() or self._records_embeddings(role)):
                if role not in self._perturbations:
                    self._perturbations[role] = self._perturb(role)
                self._passes[key] = self.run(self._perturbations[role], mask, role)
        return self._passes[key]

    def _perturb(self, role: Role) -> Perturbation:
        view = self._views[role]
        if view is None:
            return Perturbation(self.clean())
        number = ROLES.index(role)
        kind = VIEWS[str(view.kind)]
        encoded = self.clean() if kind.keeps_tokens or kind.perturb else self._other_tokens(view, number)
        draws = Draws(self.streams, self.stage, self.index, number, self.indices)
        reference: Reference = ("clean", 0, 0)
        if role == "view" and self.terms.consistency is not None:
            reference = ("main", *self.terms.consistency.masks)
        return perturb(self, view, encoded, draws, reference)

    def _records_embeddings(self, role: Role | None) -> bool:
        """Whether a view is computed from the gradient of this role's pass by its word embeddings."""
        follower = self._views["view"] if role == "main" else self._views["main"] if role == "clean" else None
        return follower is not None and follower.kind == "token_substitution"

    def _records_above(self, role: Role | None) -> int | None:
        """The layer above which the divergence compares hidden states; None where it compares predictions."""
        consistency = self.terms.consistency
        if consistency is None or consistency.divergence != "hidden_squared_error" or role not in ROLES:
            return None
        return consistency.view.layer or 0

    def run(self, perturbation: Perturbation, mask: int | None, role: Role | None = None) -> Pass:
        """Make one pass; :meth:`run_once` does so and remembers it.

        Args:
            perturbation: What a view changes in it.
            mask: As for :meth:`logits`.
            role: As for :meth:`logits`; None is a pass that only helps to construct a view.
        """
        encoded, hooks = perturbation.encoded, perturbation.hooks
        record = PassRecorder(self.model, self._records_embeddings(role), self._records_above(role))
        consistency = self.terms.consistency
        if role in (None, "view") and consistency is not None and consistency.stop_gradient == "embedding":
            hooks = (Hook(word_embedding(self.model), lambda output, part: output.detach()), *hooks)
        self.model.train(mask is not None)
        with ExitStack() as stack:
            if self.fisher_acts and (role, mask) == ("main", 0):
                ids = self.part(encoded, list(range(len(encoded)))).ids
                self.wrt = stack.enter_context(penalty_forward(self.model, ids))
            mask_number = 2 * self.micro_batch + (mask or 0)
            stack.enter_context(self.streams.forked("dropout", self.stage, self.index, mask_number))
            stack.enter_context(passes_in(self.model.device, self.dtype))
            logits, parts = self._logits(encoded, (*hooks, *record.hooks), perturbation.parameters)
        return Pass(at_least_float32(logits), parts, record.embeddings, record.hidden)

    @property
    def special_ids(self) -> tuple[int, ...]:
        """Ids of the special tokens, which no view replaces."""
        return self.examples.encoder.files.special_ids

    def part(self, encoded: list[Encoded], positions: list[int]) -> Part:
        """Some examples of the micro-batch, by their positions in it, as one pass takes them."""
        ids = self.examples.encoder.batch([encoded[i] for i in positions])["input_ids"].to(self.model.device)
        return Part(positions, [len(encoded[i]) for i in positions], ids)

    def _logits(
        self, encoded: list[Encoded], hooks: Sequence[Hook], parameters: dict[str, torch.Tensor] | None
    ) -> tuple[torch.Tensor, list[Part]]:
        """Logits of all examples, computed in parts of similar length where that saves time, and those parts."""
        device = self.model.device
        chunks = [list(range(len(encoded)))]
        if device.type == "cpu":  # a GPU takes a whole batch in about the time of a part
            chunks = length_chunks([len(example) for example in encoded], self.model.config.hidden_size)
        found: list[torch.Tensor] = []
        parts: list[Part] = []
        for chunk in chunks:
            inputs = to_device(self.examples.encoder.batch([encoded[i] for i in chunk]), device)
            parts.append(Part(chunk, [len(encoded[i]) for i in chunk], inputs["input_ids"]))
            with hooked(hooks, parts[-1]):
                output = (
                    self.model(**inputs)
                    if parameters is None
                    else functional_call(self.model, parameters, kwargs=inputs)
                )
            found.append(output.logits)
        order = torch.tensor([i for chunk in chunks for i in chunk], device=device)
        return (torch.cat(found)[order.argsort()] if len(found) > 1 else found[0]), parts

    def clean(self) -> list[Encoded]:
        """The micro-batch as it is, without any view."""
        return [self.examples.encoded[i] for i in self.indices]

    def _other_tokens(self, view: ViewConfig, number: int) -> list[Encoded]:
        # Draws are made by row number, so one seed suffices for all micro-batches of the step.
        seed = self.streams.derive("view", self.stage, self.index, number)
        return self.examples.token_views(view).view(self.indices, seed)
