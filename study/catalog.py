"""The named studies, one function each; the docstring is the hypothesis that the study tests, and its protocol.

A study of one's own is such a function in any file: ``fisher-study run my_study.py:my_function``.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from study.config import Arm, StudyConfig, describe
from study.search_space import Grid, log_grid
from trainables.config import (
    DataConfig,
    DropoutConfig,
    MeasureConfig,
    ModelConfig,
    OptimizerConfig,
    StageConfig,
    TrialConfig,
)
from trainables.errors import InputError

BASELINE = Arm(name="baseline")
KL = Arm(name="kl", search={"stages.0.consistency.weight": Grid(values=(0.0, *log_grid(0.05, 5, 5)))})
FPEN = Arm(name="fpen", search={"stages.0.penalties.fisher.weight": Grid(values=log_grid(1e-3, 10, 6))})
L2 = Arm(name="l2", search={"stages.0.penalties.l2.weight": Grid(values=log_grid(1e-6, 1e-2, 6))})
DROPOUT = Arm(
    name="dropout",
    # 0.1, the rate that mBERT's own configuration states, is the baseline.
    search={"model.dropout.hidden": Grid(values=(0.0, 0.05, 0.15, 0.2, 0.3, 0.4), also=("model.dropout.attention",))},
)


def _noise(count: int) -> Arm:
    return Arm(
        name="noise",
        set={"stages.0.noise.kind": "embedding_gaussian"},
        search={"stages.0.noise.strength": Grid(values=log_grid(0.01, 1, count))},
    )


def quick() -> StudyConfig:
    """Do flatter minima generalise better, in five minutes, on a bundled model and bundled data?

    Hypotheses: English validation accuracy falls with ln Tr(F) (Figure 1), and the gain of a second stage in German,
    Spanish and Chinese falls with ln Tr(F) (Figure 2).

    Protocol: the bundled mini multilingual BERT on the bundled inference task. 24 configurations, one seed: baseline,
    consistency of subword views (kl, weight 0 included), Fisher penalty (fpen), L2 and embedding noise.

    Deviations from the paper: a model of half a million parameters, generated sentences, dropout 0, learning rate 1e-3
    and weight decay 0.01, tuned on the baseline's accuracy alone; one seed, so seeds cannot be told from weights.

    Cost: about five minutes on two CPU cores.
    """  # noqa: DOC201 (people read this text)
    optimizer = OptimizerConfig(learning_rate=1e-3, weight_decay=0.01, warmup=0.1)
    base = TrialConfig(
        model=ModelConfig(name="mini", dropout=DropoutConfig(hidden=0.0, attention=0.0, classifier=0.0)),
        data=DataConfig(
            name="inference",
            source="bundled",
            train_examples=1_000,
            stage2_examples=750,
            validation_examples=750,
            max_length=96,
        ),
        stages=(
            StageConfig(epochs=5, optimizer=optimizer),
            StageConfig(epochs=2, optimizer=OptimizerConfig(learning_rate=6e-4, weight_decay=0.01, warmup=0.1)),
        ),
        measure=MeasureConfig(trace_examples=200),
    )
    return StudyConfig(name="quick", base=base, arms=(BASELINE, KL, FPEN, L2, _noise(5)))


def xnli() -> StudyConfig:
    """Figure 1: does English accuracy on XNLI fall with ln Tr(F) across regularisers and their weights?

    Hypotheses: accuracy falls with ln Tr(F) (H1); ln Tr(F) falls with the weight of the consistency loss (H2); the
    best Fisher penalty does as well as the best consistency weight (H3).

    Protocol: multilingual BERT, 20,000 English examples drawn once, learning rate 2e-5, 5 epochs, batches of 32, no
    warm-up, measured at the end of training; baseline, kl, fpen, l2, dropout and embedding noise with six weights
    each, three seeds: 93 trials. A second stage follows when data.stage2_examples is above 0.

    Deviations from the paper: subword views are fresh in every epoch and never reject a single character.

    Cost: 93 fine-tunings of 3,125 steps, those of kl and fpen about twice and three times as long: roughly 50
    GPU-hours on a current data-centre GPU (estimated, not measured).
    """  # noqa: DOC201 (people read this text)
    base = TrialConfig(data=DataConfig(name="xnli", train_examples=20_000))
    return StudyConfig(name="xnli", base=base, seeds=3, arms=(BASELINE, KL, FPEN, L2, DROPOUT, _noise(6)))


def pawsx() -> StudyConfig:
    """Figure 2: does a flatter English minimum on PAWS-X gain more from a second stage in another language?

    Hypothesis: the gain falls with ln Tr(F) (H4), on the mean of German, Spanish and Chinese and on each.

    Protocol: multilingual BERT, all English training examples, the settings of ``xnli``; then 1,000 of the 2,000
    validation rows of each language train 3 epochs without a regulariser, and every validation figure uses the other
    1,000. The same arms and seeds as ``xnli``: 93 trials.

    Deviations from the paper: as ``xnli``; the rows of the second stage are drawn at random, pairs of one first
    sentence together (data.split=file_order takes the first half).

    Cost: 93 fine-tunings of 7,720 steps and three second stages of 96: roughly 120 GPU-hours (estimated, not
    measured).
    """  # noqa: DOC201 (people read this text)
    base = TrialConfig(data=DataConfig(name="pawsx", train_examples=None, stage2_examples=1_000))
    return StudyConfig(name="pawsx", base=base, seeds=3, arms=(BASELINE, KL, FPEN, L2, DROPOUT, _noise(6)))


CATALOG: dict[str, Callable[[], StudyConfig]] = {"quick": quick, "xnli": xnli, "pawsx": pawsx}


def load_study(reference: str) -> StudyConfig:
    """The study that the command line names.

    Args:
        reference: Name in the catalog, or ``FILE.py:FUNCTION``.

    Returns:
        The study, described by the docstring of its function.

    Raises:
        InputError: There is no such study, or the function fails or returns something else.
    """
    file, colon, name = reference.rpartition(":")
    if not colon and reference.endswith(".py"):
        raise InputError(f"which study of {reference}? name its function: {reference}:FUNCTION")
    if not colon:
        if reference not in CATALOG:
            raise InputError(
                f"unknown study {reference!r}; known are {', '.join(CATALOG)}, and FILE.py:FUNCTION of your own"
            )
        return _build(CATALOG[reference], reference)
    path = Path(file)
    if not path.is_file():
        raise InputError(f"{reference}: there is no file {file}")
    function = _functions(path, reference).get(name)
    if function is None:
        found = ", ".join(_functions(path, reference)) or "none"
        raise InputError(f"{reference}: {file} has no function {name!r}; it has {found}")
    return _build(function, reference)


def _functions(path: Path, reference: str) -> dict[str, Callable[[], StudyConfig]]:
    """The functions that a user's file defines."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{reference}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # as when Python runs the file
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{reference}: {_where(error, path)}") from None
    finally:
        sys.path.pop(0)
    return {name: f for name, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__}


def _build(function: Callable[[], StudyConfig], reference: str) -> StudyConfig:
    try:
        study = function()
    except Exception as error:
        raise InputError(f"{reference}: {_where(error, Path(inspect.getfile(function)))}") from None
    if not isinstance(study, StudyConfig):
        raise InputError(f"{reference} returned {type(study).__name__}, not a StudyConfig")
    return study.model_copy(update={"description": inspect.getdoc(function) or study.description})


def _where(error: Exception, path: Path) -> str:
    """File, line and message of an exception in one line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    place = f"{path}, line {lines[-1]}" if lines else str(path)
    if isinstance(error, ValidationError):
        return f"{place}: {describe(error)}"
    message = str(error).splitlines()[0] if str(error) else "no message"
    return f"{place}: {message}" if isinstance(error, InputError) else f"{place}: {type(error).__name__}: {message}"
