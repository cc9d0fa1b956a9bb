"""Everything that trials need from outside, read once by the driver and shared with every worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trainables.augmentations.token_views import ViewFiles
from trainables.augmentations.view import ViewConfig
from trainables.config import DataConfig, ModelConfig, TrialConfig
from trainables.data.task_data import TaskData, load_task_data
from trainables.data.view_files import load_view_files
from trainables.models.files import ModelFiles, load_model_files

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def _model_key(config: ModelConfig) -> str:
    return f"{config.name}@{config.revision or 'default'}"


def _data_key(config: DataConfig) -> str:
    return config.model_dump_json(exclude={"max_length"})


def _views_with_files(config: TrialConfig) -> list[ViewConfig]:
    return [view for stage in config.stages for view, _ in stage.views() if view.files is not None]


def _files_key(view: ViewConfig, data: DataConfig) -> tuple[str, str, str]:
    return str(view.kind), str(view.files), _data_key(data) if view.kind == "translation" else ""


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
            if (key := _data_key(config.data)) not in assets.data:
                assets.data[key] = load_task_data(config.data)
            if (key := _model_key(config.model)) not in assets.models:
                assets.models[key] = load_model_files(config.model)
            for view in _views_with_files(config):
                if (files_key := _files_key(view, config.data)) not in assets.view_files:
                    assets.view_files[files_key] = load_view_files(view, config.data, assets.rows(config))
        return assets

    def check(self, configs: Iterable[TrialConfig]) -> list[str]:
        """Build each distinct model and rehearse what its trials do: what cannot work is found before any starts.

        Args:
            configs: The trials.

        Returns:
            Lines that a person should know, also kept in ``notes``: what the rows and the dictionaries are like,
            tokenizers that do not fit them, models whose Tr(F) takes the slow path, rates of dropout that change
            nothing, and examples that will be cut.

        Raises:
            InputError: A model cannot be built, trained or measured, or take a view; or subword views need another
                vocabulary.
        """
        from trainables.augmentations.code_switch import dictionary_notes
        from trainables.augmentations.perturbation import check_view
        from trainables.curvature import reason_against_fast_path
        from trainables.models.build import build_model, positions
        from trainables.models.dropout import dropout_notes
        from trainables.rehearsal import Rehearsal
        from trainables.seeding import Streams
        from trainables.tokenization.fit import tokenizer_notes
        from trainables.tokenization.subword_sampling import subword_sampler

        notes: dict[str, None] = {}
        seen: set[str] = set()
        rehearsal = Rehearsal(self)
        built: tuple[str, PreTrainedModel] | None = None
        for config in configs:
            rows, files = self.rows(config), self.model(config)
            notes |= dict.fromkeys(rows.notes)
            for found in self.files(config).values():
                notes |= dict.fromkeys(dictionary_notes(found.dictionaries))
            if (pair := f"{_model_key(config.model)} {_data_key(config.data)}") not in seen:
                seen.add(pair)
                parts = {"training": rows.train, **{f"validation {lang}": r for lang, r in rows.validation.items()}}
                notes |= dict.fromkeys(tokenizer_notes(config.model.name, files.tokenizer, parts))
            labels = len(rows.labels)
            key = f"{config.model.model_dump_json()} {labels}"
            if built is None or built[0] != key:
                built = None  # two need not be in memory at once
                built = key, build_model(files, config.model, labels, Streams(config.seed))
            model = built[1]
            notes |= dict.fromkeys(dropout_notes(files.config, config.model.dropout, config.model.name))
            views = [pair for stage in config.stages for pair in stage.views()]
            if (key := f"{key} {config.data.name} {config.data.max_length} {views}") not in seen:
                seen.add(key)
                if any(view.kind == "subword" for view, _ in views):
                    drops = any(view.drop_single_characters for view, _ in views)
                    subword_sampler(files.tokenizer.backend, drops)
                for view, compares_states in views:
                    check_view(model, view, compares_states)
                name = f"model {files.name}"
                if config.data.max_length > (limit := positions(model)):
                    notes[f"{name} has positions for {limit} pieces, so longer examples are cut there"] = None
                if (reason := reason_against_fast_path(model)) is not None:
                    notes[f"Tr(F) of {name} takes the slow path, 3 to 5 times as long, because {reason}"] = None
            rehearsal.of(config, model)
        self.notes[:] = notes
        return self.notes

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
