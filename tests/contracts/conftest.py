"""One small trial, in any variant, for the contracts that every regulariser and every view inherits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from tests.trainables.conftest import tiny_assets, tiny_config  # noqa: F401 (fixtures)
from trainables.config import StageConfig
from trainables.config.dotted_paths import with_values
from trainables.data.contract import Rows
from trainables.examples import Examples
from trainables.models.build import build_model
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder
from trainables.training.micro_batch import MicroBatch
from trainables.training.objective import Loss, objective
from trainables.views.token_views import ViewFiles
from trainables.views.view import VIEWS

ROWS = (0, 3, 5, 6)


@dataclass
class Bench:
    """A model, its examples and a stage."""

    stage: StageConfig
    model: Any
    examples: Examples
    start: dict[str, torch.Tensor]

    def step(self, rows: Sequence[int] = ROWS, seed: int = 0, index: int = 0, micro_batch: int = 0) -> MicroBatch:
        return MicroBatch(
            self.model, self.examples, list(rows), self.stage.terms, Streams(seed), "0.en", index, micro_batch,
            starting_point=self.start,
        )  # fmt: skip

    def loss(self, **which: Any) -> Loss:
        return objective(self.step(**which), self.stage)


@pytest.fixture
def bench(tiny_config, tiny_assets) -> Callable[..., Bench]:  # noqa: F811
    """A function that makes a bench from paths below stages.0."""

    def make(values: dict[str, Any], dropout: float = 0.0, double: bool = True) -> Bench:
        rates = {f"model.dropout.{name}": dropout for name in ("hidden", "attention", "classifier")}
        config = with_values(tiny_config, rates | {f"stages.0.{path}": value for path, value in values.items()})
        files = tiny_assets.model(config)
        model = build_model(files, config.model, 2, Streams(config.seed))
        model = model.double() if double else model
        generator = torch.Generator().manual_seed(3)
        # Somewhere else than the model is, so that no penalty begins at its minimum.
        start = {n: p.detach() + 0.1 * torch.randn(p.shape, generator=generator) for n, p in model.named_parameters()}
        rows = tiny_assets.rows(tiny_config).train
        translated = Rows([t + " red" for t in rows.first], [t + " dog" for t in rows.second], rows.labels)
        words = {word for text in rows.first for word in text.split()}
        content = ViewFiles({"de": {word: [f"{word}en"] for word in words}}, {"de": translated}, "")
        given = {(kind, "bundled"): content for kind in VIEWS}
        examples = Examples(rows, Encoder(files.tokenizer, config.data.max_length), given)
        return Bench(config.stages[0], model, examples, start)

    return make


def view_settings(kind: str, strength: float | None = None) -> dict[str, Any]:
    """The fields that a kind needs, and a strength that shows in a small model."""
    fields = VIEWS[kind].fields
    settings: dict[str, Any] = {"kind": kind}
    if "files" in fields:
        settings["files"] = "bundled"
    if "strength" in fields:
        shows = 0.05 if VIEWS[kind].keeps_tokens and VIEWS[kind].highest > 1 else 0.5
        settings["strength"] = shows if strength is None else strength
    return settings


def pad_more(examples: Examples, monkeypatch: pytest.MonkeyPatch, columns: int = 3) -> None:
    """Let every batch of these examples have some more padding."""
    plain = examples.encoder.batch

    def padded(encoded):
        inputs = plain(encoded)
        fill = {"input_ids": examples.encoder.files.pad_id}
        return {n: torch.nn.functional.pad(t, (0, columns), value=fill.get(n, 0)) for n, t in inputs.items()}

    monkeypatch.setattr(examples.encoder, "batch", padded)
