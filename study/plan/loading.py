"""From what the command line names to a study: a name in the catalog, or a function in a user's file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from study.catalog import CATALOG
from study.config import StudyConfig
from trainables.errors import InputError, one_line
from trainables.schema import describe

BUNDLED = " --bundled"
USER_MODULE = "_fisher_study_file"
"""Module name of a user's file, whatever the file is called: ``study.py`` must not replace this package."""


def load_study(reference: str, bundled: bool = False) -> StudyConfig:
    """The study that the command line names, described by the docstring of its function.

    Args:
        reference: Name in the catalog, or ``FILE.py:FUNCTION``.
        bundled: Use the bundled model, data and protocol; the study's function must take that argument.

    Raises:
        InputError: There is no such study, or its function fails, lacks the argument, or does not return a study.
    """
    file, colon, name = reference.rpartition(":")
    if not colon and reference.endswith(".py"):
        raise InputError(f"which study of {reference}? name its function: {reference}:FUNCTION")
    if not colon:
        if reference not in CATALOG:
            raise InputError(
                f"unknown study {reference!r}; known are {', '.join(CATALOG)}, and FILE.py:FUNCTION of your own"
            )
        return _build(CATALOG[reference], reference, bundled, reference)
    path = Path(file)
    if not path.is_file():
        raise InputError(f"{reference}: there is no file {file}")
    function = _functions(path, reference).get(name)
    if function is None:
        found = ", ".join(_functions(path, reference)) or "none"
        raise InputError(f"{reference}: {file} has no function {name!r}; it has {found}")
    with _beside(path):
        return _build(function, reference, bundled, f"{path.resolve()}:{name}")


def _functions(path: Path, reference: str) -> dict[str, Callable[..., StudyConfig]]:
    """The functions that a user's file defines."""
    spec = importlib.util.spec_from_file_location(USER_MODULE, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{reference}: {path} is not a Python file")
    module = sys.modules[USER_MODULE] = importlib.util.module_from_spec(spec)
    try:
        with _beside(path):
            spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{reference}: {_where(error, path)}") from None
    return {name: f for name, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__}


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Let modules beside a file be imported; they are searched last, so that none replaces ours or a library's."""
    import analysis  # noqa: F401 (so that it is known before the search path grows)

    folder = str(path.parent.resolve())
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def load_source(study: StudyConfig) -> StudyConfig | None:
    """The named study that a study was made from, as it is now; None if the study does not say what that was."""
    reference = study.source.removesuffix(BUNDLED)
    return load_study(reference, bundled=study.source.endswith(BUNDLED)) if reference else None


def _build(function: Callable[..., StudyConfig], reference: str, bundled: bool, source: str) -> StudyConfig:
    if bundled and "bundled" not in inspect.signature(function).parameters:
        raise InputError(f"{reference} has no argument 'bundled', so --bundled cannot change it; leave --bundled out")
    try:
        study = function(bundled=True) if bundled else function()
    except Exception as error:
        raise InputError(f"{reference}: {_where(error, Path(inspect.getfile(function)))}") from None
    if not isinstance(study, StudyConfig):
        raise InputError(f"{reference} returned {type(study).__name__}, not a StudyConfig")
    described = inspect.getdoc(function) or study.description
    return study.model_copy(update={"description": described, "source": source + BUNDLED * bundled})


def _where(error: Exception, path: Path) -> str:
    """File, line and message of an exception, in one line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    place = f"{path}, line {lines[-1]}" if lines else str(path)
    if isinstance(error, ValidationError):
        return f"{place}: {describe(error)}"
    message = one_line(error, "no message")
    return f"{place}: {message}" if isinstance(error, InputError) else f"{place}: {type(error).__name__}: {message}"
