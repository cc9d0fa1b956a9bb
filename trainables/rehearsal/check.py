"""Everything that is tried before the first trial, so that what cannot work costs one line and not a failed sweep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from trainables.assets import Assets, data_key, model_key
from trainables.config import TrialConfig
from trainables.plugins import load_all

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def check(assets: Assets, configs: Iterable[TrialConfig]) -> list[str]:
    """Build each distinct model and rehearse what its trials do: what cannot work is found before any starts.

    Returns:
        Lines that a person should read, also kept in the assets: what the rows and the dictionaries are like,
        tokenizers that do not fit them, models whose Tr(F) takes the slow path or whose predictions depend on padding,
        rates of dropout that change nothing, draws that no estimator makes, and examples that will be cut.

    Raises:
        InputError: A model cannot be built, trained or measured, or cannot take a view; or subword views need another
            vocabulary.
        PluginError: A plugin cannot be imported.
    """
    from trainables.curvature import reason_against_fast_path
    from trainables.models.build import build_model, positions
    from trainables.models.dropout import dropout_notes
    from trainables.rehearsal.rehearsal import Rehearsal
    from trainables.seeding import Streams
    from trainables.tokenization.fit import tokenizer_notes
    from trainables.tokenization.subword_sampling import subword_sampler
    from trainables.views.code_switch import dictionary_notes
    from trainables.views.perturbation import check_view

    load_all()
    notes: dict[str, None] = {}
    seen: set[str] = set()
    rehearsal = Rehearsal(assets)
    built: tuple[str, PreTrainedModel] | None = None
    for config in configs:
        rows, files = assets.rows(config), assets.model(config)
        notes |= dict.fromkeys(rows.notes)
        for found in assets.files(config).values():
            notes |= dict.fromkeys(dictionary_notes(found.dictionaries))
        if (pair := f"{model_key(config.model)} {data_key(config.data)}") not in seen:
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
    notes |= dict.fromkeys(rehearsal.notes)
    assets.notes[:] = notes
    return assets.notes
