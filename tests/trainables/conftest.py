from __future__ import annotations

import pytest

from trainables.assets import Assets
from trainables.config import TrialConfig, with_values
from trainables.examples import Examples
from trainables.models.build import build_model
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder


@pytest.fixture(scope="session")
def tiny_config(tiny_model, tiny_data) -> TrialConfig:
    """A trial of both stages that takes about a second."""
    return with_values(
        TrialConfig(),
        {
            "model.name": str(tiny_model),
            "data.name": "pawsx",
            "data.source": str(tiny_data),
            "data.languages": "de,zh",
            "data.train_examples": 36,
            "data.stage2_examples": 12,
            "data.validation_examples": 12,
            "data.max_length": 24,
            "stages.0.epochs": 2,
            "stages.0.batch_size": 8,
            "stages.0.optimizer.learning_rate": 1e-3,
            "stages.1.epochs": 1,
            "stages.1.batch_size": 8,
            "measure.trace_examples": 6,
        },
    )


@pytest.fixture(scope="session")
def tiny_assets(tiny_config) -> Assets:
    return Assets.resolve([tiny_config])


@pytest.fixture
def build(tiny_config, tiny_assets):
    """A function that builds the model and the training examples of a variant of the tiny trial."""

    def make(**values):
        config = with_values(tiny_config, {key.replace("__", "."): value for key, value in values.items()})
        files = tiny_assets.model(config)
        model = build_model(files, config.model, 2, Streams(config.seed))
        encoder = Encoder(files.tokenizer, config.data.max_length)
        return config, model, Examples(tiny_assets.rows(tiny_config).train, encoder)

    return make
