"""Everything that trials need from outside, read once by the driver and shared with every worker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from trainables.config import DataConfig, ModelConfig, TrialConfig
from trainables.data.task_data import TaskData, load_task_data
from trainables.models.files import ModelFiles, load_model_files


def _model_key(config: ModelConfig) -> str:
    return f"{config.name}@{config.revision or 'default'}"


def _data_key(config: DataConfig) -> str:
    return config.model_dump_json(exclude={"max_length"})


@dataclass(frozen=True)
class Assets:
    """Models and data by the part of the configuration that names them.

    The arrays inside are NumPy's, so that one node's workers share one copy in Ray's object store.

    Attributes:
        models: Model name and revision to its files.
        data: Data configuration to its rows.
    """

    models: dict[str, ModelFiles] = field(default_factory=dict)
    data: dict[str, TaskData] = field(default_factory=dict)

    @classmethod
    def resolve(cls, configs: Iterable[TrialConfig]) -> Assets:
        """Read what some trials need, each thing once.

        Args:
            configs: The trials.

        Returns:
            Their assets.

        Raises:
            InputError: A model or data set does not exist or is malformed.
        """
        assets = cls()
        for config in configs:
            if (key := _data_key(config.data)) not in assets.data:
                assets.data[key] = load_task_data(config.data)
            if (key := _model_key(config.model)) not in assets.models:
                assets.models[key] = load_model_files(config.model)
        return assets

    def model(self, config: TrialConfig) -> ModelFiles:
        """The encoder of a trial.

        Args:
            config: The trial.

        Returns:
            Its model files.
        """
        return self.models[_model_key(config.model)]

    def rows(self, config: TrialConfig) -> TaskData:
        """The rows of a trial.

        Args:
            config: The trial.

        Returns:
            Its data.
        """
        return self.data[_data_key(config.data)]

    def fingerprints(self, config: TrialConfig) -> tuple[str, str]:
        """Hashes of the content that a trial uses.

        Args:
            config: The trial.

        Returns:
            Model fingerprint and data fingerprint.
        """
        return self.model(config).fingerprint, self.rows(config).fingerprint
