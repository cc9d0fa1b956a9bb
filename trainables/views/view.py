"""What a view is: other inputs for the same examples, or the same inputs with a perturbed model.

It contains the table of kinds: which fields of a :class:`ViewConfig` each uses, in which unit, with which default. What
a kind does is in its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from trainables.plugins import Registry, check_name
from trainables.schema import Count, Frozen

if TYPE_CHECKING:
    from trainables.tokenization.encoding import Encoded
    from trainables.views.hooks import Draws, Perturbation
    from trainables.views.passes import Passes


@dataclass(frozen=True)
class ViewKind:
    """A kind of view.

    Attributes:
        summary: What is perturbed, and the unit of ``strength``.
        fields: Every field that the kind uses, with its default; None where it has none and must be given.
        keeps_tokens: Whether each token stays in its place, so that both passes can have the same dropout masks.
        highest: Largest strength.
        alone: Whether it can also be noise without a consistency loss.
        perturb: For a plugin: from the passes, the explicit view, the clean examples and the random numbers to what
            changes; the built-in ones are in ``perturbation.py`` and ``token_views.py``.
    """

    summary: str
    source: str
    fields: Mapping[str, Any]
    keeps_tokens: bool = True
    highest: float = float("inf")
    alone: bool = True
    perturb: Callable[[Passes, ViewConfig, list[Encoded], Draws], Perturbation] | None = None


EMBEDDING_NOISE = {"strength": 0.1, "scale": "absolute"}

_OURS = {
    "subword": ViewKind(
        "sampled subword segmentations; rejection probability (WordPiece, BPE) or alpha (Unigram)",
        "Hiraoka 2022; Provilkov et al. 2020; Kudo 2018",
        {"strength": 0.2, "drop_single_characters": False, "resample": True},
        keeps_tokens=False,
    ),
    "code_switch": ViewKind(
        "words replaced by a translation from a bilingual dictionary; probability that a word is looked up",
        "Zheng et al. 2021",
        {"strength": 0.3, "files": None, "resample": True},
        keeps_tokens=False,
        highest=1.0,
    ),
    "translation": ViewKind(
        "the example's translation from a file parallel to the English training file; probability of an example",
        "Zheng et al. 2021",
        {"strength": 1.0, "files": None, "resample": True},
        keeps_tokens=False,
        highest=1.0,
    ),
    "embedding_gaussian": ViewKind(
        "word embeddings + N(0, s^2), before positions and LayerNorm; s", "Aghajanyan et al. 2020", EMBEDDING_NOISE
    ),
    "embedding_uniform": ViewKind(
        "word embeddings + U(-s, s), before positions and LayerNorm; s", "Aghajanyan et al. 2020", EMBEDDING_NOISE
    ),
    "hidden_noise": ViewKind(
        "output of one layer, or of it and all above, + N(0, s^2); s",
        "Hua et al. 2021",
        {"strength": 0.05, "scale": "relative", "layer": 1, "spread": "up"},
    ),
    "parameter_noise": ViewKind(
        "all trainable parameters + N(0, s^2); s", "equation 1 of the paper", {"strength": None, "scale": "absolute"}
    ),
    "second_dropout": ViewKind("another dropout mask; no strength", "Liang et al. 2021", {}, alone=False),
    "adversarial_embedding": ViewKind(
        "word embeddings + the ascent of the symmetric KL within a radius of each token; the radius",
        "Jiang et al. 2020",
        {"strength": 1e-5, "start": 1e-5, "steps": 1, "step_size": 1e-3, "norm": "inf"},
    ),
    "token_substitution": ViewKind(
        "positions replaced by the nearest embedding that raises the loss most; share of positions",
        "Park et al. 2021",
        {"strength": 0.25, "candidates": 10},
        highest=1.0,
    ),
}
VIEWS: Registry[ViewKind] = Registry("views", ViewKind, _OURS)


BUNDLED = "bundled"
EXPECTED_FILES = {
    "code_switch": "LANG=FILE with commas, or 'bundled'; a bilingual dictionary, 'word translation' a line",
    "translation": "LANG=FILE with commas, or 'bundled'; the English training file's translation, line by line",
}


def language_files(text: str) -> dict[str, str]:
    """The files of a view, language to path as given; empty for ``bundled``.

    Args:
        text: ``LANG=FILE`` separated by commas, or ``bundled``.

    Raises:
        ValueError: The text is malformed, or names a language twice.

    Example:
        >>> language_files("de=muse/en-de.txt,es=muse/en-es.txt")
        {'de': 'muse/en-de.txt', 'es': 'muse/en-es.txt'}
    """
    files: dict[str, str] = {}
    for item in () if text == BUNDLED else text.split(","):
        language, equals, path = (part.strip() for part in item.partition("="))
        if not (language and equals and path) or language in files:
            raise ValueError(f"view.files takes 'bundled', or LANG=FILE with commas, each LANG once, got {text!r}")
        files[language] = path
    return files


class ViewConfig(Frozen):
    """A perturbation of the input or of the model that keeps the label. Each kind uses some of the fields."""

    kind: str | None = Field(None, description="the augmentation; null takes the consistency preset's own view")
    strength: float | None = Field(None, ge=0.0, description="the augmentation's own unit; null takes its default")
    scale: Literal["absolute", "relative"] | None = Field(
        None, description="strength in embedding, state or parameter units, or times the vector's root mean square"
    )
    layer: int | None = Field(None, ge=0, description="hidden_noise: the layer; 0 is the embedding's output")
    spread: Literal["one", "up"] | None = Field(None, description="hidden_noise: that layer alone, or all from it up")
    start: float | None = Field(
        None, gt=0.0, description="adversarial_embedding: standard deviation of the first guess (embedding units)"
    )
    steps: Count | None = Field(None, description="adversarial_embedding: ascent steps")
    step_size: float | None = Field(None, gt=0.0, description="adversarial_embedding: length of a step, in the norm")
    norm: Literal["l2", "inf"] | None = Field(None, description="adversarial_embedding: norm of each token's vector")
    candidates: Count | None = Field(None, description="token_substitution: nearest embeddings to choose from")
    files: str | None = Field(None, description='code_switch, translation: LANG=FILE with commas, or "bundled"')
    drop_single_characters: bool | None = Field(
        None, description="subword, WordPiece: single characters are rejected too, as in MVR's code"
    )
    resample: bool | None = Field(
        None, description="subword, code_switch, translation: drawn at each use; false: once for all epochs and seeds"
    )

    @model_validator(mode="after")
    def _fields_belong_to_the_kind(self) -> ViewConfig:
        if self.files is not None:
            language_files(self.files)
        if self.kind is None:
            return self
        kind = VIEWS[check_name("view", self.kind, VIEWS.known())]
        given = self.model_dump(exclude={"kind"}, exclude_none=True)
        if foreign := [name for name in given if name not in kind.fields]:
            uses = ", ".join(kind.fields) or "none"
            raise ValueError(f"view {self.kind} does not use {', '.join(foreign)}; its fields are: {uses}")
        if self.strength is not None and self.strength > kind.highest:
            raise ValueError(f"strength of view {self.kind} is at most {kind.highest:g}, got {self.strength:g}")
        return self

    def resolved(self) -> ViewConfig:
        """The view with the kind's default in every field that it uses and that is null.

        Raises:
            ValueError: A field without a default is null, or there is no kind.

        Example:
            >>> ViewConfig(kind="embedding_uniform", strength=0.5).resolved().scale
            'absolute'
        """
        if self.kind is None:
            raise ValueError(f"a view needs its kind: {', '.join(VIEWS.known())}")
        given = self.model_dump(exclude_none=True)
        values = dict(VIEWS[self.kind].fields) | given
        if missing := [name for name, value in values.items() if value is None]:
            expects = f" (files: {EXPECTED_FILES[self.kind]})" if "files" in missing else ""
            raise ValueError(f"view {self.kind} needs {', '.join(missing)}: there is no default{expects}")
        return ViewConfig(**values)

    def explicit(self) -> dict[str, Any]:
        """The fields that the kind uses and their plain values, defaults filled in."""
        return self.resolved().model_dump(exclude_none=True)


def noise(view: ViewConfig) -> ViewConfig:
    """Check a view that is used alone, without a consistency loss.

    Raises:
        ValueError: It cannot be noise, or lacks its kind or a field without a default.
    """
    explicit = view.resolved()
    if explicit.kind is not None and not VIEWS[explicit.kind].alone:
        raise ValueError(
            f"noise.kind={explicit.kind} would change nothing, since every pass draws its own mask; "
            "set model.dropout, or consistency.preset=r_drop"
        )
    return view
