from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from trainables.assets import Assets
from trainables.config import TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.examples import Examples
from trainables.models.build import build_model
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder, TokenizerFiles
from trainables.training import checkpoint


@pytest.fixture(autouse=True)
def _as_on_an_idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No checkpoint counts as one that took long, so each is kept."""
    monkeypatch.setattr(checkpoint, "BRIEF", float("inf"))


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


PIECES = [
    ("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), ("a", -2.5), ("b", -2.5), ("c", -3.0),
    ("ab", -2.0), ("bc", -2.2), ("▁a", -2.1), ("▁ab", -1.8), ("abc", -2.9), ("▁c", -2.7),
]  # fmt: skip


@pytest.fixture(scope="session")
def unigram() -> TokenizerFiles:
    """A small tokenizer of XLM-R's form."""
    tokenizer = Tokenizer(models.Unigram(PIECES, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return TokenizerFiles(tokenizer.to_str(), pad_id=1, uses_token_types=False, special_ids=(0, 1, 2, 3))


@pytest.fixture(scope="session")
def wordpiece(tiny_model) -> TokenizerFiles:
    """The tiny model's tokenizer."""
    from trainables.config import ModelConfig
    from trainables.models.files import load_model_files

    return load_model_files(ModelConfig(name=str(tiny_model))).tokenizer
