"""The pretrained encoder of a trial."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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
