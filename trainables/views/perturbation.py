"""From a view to what it changes in a pass of the model, for every kind that keeps each token in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch
from transformers import PreTrainedModel

from trainables.errors import InputError
from trainables.tokenization.encoding import Encoded
from trainables.views.adversarial_embedding import ascend, first_guess, shifted
from trainables.views.embedding_noise import embedding_noise
from trainables.views.hidden_noise import hidden_noise
from trainables.views.hooks import Draws, Hook, Perturbation
from trainables.views.modules import encoder_layers, word_embedding
from trainables.views.parameter_noise import parameter_noise
from trainables.views.token_substitution import loss_gradients, substitute
from trainables.views.view import VIEWS, ViewConfig

if TYPE_CHECKING:
    from trainables.views.passes import Passes

# What a view departs from: role and dropout mask of the clean pass, and the mask under which it is attacked.
Reference = tuple[Literal["main", "clean"], int | None, int | None]


def perturb(step: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws, reference: Reference) -> Perturbation:
    """What a view changes, the same under every dropout mask.

    Args:
        encoded: The examples, already other ones where the view changes the text.
    """
    if (own := VIEWS[str(view.kind)].perturb) is not None:
        return own(step, view, encoded, draws)
    if view.kind in KINDS:
        return KINDS[view.kind](step, view, encoded, draws, reference)
    return Perturbation(encoded)


def _hooks(make: Callable[[PreTrainedModel, ViewConfig, Draws], list[Hook]]) -> Callable[..., Perturbation]:
    def perturbed(
        step: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws, reference: Reference
    ) -> Perturbation:
        return Perturbation(encoded, tuple(make(step.model, view, draws)))

    return perturbed


def _parameters(
    step: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws, reference: Reference
) -> Perturbation:
    parameters, hooks = parameter_noise(step.model, view, draws)
    return Perturbation(encoded, tuple(hooks), parameters)


def _adversary(
    step: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws, reference: Reference
) -> Perturbation:
    role, clean_mask, attack_mask = reference
    table = word_embedding(step.model)
    whole = step.part(encoded, list(range(len(encoded))))
    start = first_guess(view, whole, table.embedding_dim, draws).to(table.weight)
    # Nothing but this asks for the clean pass under a noise; the main pass is remembered with its graph.
    with torch.set_grad_enabled(torch.is_grad_enabled() and role != "clean"):
        clean = step.logits(role, clean_mask)

    def attacked(delta: torch.Tensor) -> torch.Tensor:
        return step.run(Perturbation(encoded, (shifted(table, delta),)), attack_mask).logits

    return Perturbation(encoded, (shifted(table, ascend(attacked, clean, start, whole.mask(), view)),))


def _substitution(
    step: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws, reference: Reference
) -> Perturbation:
    role, clean_mask, _ = reference
    clean = step.run_once(role, clean_mask)
    gradients: dict[int, torch.Tensor] = {}
    for part, rows in zip(clean.parts, loss_gradients(clean.logits, clean.embeddings), strict=True):
        gradients |= dict(zip(part.positions, rows, strict=True))
    ordered = [gradients[position] for position in range(len(encoded))]
    return Perturbation(substitute(encoded, ordered, word_embedding(step.model).weight, step.special_ids, view, draws))


KINDS: dict[str, Callable[[Passes, ViewConfig, list[Encoded], Draws, Reference], Perturbation]] = {
    "embedding_gaussian": _hooks(embedding_noise),
    "embedding_uniform": _hooks(embedding_noise),
    "hidden_noise": _hooks(hidden_noise),
    "parameter_noise": _parameters,
    "adversarial_embedding": _adversary,
    "token_substitution": _substitution,
}


def check_view(model: PreTrainedModel, view: ViewConfig, compares_states: bool) -> None:
    """Find out before any trial starts whether a model can take a view.

    Args:
        compares_states: Whether the divergence is of the hidden states above the view's layer.

    Raises:
        InputError: The model has no word embeddings or no layers where the view needs them, or too few layers.
    """
    if view.kind in KINDS and view.kind != "hidden_noise":
        word_embedding(model)
    if view.kind == "hidden_noise" or compares_states:
        layers, lowest = len(encoder_layers(model)), view.layer or 0
        if lowest > layers - compares_states:
            above = " with one above it to compare" if compares_states else ""
            raise InputError(f"view.layer={lowest}, but the model has {layers} layers: it needs a layer{above}")
