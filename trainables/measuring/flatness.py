"""How flat the end of stage 0 is: Tr(F), its rivals, and how both move on rescaled twins of the model."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from trainables.config import ENGLISH, TrialConfig
from trainables.curvature import fisher_trace
from trainables.curvature.rivals import RIVALS, FineTuned
from trainables.curvature.twins import logit_change, twin
from trainables.examples import Examples
from trainables.measuring.evaluation import first_rows, predict
from trainables.measuring.spread import spread
from trainables.models.lora import merged
from trainables.training.kept_weights import State


def traces(
    model: PreTrainedModel, train: Examples, validation: dict[str, Examples], config: TrialConfig
) -> dict[str, float]:
    """Tr(F) on every split that the configuration names.

    Args:
        model: The fine-tuned model.
        train: Training rows of stage 0.
        validation: Language to validation rows.
        config: The trial.

    Returns:
        Columns ``fisher_trace*``.
    """
    splits = {"": validation[ENGLISH]}
    if config.measure.trace_train:
        splits[".train"] = train
    splits |= {f".{language}": validation[language] for language in config.measure.trace_languages}
    values: dict[str, float] = {}
    for suffix, examples in splits.items():
        rows = first_rows(model, examples, config.measure.trace_examples)
        found = fisher_trace(model, rows, **config.measure.trace_options())
        values[f"fisher_trace{suffix}"] = found.value
        if found.num_examples > 1:
            values[f"fisher_trace_se{suffix}"] = found.standard_error
        values[f"fisher_trace_examples{suffix}"] = found.num_examples
        values |= {f"fisher_trace_{name}{suffix}": value for name, value in spread(found.per_example).items()}
        if not suffix:
            values |= {f"fisher_trace_layers.{name}": part for name, part in found.per_layer.items()}
            values |= {f"fisher_trace_parameters.{name}": n for name, n in found.parameters_per_layer.items()}
    if config.model.lora is not None:
        rows = first_rows(model, validation[ENGLISH], config.measure.trace_examples)
        found = fisher_trace(merged(model), rows, **config.measure.trace_options())
        values["fisher_trace.merged"] = found.value
        if found.num_examples > 1:
            values["fisher_trace_se.merged"] = found.standard_error
    return values


def rivals(
    model: PreTrainedModel,
    train: Examples,
    english: Examples,
    logits: torch.Tensor,
    pretrained: State,
    config: TrialConfig,
) -> dict[str, float]:
    """The rivals of Tr(F) that the configuration names.

    Args:
        model: The fine-tuned model.
        train: Training rows of stage 0.
        english: English validation rows.
        logits: The model's on them ``[examples, num_classes]``.
        pretrained: Parameters before training.
        config: The trial.

    Returns:
        Columns ``measure.*``.
    """
    rows, traced = (list(first_rows(model, split, config.measure.trace_examples)) for split in (train, english))
    trained = FineTuned(model, rows, logits, pretrained, traced)
    return {f"measure.{name}": RIVALS[name](trained) for name in RIVALS.known() if name in config.measure.rivals}


def twins(
    model: PreTrainedModel,
    train: Examples,
    english: Examples,
    logits: torch.Tensor,
    pretrained: State,
    config: TrialConfig,
    dtype: torch.dtype = torch.float32,
) -> dict[str, float]:
    """Tr(F) and the same rivals on each rescaled twin of the model, on the same rows, and how far its logits moved.

    Args:
        model: The fine-tuned model; its parameters are afterwards what they were.
        train: Training rows of stage 0.
        english: English validation rows.
        logits: The model's on them ``[examples, num_classes]``.
        pretrained: Parameters before training.
        config: The trial.
        dtype: What the logits were predicted in.

    Returns:
        Columns ``twin.K.*``, for queries times two to the K.
    """
    values: dict[str, float] = {}
    for exponent in config.measure.twins:
        with twin(model, exponent):
            now = predict(model, english, dtype=dtype)
            rows = first_rows(model, english, config.measure.trace_examples)
            found = {
                "logit_change": logit_change(logits, now),
                "fisher_trace": fisher_trace(model, rows, **config.measure.trace_options()).value,
            }
            for name, value in rivals(model, train, english, now, pretrained, config).items():
                found[name.removeprefix("measure.")] = value
        values |= {f"twin.{exponent}.{name}": value for name, value in found.items()}
    return values
