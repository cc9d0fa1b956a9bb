"""Everything that trials need from outside, read once by the driver and shared with every worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from trainables.config import DataConfig, ModelConfig, TrialConfig
from trainables.data.task_data import TaskData, load_task_data
from trainables.data.view_files import load_view_files
from trainables.models.files import ModelFiles, load_model_files
from trainables.views.token_views import ViewFiles
from trainables.views.view import ViewConfig


def model_key(config: ModelConfig) -> str:
    """What names a model's files.

    Args:
        config: The model.

    Returns:
        Name and revision.
    """
    return f"{config.name}@{config.revision or 'default'}"


def data_key(config: DataConfig) -> str:
    """What names a data set and its draw.

    Args:
        config: The data.

    Returns:
        The configuration, without what does not change the rows.
    """
    return config.model_dump_json(exclude={"max_length"})


def _views_with_files(config: TrialConfig) -> list[ViewConfig]:
    return [view for stage in config.stages for view, _ in stage.views() if view.files is not None]


def _files_key(view: ViewConfig, data: DataConfig) -> tuple[str, str, str]:
    return str(view.kind), str(view.files), data_key(data) if view.kind == "translation" else ""


@dataclass(frozen=True)
class Assets:
    """Models and data by the part of the configuration that names them.

    Weights are NumPy arrays, so that one node's workers share one copy of them in Ray's object store.

    Attributes:
        models: Model name and revision to its files.
        data: Data configuration to its rows.
        notes: Lines that a person should know, as ``check`` found them.
        view_files: What the files of views hold, by kind, ``view.files`` and, where it matters, the data configuration.
    """

    models: dict[str, ModelFiles] = field(default_factory=dict)
    data: dict[str, TaskData] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    view_files: dict[tuple[str, str, str], ViewFiles] = field(default_factory=dict)

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
            if (key := data_key(config.data)) not in assets.data:
                assets.data[key] = load_task_data(config.data)
            if (key := model_key(config.model)) not in assets.models:
                assets.models[key] = load_model_files(config.model)
            for view in _views_with_files(config):
                if (files_key := _files_key(view, config.data)) not in assets.view_files:
                    assets.view_files[files_key] = load_view_files(view, config.data, assets.rows(config))
        return assets

    def model(self, config: TrialConfig) -> ModelFiles:
        """The encoder of a trial.

        Args:
            config: The trial.

        Returns:
            Its model files.
        """
        return self.models[model_key(config.model)]

    def rows(self, config: TrialConfig) -> TaskData:
        """The rows of a trial.

        Args:
            config: The trial.

        Returns:
            Its data.
        """
        return self.data[data_key(config.data)]

    def files(self, config: TrialConfig) -> dict[tuple[str | None, str | None], ViewFiles]:
        """What the files of a trial's views hold.

        Args:
            config: The trial.

        Returns:
            Kind and ``view.files`` to the content.
        """
        views = _views_with_files(config)
        return {(view.kind, view.files): self.view_files[_files_key(view, config.data)] for view in views}

    def fingerprints(self, config: TrialConfig) -> tuple[str, str]:
        """Hashes of the content that a trial uses.

        Args:
            config: The trial.

        Returns:
            Model fingerprint and data fingerprint, which covers the files of views.
        """
        data = self.rows(config).fingerprint
        views = [self.view_files[_files_key(view, config.data)].fingerprint for view in _views_with_files(config)]
        if views:
            data = hashlib.sha256("/".join([data, *views]).encode()).hexdigest()[:16]
        return self.model(config).fingerprint, data
