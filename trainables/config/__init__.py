"""TrialConfig: everything that determines the numbers of one trial, addressed by public dotted paths.

It defines the schema and its defaults (the protocol shared by MVR and XTREME); ``dotted_paths`` reads and sets values.
It does not depend on studies, arms or search spaces.
"""

from __future__ import annotations

from trainables.config.data import ENGLISH, DataConfig
from trainables.config.measure import RIVALS, USUAL_RIVALS, ExpansionConfig, MeasureConfig
from trainables.config.stage import OptimizerConfig, PenaltiesConfig, StageConfig, UntilConfig
from trainables.config.trial import DropoutConfig, ModelConfig, TrialConfig

__all__ = [
    "ENGLISH",
    "RIVALS",
    "USUAL_RIVALS",
    "DataConfig",
    "DropoutConfig",
    "ExpansionConfig",
    "MeasureConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PenaltiesConfig",
    "StageConfig",
    "TrialConfig",
    "UntilConfig",
]
