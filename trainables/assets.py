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
    """The name and revision of a model, which identify its files."""
    return f"{config.name}@{config.revision or 'default'}"


def data_key(config: DataConfig) -> str:
    """A key for a data set and its draw: the configuration without what does not change the rows."""
    return config.model_dump_json(exclude={"max_length"})


def _views_with_files(config: TrialConfig) -> list[ViewConfig]:
    return [view for stage in config.stages for view, _ in stage.views() if view.files is not None]


def _files_key(view: ViewConfig, data: DataConfig) -> tuple[str, str, str]:
    return str(view.kind), str(view.files), data_key(data) if view.kind == "translation" else ""


@dataclass(frozen=True)
class Assets:
    """Models and data, keyed by the part of the configuration that names them.

    Weights are NumPy arrays, so that one node's workers share one copy of them in Ray's object store.

    Attributes:
        models: By :func:`model_key`.
        data: By :func:`data_key`.
        notes: Lines that a person should read, as found by ``check``.
        view_files: Contents of the views' files, by kind, ``view.files`` and, where it matters, the data configuration.
    """

    models: dict[str, ModelFiles] = field(default_factory=dict)
    data: dict[str, TaskData] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    view_files: dict[tuple[str, str, str], ViewFiles] = field(default_factory=dict)

    @classmethod
    def resolve(cls, configs: Iterable[TrialConfig]) -> Assets:
        """Read what the given trials need, each item once.

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
        """The model files of a trial."""
        return self.models[model_key(config.model)]

    def rows(self, config: TrialConfig) -> TaskData:
        """The data of a trial."""
        return self.data[data_key(config.data)]

    def files(self, config: TrialConfig) -> dict[tuple[str | None, str | None], ViewFiles]:
        """The contents of the files of a trial's views, by kind and ``view.files``."""
        views = _views_with_files(config)
        return {(view.kind, view.files): self.view_files[_files_key(view, config.data)] for view in views}

    def fingerprints(self, config: TrialConfig) -> tuple[str, str]:
        """Hashes of the model and of the data that a trial uses; the files of views count as data."""
        data = self.rows(config).fingerprint
        views = [self.view_files[_files_key(view, config.data)].fingerprint for view in _views_with_files(config)]
        if views:
            data = hashlib.sha256("/".join([data, *views]).encode()).hexdigest()[:16]
        return self.model(config).fingerprint, data
