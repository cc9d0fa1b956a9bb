"""From a view to what it changes in a pass of the model, for every kind that keeps each token in its place."""

from __future__ import annotations

from collections.abc import Callable

from transformers import PreTrainedModel

from trainables.errors import InputError
from trainables.tokenization.encoding import Encoded
from trainables.views.adversarial_embedding import adversarial_embedding
from trainables.views.hooks import Draws, Perturbation
from trainables.views.modules import encoder_layers, word_embedding
from trainables.views.parameter_noise import parameter_noise
from trainables.views.passes import Passes, Reference
from trainables.views.token_substitution import token_substitution
from trainables.views.vector_noise import embedding_noise, hidden_noise
from trainables.views.view import VIEWS, ViewConfig

NOISES: dict[str | None, Callable[[Passes, ViewConfig, list[Encoded], Draws], Perturbation]] = {
    "embedding_gaussian": embedding_noise,
    "embedding_uniform": embedding_noise,
    "hidden_noise": hidden_noise,
    "parameter_noise": parameter_noise,
}
ATTACKS: dict[str | None, Callable[[Passes, ViewConfig, list[Encoded], Draws, Reference], Perturbation]] = {
    "adversarial_embedding": adversarial_embedding,
    "token_substitution": token_substitution,
}
"""Kinds that start from the gradient of another pass."""


def perturb(
    batch: Passes, view: ViewConfig, encoded: list[Encoded], draws: Draws, reference: Reference
) -> Perturbation:
    """What a view changes, the same under every dropout mask.

    Args:
        encoded: The examples, already replaced where the view changes the text.
    """
    if (attack := ATTACKS.get(view.kind)) is not None:
        return attack(batch, view, encoded, draws, reference)
    own = VIEWS[str(view.kind)].perturb or NOISES.get(view.kind)
    return Perturbation(encoded) if own is None else own(batch, view, encoded, draws)


def check_view(model: PreTrainedModel, view: ViewConfig, compares_states: bool) -> None:
    """Find out before any trial starts whether a model can take a view.

    Args:
        compares_states: Whether the divergence compares the hidden states above the view's layer.

    Raises:
        InputError: The model has no word embeddings or no layers where the view needs them, or too few layers.
    """
    if view.kind in {*NOISES, *ATTACKS} - {"hidden_noise"}:
        word_embedding(model)
    if view.kind == "hidden_noise" or compares_states:
        layers, lowest = len(encoder_layers(model)), view.layer or 0
        if lowest > layers - compares_states:
            above = " with one above it to compare" if compares_states else ""
            raise InputError(f"view.layer={lowest}, but the model has {layers} layers: it needs a layer{above}")
