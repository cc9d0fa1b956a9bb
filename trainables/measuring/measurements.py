"""Every number that a trial reports: its name, unit and definition; the contract between trials, tables and reports."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from trainables.plugins import entries

DEFINITIONS: dict[str, str] = {
    "train_accuracy": "accuracy on the stage-0 training examples at the end of stage 0 (fraction)",
    "train_nll": "mean negative log-likelihood on the stage-0 training examples (nats an example)",
    "train_examples": "stage-0 training examples (count)",
    "validation_examples": "English validation examples (count)",
    "until.train_nll": "mean negative log-likelihood of the first stages.0.until.examples training examples when "
    "stage 0 ended, evaluation mode (nats an example)",
    "until.steps": "optimiser steps after which stage 0 ended (count)",
    "train_majority_share": "share of the most frequent label among the stage-0 training examples (fraction)",
    "accuracy.LANG": "validation accuracy after stage 0 (fraction)",
    "nll.LANG": "validation negative log-likelihood after stage 0 (nats an example)",
    "ece.LANG": "expected calibration error on validation after stage 0, 15 equal-width bins (fraction)",
    "accuracy_untraced": "English validation accuracy on the rows that fisher_trace was not measured on (fraction)",
    "generalization_gap": "train_accuracy minus accuracy.en (fraction)",
    "transfer_gap": "accuracy.en minus the mean of accuracy.LANG over target languages (fraction)",
    "fisher_trace": "Tr(F) on English validation: mean over examples, sum over parameters, over the model's own "
    "labels as measure.estimator says, evaluation mode (squared nats per squared parameter unit)",
    "fisher_trace_se": "standard error of fisher_trace over examples (same unit)",
    "fisher_trace_examples": "examples that fisher_trace is a mean of (count)",
    "fisher_trace_median": "median over those examples of Tr(F) of one example (same unit)",
    **{f"fisher_trace_q{level}": f"its quantile at {level} % (same unit)" for level in ("05", "25", "75", "95")},
    "fisher_trace_top1": "share of the sum over examples that the largest 1 % of them hold, rounded up (fraction)",
    "fisher_trace_top5": "share that the largest 5 % hold (fraction)",
    "fisher_trace.train": "Tr(F) on stage-0 training examples (same unit)",
    "fisher_trace_se.train": "its standard error",
    "fisher_trace_examples.train": "its examples (count)",
    **{
        f"fisher_trace_{name}.{split}": f"the same as fisher_trace_{name} on those examples"
        for split in ("train", "LANG")
        for name in ("median", "q05", "q25", "q75", "q95", "top1", "top5")
    },
    "fisher_trace.merged": "with model.lora, Tr(F) on English validation over all weights after the updates were "
    "merged into them; fisher_trace is over the trained parameters (same unit)",
    "fisher_trace_se.merged": "its standard error",
    "fisher_trace.LANG": "Tr(F) on that language's validation examples (same unit)",
    "fisher_trace_se.LANG": "its standard error",
    "fisher_trace_examples.LANG": "its examples (count)",
    "fisher_trace_layers.NAME": "part of fisher_trace that a layer group's parameters hold; the parts sum to it",
    "fisher_trace_parameters.NAME": "entries of the parameters of that layer group that fisher_trace is over (count)",
    "fisher_trace_peak": "largest Tr(F) of the curve fisher_trace in the early phase: after step 0 (an untrained "
    "head), up to half of the optimiser steps of stage 0 (same unit)",
    "fisher_trace_peak_step": "first step at which the curve reaches fisher_trace_peak (optimiser steps of stage 0)",
    "expansion.trace": "Tr(F) at the end of stage 0 on the examples of equation 1, float64 (same unit)",
    "expansion.quadratic": "mean over directions eps ~ N(0, I) of eps^T F eps on the same examples, which estimates "
    "expansion.trace (same unit)",
    "expansion.quadratic_se": "standard error of expansion.quadratic over directions (same unit)",
    "measure.label_variance": "mean over English validation of 1 - sum_y p(y|x)^2 (fraction)",
    "measure.margin": "mean over the first measure.trace_examples training rows of "
    "log p(y|x) - max_{y' != y} log p(y'|x) (nats)",
    "measure.sharpness": "rise of the mean cross-entropy of those training rows after one normalised gradient ascent "
    "step of L2 norm 0.05, evaluation mode (nats)",
    "measure.empirical_fisher": "mean over those training rows, sum over parameters, of the squared score at the "
    "observed label: not Tr(F) (squared nats per squared parameter unit)",
    "measure.parameter_norm": "L2 norm of all parameters after stage 0",
    "measure.distance_from_pretrained": "L2 norm of the change of the encoder's parameters in stage 0",
    "measure.fisher_rao": "theta^T F theta on the rows of fisher_trace, F over the model's own labels (squared nats)",
    "measure.normalized_trace": "sum over weight matrices W of ||W||_F^2 Tr(F_W), parts of fisher_trace on its rows "
    "(squared nats)",
    "measure.relative_flatness": "mean over the rows of fisher_trace of ||phi||^2 Var_{y ~ p}(w_y), phi the features "
    "and w_y the weights of the last layer; the larger, the less flat (squared nats)",
    "measure.lambda_max": "largest eigenvalue of F on at most 100 of the rows of fisher_trace, evenly over their "
    "lengths (squared nats per squared parameter unit)",
    "measure.effective_rank": "Tr(F)^2 / Tr(F^2) on those rows (directions)",
    "measure.trace_f2": "Tr(F^2) on those rows (square of the unit of fisher_trace)",
    "measure.noise_scale": "mean over the training rows of measure.margin of ||g_i - G||^2, divided by ||G||^2: g_i "
    "the gradient of one row's loss at its observed label, G their mean (examples)",
    "measure.adaptive_sharpness": "largest rise that 20 steps of APGD find of the mean cross-entropy of those training "
    "rows, logits divided by their standard deviation, when each weight may change by 0.2 % of itself (nats)",
    **{f"measure.{name}": f"{entry.value}, a plugin's rival of Tr(F)" for name, entry in entries("rivals").items()},
    "twin.K.logit_change": "largest change of a logit over English validation when in every layer the queries are "
    "multiplied by 2^K and the keys divided by it, relative to the largest logit (fraction)",
    "twin.K.NAME": "fisher_trace or measure.NAME of that twin, on the same rows (same unit)",
    "stage2.LANG.accuracy_before": "validation accuracy in LANG before the second stage (fraction)",
    "stage2.LANG.accuracy_after": "validation accuracy in LANG after it (fraction)",
    "stage2.LANG.gain": "accuracy_after minus accuracy_before (fraction)",
    "stage2.LANG.nll_before": "validation negative log-likelihood in LANG before (nats an example)",
    "stage2.LANG.nll_after": "validation negative log-likelihood in LANG after (nats an example)",
    "stage2.LANG.distance": "L2 norm of the change of all parameters in the second stage",
    "stage2.LANG.path_curvature": "1/2 Delta^T F Delta on the rows of fisher_trace, Delta: change of all parameters in "
    "the second stage, F at the parameters before it, evaluation mode: what equation 1 makes of path_kl_en (nats)",
    "stage2.LANG.path_kl_en": "mean KL of the predictions before the second stage from those after it, "
    "KL(p_before || p_after), on the same rows (nats)",
    "stage2.LANG.path_curvature_target": "path_curvature on as many validation rows in LANG (nats)",
    "stage2.LANG.direction": "(Delta^T F Delta / |Delta|^2) / (fisher_trace / number of trainable parameters): how "
    "much sharper the path is than a random direction, 1: as sharp (ratio)",
    "stage2.LANG.accuracy_en_after": "English validation accuracy after the second stage (fraction)",
    "stage2.LANG.test_accuracy": "test accuracy in LANG after the second stage (fraction)",
    "stage2.LANG.test_f1": "macro F1 on the test examples in LANG after it (fraction)",
    "stage2.LANG.test_nll": "test negative log-likelihood in LANG after it (nats an example)",
    "stage2.LANG.test_accuracy_en": "English test accuracy after the second stage in LANG (fraction)",
    "test.accuracy.LANG": "test accuracy after stage 0 (fraction); like every test score, no choice looks at it",
    "test.f1.LANG": "macro F1 on test after stage 0: mean over the classes that occur among labels or predictions "
    "(fraction)",
    "test.nll.LANG": "test negative log-likelihood after stage 0 (nats an example)",
    **{
        f"stage2.LANG.half{half}.{name}": f"{name} on {which} half of the validation examples, one fixed draw by "
        "data.seed that keeps equal first English sentences together (fraction)"
        for half, which in ((1, "one"), (2, "the other"))
        for name in ("accuracy_before", "gain")
    },
    "penalty.fisher_factor": "mean of the factor, at most 1, by which penalties.fisher.share shortened the gradient of "
    "the Fisher penalty, over the same steps as penalty.NAME (ratio)",
    "penalty.NAME": "mean of the unweighted penalty over the steps of the last epoch of stage 0 on which it acted; "
    "fisher: Tr(F) / B in expectation, on training batches with dropout",
    "weight_in_trace_units": "Fisher penalty weight divided by the batch size: the weight on Tr(F) itself",
}

_PATTERNS = {
    name: re.compile(re.escape(name).replace("LANG", "[^.]+").replace("NAME", ".+").replace(r"\.K\.", r"\.-?\d+\."))
    for name in DEFINITIONS
}


@cache
def defined_as(column: str) -> str | None:
    """The name in :data:`DEFINITIONS` that covers a column of measurements; None for any other column.

    Example:
        >>> defined_as("stage2.de.gain"), defined_as("twin.-2.fisher_trace"), defined_as("nothing")
        ('stage2.LANG.gain', 'twin.K.NAME', None)
    """
    return next((name for name, pattern in _PATTERNS.items() if pattern.fullmatch(column)), None)


SAME_FUNCTION = 1e-4
"""``twin.K.logit_change`` up to which a twin counts as the same function."""

PREDICTIONS: dict[str, str] = {
    "split": "validation or test",
    "language": "language of the example",
    "stage": "0: after the English stage; 1: after the second stage in that language",
    "row": "number of the example in the file of its split and language, from 0",
    "label": "number of its class, from 0; the file's metadata names the classes",
    "probabilities": "the model's probability of each class",
}
"""Columns of the predictions that ``--save-predictions`` writes."""


@dataclass(frozen=True)
class CurvePoint:
    """One row of the curves table.

    Attributes:
        stage: 0 or 1.
        language: Language that the stage trains on.
        step: Optimiser steps done in the stage.
        epoch: Epochs done in the stage (may be fractional).
        name: What is measured: ``train_loss``, ``accuracy.en``, ``penalty.NAME``; ``trust_region``, the mean
            distance of TRAM (nats); ``train_nll``, where it ends a stage, on the examples checked for that;
            ``fisher_trace``; ``kl_ratio``, the mean over directions of KL / (sigma^2 eps^T F eps / 2), equation 1, at x
            = sigma; ``path_kl_en``, at x = L2 norm of the change of all parameters since the second stage began, whose
            ratio to the last point's x is the share of the path. The last point of each of the last three is for the
            weights that the stage keeps.
        value: Its unit is that of the measurement of the same name.
        x: A second coordinate where there is one, else None.
        standard_error: Standard error of the value where there is one, else None.
    """

    stage: int
    language: str
    step: int
    epoch: float
    name: str
    value: float
    x: float | None = None
    standard_error: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Column to value."""
        return asdict(self)


@dataclass(frozen=True)
class Measurements:
    """What a finished trial found.

    Attributes:
        values: Column of the trials table to finite number; what was not measured is absent.
        curves: Rows of the curves table.
        steps: Optimiser steps of all stages.
    """

    values: dict[str, float]
    curves: list[CurvePoint] = field(default_factory=list)
    steps: int = 0
