"""Everything that determines the numbers of one trial, and its pretrained encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trainables.config.data import DataConfig
from trainables.config.measure import MeasureConfig
from trainables.config.stage import StageConfig
from trainables.models.lora import LoraConfig
from trainables.schema import Count, Fraction, Frozen, later


class DropoutConfig(Frozen):
    """Dropout rates of the encoder; null keeps the rate of the model's own configuration."""

    hidden: Fraction | None = Field(None, description="dropout on embeddings and sub-layer outputs (fraction)")
    attention: Fraction | None = Field(None, description="dropout on attention probabilities (fraction)")
    classifier: Fraction | None = Field(None, description="dropout before the classifier (fraction)")


class ModelConfig(Frozen):
    """The pretrained encoder; the classification head is newly initialised from the trial's seed."""

    name: str = Field("bert-base-multilingual-cased", min_length=1, description='hub id, folder, or "mini" (bundled)')
    revision: str | None = Field(None, description="commit or tag on the hub")
    num_hidden_layers: Count | None = Field(None, description="keep the first k encoder layers; null keeps all")
    dropout: DropoutConfig = Field(DropoutConfig(), description="dropout rates")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="training and evaluation; auto: bfloat16 autocast where GPU or CPU have it and gain, else float32",
    )
    lora: LoraConfig | None = later(None, description="train low-rank updates and the head alone; null: all weights")


class TrialConfig(Frozen):
    """Everything that determines the numbers of one trial.

    ``stages.0`` is English; ``stages.1``, in effect when ``data.stage2_examples`` is above 0, starts from stage 0's
    weights once for each target language. Measurements call them the English stage and ``stage2``.
    """

    seed: int = Field(0, ge=0, description="seed of initialisation, data order, dropout, views and sampled labels")
    model: ModelConfig = Field(ModelConfig(), description="the encoder")
    data: DataConfig = Field(DataConfig(), description="the examples")
    stages: tuple[StageConfig, StageConfig] = Field(
        (StageConfig(), StageConfig(epochs=3)), description="English stage, target-language stage"
    )
    measure: MeasureConfig = Field(MeasureConfig(), description="what is measured besides accuracy")

    @model_validator(mode="after")
    def _fits_together(self) -> TrialConfig:
        if any(view.kind == "translation" for view, _ in self.stages[1].views()):
            raise ValueError("view translation translates the English training file, so stages.1 cannot have it")
        if self.stages[1].until is not None:
            raise ValueError("stages.1.until: only the English stage ends at a training loss; gains are after epochs")
        if missing := set(self.measure.trace_languages) - set(self.data.languages):
            raise ValueError(f"measure.trace_languages must be among data.languages, got {','.join(sorted(missing))}")
        return self
