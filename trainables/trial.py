"""One trial: fine-tune on English, measure, then fine-tune on each target language. It reads like a method section."""

from __future__ import annotations

import math
from collections import Counter

import torch
from transformers import PreTrainedModel

from trainables.assets import Assets
from trainables.config import ENGLISH, TrialConfig
from trainables.curvature.rivals import FineTuned
from trainables.curvature.rivals.norms import l2_norm
from trainables.data.draw import Halves, draw_halves
from trainables.errors import Diverged
from trainables.examples import Examples
from trainables.measuring.evaluation import evaluate, first_rows, halves_right, predict, score
from trainables.measuring.flatness import rivals, traces, twins
from trainables.measuring.held_out import HeldOut
from trainables.measuring.measurements import CurvePoint, Measurements
from trainables.measuring.predictions import PredictionFile
from trainables.measuring.stage_path import StagePath
from trainables.measuring.trajectory import Report, Trajectory
from trainables.models.build import build_model, positions
from trainables.models.saved import ModelSaver
from trainables.precision import training_dtype
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder
from trainables.training.checkpoint import StageState, Standing, TrialCheckpoint
from trainables.training.kept_weights import State, weights_of
from trainables.training.stage import StageResult, train_stage


def fine_tune(
    config: TrialConfig,
    assets: Assets,
    report: Report,
    checkpoint: TrialCheckpoint | None = None,
    saver: ModelSaver | None = None,
    predictions: PredictionFile | None = None,
) -> Measurements:
    """Run one trial, or the rest of it.

    Args:
        report: Receives every curve point as it is measured, after those in a checkpoint.
        checkpoint: Provides the trial's state, and saves it after epochs and stages; None saves nothing.
        saver: Saves the classifiers; None saves none.
        predictions: Keeps the predictions; None keeps none.

    Returns:
        All measurements; what does not apply is absent.

    Raises:
        Diverged: A loss, gradient or measurement is not finite.
    """
    data = assets.rows(config)
    streams = Streams(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(assets.model(config), config.model, len(data.labels), streams).to(device)
    dtype = training_dtype(device, config.model.precision, assets.model(config).hidden_size)
    encoder = Encoder(assets.model(config).tokenizer, min(config.data.max_length, positions(model)))
    train = Examples(data.train, encoder, assets.files(config))
    validation = {language: Examples(rows, encoder) for language, rows in data.validation.items()}

    halves = {
        language: draw_halves(data.validation[ENGLISH if data.parallel else language].first, config.data.seed)
        for language in data.stage2
    }
    held_out = HeldOut(data, encoder, validation, predictions, dtype)

    standing = Standing() if checkpoint is None else checkpoint.load(device)
    for point in standing.curves:
        report(point)
    if predictions is not None and standing.english is not None:
        predictions.go_on(standing.finished)

    def record(point: CurvePoint) -> None:
        standing.curves.append(point)
        report(point)

    def keep(stage: StageState | None) -> None:
        standing.stage = stage
        if checkpoint is not None:
            checkpoint.save(standing)

    def save(name: str) -> None:
        if saver is not None:
            saver.save(name, model, assets.model(config).tokenizer, data.labels)

    on_epoch = None if checkpoint is None else keep
    if standing.english is None:
        pretrained = weights_of(model)
        trajectory = Trajectory(model, validation[ENGLISH], config, streams, len(train), record, standing.curves)
        if standing.stage is None:
            trajectory.measure(0)
        first = train_stage(
            model, train, validation[ENGLISH], config.stages[0], streams, 0, ENGLISH, record,
            on_step=trajectory.measure, dtype=dtype, resume=standing.stage, on_epoch=on_epoch,
            accuracy_every=config.measure.accuracy_every,
        )  # fmt: skip
        standing.values |= _after_first_stage(model, train, validation, halves, config, first, pretrained, dtype)
        standing.values |= trajectory.finish(first.steps, standing.values)
        standing.values |= held_out.after_first_stage(model)
        standing.steps += first.steps
        standing.english = weights_of(model)
        save("stage1")
        keep(None)
    english: torch.Tensor | None = None  # logits of the English model, the same for every language
    for language, rows in data.stage2.items():
        if language in standing.finished:
            continue
        model.load_state_dict(standing.english)
        if config.measure.path and english is None:
            english = predict(model, validation[ENGLISH], config.measure.trace_examples)
        target = Examples(rows, encoder, assets.files(config))
        path = StagePath(model, standing.english, english, validation, language, len(target), config, record)
        second = train_stage(
            model, target, validation[ENGLISH], config.stages[1], streams, 1, language, record,
            on_step=path.measure, dtype=dtype, resume=standing.stage, on_epoch=on_epoch,
        )  # fmt: skip
        standing.values |= _after_second_stage(
            model, language, validation, halves[language], standing.values, standing.english, dtype
        )
        standing.values |= path.finish(standing.values["fisher_trace"])
        standing.values |= held_out.after_second_stage(model, language)
        standing.steps += second.steps
        standing.finished.append(language)
        save(f"stage2-{language}")
        keep(None)
    for name, value in standing.values.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value}")
    return Measurements(standing.values, standing.curves, standing.steps)


