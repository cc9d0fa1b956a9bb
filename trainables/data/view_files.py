"""The contents of a view's files, read by the driver and handed to the workers with the other assets."""

from __future__ import annotations

from pathlib import Path

from trainables.config import DataConfig
from trainables.data import bundled
from trainables.data.task_data import TaskData, content_hash
from trainables.errors import InputError
from trainables.views.code_switch import read_dictionary
from trainables.views.token_views import ViewFiles
from trainables.views.translation import read_parallel
from trainables.views.view import BUNDLED, ViewConfig, language_files


def load_view_files(view: ViewConfig, config: DataConfig, data: TaskData) -> ViewFiles:
    """Read the files of a view of kind ``code_switch`` or ``translation``."""
    files = {language: Path(path).expanduser() for language, path in language_files(str(view.files)).items()}
    if view.kind == "code_switch":
        found = {language: read_dictionary(path) for language, path in (files or bundled.DICTIONARIES).items()}
        return ViewFiles(found, {}, content_hash(list(found.values())))
    if view.files == BUNDLED:
        if config.source != BUNDLED:
            raise InputError(
                f"view.files=bundled translates the bundled training examples, and data.source is {config.source}: "
                "give the translation of its English training file as LANG=FILE"
            )
        folder = bundled.FOLDER / config.name / "translations"
        files = {language: folder / f"{language}.tsv" for language in bundled.DICTIONARIES}
    sentences = 1 if data.train.second is None else 2
    translations = {
        language: read_parallel(path, data.train_total, sentences).take(data.train_rows)
        for language, path in files.items()
    }
    return ViewFiles({}, translations, content_hash([[rows.first, rows.second] for rows in translations.values()]))
