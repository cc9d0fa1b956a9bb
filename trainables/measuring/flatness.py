"""How flat the end of stage 0 is: Tr(F), its rivals, and how both change on rescaled twins of the model."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from trainables.config import TrialConfig
from trainables.curvature import TraceEstimate, fisher_trace
from trainables.curvature.rivals import RIVALS, FineTuned
from trainables.curvature.twins import logit_change, twin
from trainables.examples import Examples
from trainables.measuring.evaluation import first_rows, predict
from trainables.models.lora import merged

QUANTILES = {"median": 0.5, "q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}
TOP_PERCENT = (1, 5)


def traces(
    trained: FineTuned, train: Examples, validation: dict[str, Examples], config: TrialConfig
) -> dict[str, float]:
    """Tr(F) on every split that the configuration names: columns ``fisher_trace*``."""
    model, measure = trained.model, config.measure
    found = {"": _english(trained, config)}
    splits = {".train": train} if measure.trace_train else {}
    splits |= {f".{language}": validation[language] for language in measure.trace_languages}
    for suffix, examples in splits.items():
        found[suffix] = fisher_trace(
            model, first_rows(model, examples, measure.trace_examples), **measure.trace_options()
        )
    if config.model.lora is not None:
        found[".merged"] = fisher_trace(merged(model), trained.traced, **measure.trace_options())
    values: dict[str, float] = {}
    for suffix, one in found.items():
        values[f"fisher_trace{suffix}"] = one.value
        if one.num_examples > 1:
            values[f"fisher_trace_se{suffix}"] = one.standard_error
        if suffix != ".merged":
            values[f"fisher_trace_examples{suffix}"] = one.num_examples
            values |= {f"fisher_trace_{name}{suffix}": value for name, value in spread(one.per_example).items()}
    values |= {f"fisher_trace_layers.{name}": part for name, part in found[""].per_layer.items()}
    values |= {f"fisher_trace_parameters.{name}": n for name, n in found[""].parameters_per_layer.items()}
    return values


def spread(values: torch.Tensor) -> dict[str, float]:
    """Quantiles of non-negative values, and the share of their sum that is due to the largest.

    Args:
        values: float64 ``[examples]``.

    Returns:
        ``median``, ``q05``, ``q25``, ``q75``, ``q95`` (linear between order statistics), and ``top1``, ``top5``: the
        share of the sum in the largest 1 and 5 % of the examples, rounded up; the shares are absent where the sum is 0.

    Example:
        >>> found = spread(torch.tensor([1.0, 2.0, 3.0, 4.0, 90.0], dtype=torch.float64))
        >>> found["median"], found["top1"]
        (3.0, 0.9)
    """
    found = {name: float(values.quantile(level)) for name, level in QUANTILES.items()}
    total = float(values.sum())
    if total > 0:
        largest = values.sort(descending=True).values
        for percent in TOP_PERCENT:
            found[f"top{percent}"] = float(largest[: math.ceil(percent * len(values) / 100)].sum()) / total
    return found


def rivals(trained: FineTuned, config: TrialConfig) -> dict[str, float]:
    """The rivals of Tr(F) that the configuration names: columns ``measure.*``."""
    return {f"measure.{name}": RIVALS[name](trained) for name in RIVALS.known() if name in config.measure.rivals}


def twins(trained: FineTuned, english: Examples, config: TrialConfig, dtype: torch.dtype) -> dict[str, float]:
    """Tr(F) and the same rivals on each rescaled twin of the model, on the same rows, and how far its logits moved.

    Args:
        trained: The fine-tuned model; its parameters are unchanged afterwards.
        dtype: Format in which the logits were predicted.

    Returns:
        Columns ``twin.K.*``, for queries multiplied by two to the power of K.
    """
    values: dict[str, float] = {}
    for exponent in config.measure.twins:
        with twin(trained.model, exponent):
            now = replace(trained, validation_logits=predict(trained.model, english, dtype=dtype))
            found = {
                "logit_change": logit_change(trained.validation_logits, now.validation_logits),
                "fisher_trace": _english(now, config).value,
            }
            for name, value in rivals(now, config).items():
                found[name.removeprefix("measure.")] = value
        values |= {f"twin.{exponent}.{name}": value for name, value in found.items()}
    return values


def _english(trained: FineTuned, config: TrialConfig) -> TraceEstimate:
    if "normalized_trace" in config.measure.rivals:
        return trained.trace  # that rival uses its per-matrix parts
    return fisher_trace(trained.model, trained.traced, **config.measure.trace_options())