def _after_first_stage(
    model: PreTrainedModel,
    train: Examples,
    validation: dict[str, Examples],
    halves: dict[str, Halves],
    config: TrialConfig,
    stage: StageResult,
    pretrained: State,
    dtype: torch.dtype,
) -> dict[str, float]:
    """Everything that is measured at the end of stage 0."""
    on_train = evaluate(model, train, dtype=dtype)
    logits = {language: predict(model, examples, dtype=dtype) for language, examples in validation.items()}
    scores = {language: score(logits[language], examples.labels) for language, examples in validation.items()}
    majority = Counter(train.rows.labels).most_common(1)[0][1]
    values = {
        "train_accuracy": on_train.accuracy,
        "train_nll": on_train.nll,
        "train_majority_share": majority / len(train),
        "train_examples": len(train),
        "validation_examples": len(validation[ENGLISH]),
    }
    if stage.train_nll is not None:
        values |= {"until.train_nll": stage.train_nll, "until.steps": stage.steps}
    for language, found in scores.items():
        values |= {f"accuracy.{language}": found.accuracy, f"nll.{language}": found.nll, f"ece.{language}": found.ece}
    for language, both in halves.items():
        for name, right in halves_right(logits[language], validation[language].labels, both).items():
            values[f"stage2.{language}.{name}.accuracy_before"] = right
    if len(untraced := logits[ENGLISH][config.measure.trace_examples :]):
        labels = validation[ENGLISH].labels[config.measure.trace_examples :]
        values["accuracy_untraced"] = score(untraced, labels).accuracy
    values["generalization_gap"] = on_train.accuracy - scores[ENGLISH].accuracy
    targets = [found.accuracy for language, found in scores.items() if language != ENGLISH]
    if targets:
        values["transfer_gap"] = scores[ENGLISH].accuracy - sum(targets) / len(targets)
    rows, traced = (list(first_rows(model, s, config.measure.trace_examples)) for s in (train, validation[ENGLISH]))
    trained = FineTuned(model, rows, logits[ENGLISH], pretrained, traced, config.measure.trace_options())
    values |= traces(trained, train, validation, config)
    values |= rivals(trained, config)
    values |= twins(trained, validation[ENGLISH], config, dtype)
    values |= stage.penalties
    if (fisher := config.stages[0].penalties.fisher) is not None:
        values["weight_in_trace_units"] = fisher.weight / config.stages[0].batch_size
    return values


def _after_second_stage(
    model: PreTrainedModel,
    language: str,
    validation: dict[str, Examples],
    halves: Halves,
    values: dict[str, float],
    english_state: State,
    dtype: torch.dtype,
) -> dict[str, float]:
    """Everything that is measured at the end of stage 1 in one language."""
    logits, labels = predict(model, validation[language], dtype=dtype), validation[language].labels
    found = score(logits, labels)
    before = values[f"accuracy.{language}"]
    gains = {
        f"stage2.{language}.{name}.gain": right - values[f"stage2.{language}.{name}.accuracy_before"]
        for name, right in halves_right(logits, labels, halves).items()
    }
    moved = [parameter.detach() - english_state[name] for name, parameter in model.named_parameters()]
    return {
        f"stage2.{language}.accuracy_before": before,
        f"stage2.{language}.accuracy_after": found.accuracy,
        f"stage2.{language}.gain": found.accuracy - before,
        f"stage2.{language}.nll_before": values[f"nll.{language}"],
        f"stage2.{language}.nll_after": found.nll,
        f"stage2.{language}.distance": l2_norm(moved),
        f"stage2.{language}.accuracy_en_after": evaluate(model, validation[ENGLISH], dtype=dtype).accuracy,
        **gains,
    }
