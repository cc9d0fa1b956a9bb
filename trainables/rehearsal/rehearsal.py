"""Everything that trials will require of a model, done once on two short rows before any trial starts.

What fails here would fail in every trial of its kind, perhaps hours later. Each way of training or measuring is tried
once, whatever the numbers: six weights of a penalty count as one way. Nothing is learned, and the random generators are
left as they were.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from trainables.assets import Assets
from trainables.config import ENGLISH, OptimizerConfig, StageConfig, TrialConfig
from trainables.curvature import SlowPathWarning, fisher_trace, kl_expansion, require_second_derivatives
from trainables.curvature.displacement import displacement
from trainables.curvature.rivals import RIVALS, FineTuned
from trainables.curvature.twins import logit_change, twin
from trainables.data.contract import Rows
from trainables.errors import Diverged, InputError
from trainables.examples import Examples, to_device
from trainables.measuring.evaluation import first_rows, predict
from trainables.measuring.measurements import SAME_FUNCTION
from trainables.models.build import positions, quiet
from trainables.models.lora import merged
from trainables.models.settings import first_line
from trainables.models.tables import check_inputs, fits
from trainables.precision import training_dtype
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder, missing_unknown
from trainables.training.gradient import StageGradient

LOOKED_AT = 64
"""Number of rows among which the two shortest are found."""
LONGEST = 24
"""Number of pieces at which they are cut."""
SAME_LOGITS = 1e-3
"""What padding may change, relative to the largest logit, as those of a new head are small; rounding changes less."""
RULES = {"sam_rho", "tram_sigma"}
"""Optimiser settings that change how a step gets its gradient."""
NOT_TRIED: Any = dict.fromkeys(("epochs", "until", "batch_size", "accumulation", "clip", "runs", "selection"), True) | {
    "optimizer": set(OptimizerConfig.model_fields) - RULES
}
"""Stage settings that do not affect the gradient of a step."""


class Rehearsal:
    """Tries each way of training and measuring once; ``notes`` are what a person should read about the models."""

    def __init__(self, assets: Assets) -> None:
        self.notes: list[str] = []
        self._assets = assets
        self._done: set[str] = set()

    def of(self, config: TrialConfig, model: PreTrainedModel) -> None:
        """Try what a trial will do, unless a trial like it was tried.

        Args:
            model: The trial's; it is left in evaluation mode, without gradients, with its weights as they were.

        Raises:
            InputError: Something cannot be done; the message names the model, the term and the cause.
        """
        data = self._assets.rows(config)
        dtype = training_dtype(model.device, config.model.precision, self._assets.model(config).hidden_size)
        model_and_data = f"{config.model.model_copy(update={'dropout': None})!r} {config.data!r}"
        dropout = _way(config.model.dropout.model_dump())
        if self._first(f"tables {model_and_data}"):
            self._tables(config, model)
        seconds = [(f"1.{language}", rows) for language, rows in data.stage2.items()][:1]
        # First try without any term: if that fails, no term is to blame.
        stages = [(StageConfig(), f"0.{ENGLISH}", data.train), (config.stages[0], f"0.{ENGLISH}", data.train)]
        stages += [(config.stages[1], where, rows) for where, rows in seconds]
        for stage, where, rows in stages:
            terms = stage.model_dump(mode="json", exclude=NOT_TRIED)
            if self._first(f"stage {where} {model_and_data} {dropout} {json.dumps(_way(terms))}"):
                with _said(model, config, f"a training step{_terms(stage)}"):
                    _step(model, self._examples(config, model, rows), stage, config.seed, where, dtype)
        if self._first(f"measure {model_and_data} {json.dumps(_way(config.measure.model_dump(mode='json')))}"):
            self._measure(config, model, dtype)
        if self._first(f"padding {model_and_data}"):
            with _said(model, config, "a prediction"):
                self._padding(config, model)

    def _first(self, way: str) -> bool:
        new = way not in self._done
        self._done.add(way)
        return new

    def _examples(self, config: TrialConfig, model: PreTrainedModel, rows: Rows) -> Examples:
        """Two short rows."""
        encoder = Encoder(self._assets.model(config).tokenizer, min(config.data.max_length, positions(model), LONGEST))
        some = rows.take(range(min(LOOKED_AT, len(rows))))
        encoded = encoder.encode(some)
        shortest = sorted(range(len(some)), key=lambda i: len(encoded[i]))[:2]
        return Examples(some.take(shortest), encoder, self._assets.files(config))

    def _tables(self, config: TrialConfig, model: PreTrainedModel) -> None:
        """Check that the model can look up the encoded rows; one row suffices unless the vocabulary is too large."""
        data, tokenizer = self._assets.rows(config), self._assets.model(config).tokenizer
        encoder = Encoder(tokenizer, min(config.data.max_length, positions(model)))
        whole = not fits(model, tokenizer) or missing_unknown(tokenizer.backend) is not None
        with _said(model, config, "encoding the rows"):
            for rows in (data.train, *data.validation.values(), *data.stage2.values()):
                if len(rows):
                    check_inputs(model, tokenizer, encoder.encode(rows if whole else rows.take([0])), config.model.name)

    def _padding(self, config: TrialConfig, model: PreTrainedModel) -> None:
        """Note a prediction that depends on the padding that a longer row causes."""
        encoder = Encoder(self._assets.model(config).tokenizer, min(config.data.max_length, positions(model), LONGEST))
        rows = self._assets.rows(config).train
        longer = max(encoder.encode(rows.take(range(min(LOOKED_AT, len(rows))))), key=len)
        # Half of a row, since all rows may be of one length.
        first, *second = (text[: (len(text) + 1) // 2] for text in rows.take([0]).examples()[0])
        (shorter,) = encoder.encode(Rows([first], second or None, [0]))
        with torch.no_grad():
            alone, beside = (
                model(**to_device(encoder.batch(batch), model.device)).logits[0]
                for batch in ([shorter], [shorter, longer])
            )
        change, largest = (float(logits.abs().max()) for logits in (alone - beside, alone))
        if change > SAME_LOGITS * largest:
            self.notes.append(
                f"model {config.model.name}: a row's prediction depends on the padding beside it (by {change:.2g} in a "
                f"logit, of which the largest is {largest:.2g})"
            )

    def _measure(self, config: TrialConfig, model: PreTrainedModel, dtype: torch.dtype) -> None:
        data, measure = self._assets.rows(config), config.measure
        examples = self._examples(config, model, data.train)
        two = list(first_rows(model, examples, len(examples)))
        with _said(model, config, "a prediction"):
            logits = predict(model, examples, dtype=dtype)
        with _said(model, config, "Tr(F)"):
            estimate = fisher_trace(model, two, **measure.trace_options())
        if note := estimate.unused_draws(measure.estimator_draws, "measure.estimator"):
            self.notes.append(note)
        if config.model.lora is not None:
            with _said(model, config, "Tr(F) of the merged weights"):
                fisher_trace(merged(model), two, **measure.trace_options())
        start = {name: parameter.detach() for name, parameter in model.named_parameters()}
        trained = FineTuned(model, two, logits, start, two)
        for name in measure.rivals:
            with _said(model, config, f"measure.rivals={name}"):
                RIVALS[name](trained)
        for exponent in measure.twins:
            with _said(model, config, f"the twin {exponent} of measure.twins"):
                with twin(model, exponent):
                    change = logit_change(logits, predict(model, examples, dtype=dtype))
                if not change <= SAME_FUNCTION:
                    raise InputError(
                        f"its logits move by {change:.2g} of the largest, so that the twin is another function: "
                        "set measure.twins="
                    )
        if (expansion := measure.expansion) is not None:
            with _said(model, config, "measure.expansion"):
                one = first_rows(model, examples, 1)
                kl_expansion(model, one, expansion.sigmas[:1], 1, generator=torch.Generator().manual_seed(0))
        if measure.path:
            with _said(model, config, "measure.path"):
                displacement(model, start, two)


def _step(
    model: PreTrainedModel, examples: Examples, stage: StageConfig, seed: int, where: str, dtype: torch.dtype
) -> None:
    """Forward and backward passes of one step, with all terms of the loss and the step rule's ascent."""
    stage = stage.model_copy(update={"batch_size": len(examples), "accumulation": 1})
    if stage.penalties.fisher is not None:
        require_second_derivatives(model)
    start = {name: parameter.detach() for name, parameter in model.named_parameters()}
    gradient = StageGradient(model, examples, stage, Streams(seed), where, dtype, start)
    gradient.of_step(list(range(len(examples))), 0)


def _way(value: Any) -> Any:
    """A configuration with its numbers replaced, except 0, which switches things off."""
    if isinstance(value, dict):
        return {key: _way(part) for key, part in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(_way(part)) for part in value})
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bool(value)
    return value


def _terms(stage: StageConfig) -> str:
    found = [] if stage.noise is None else [f"noise={stage.noise.resolved().kind}"]
    if stage.consistency is not None:
        loss = stage.consistency.resolved()
        found.append(f"consistency ({loss.divergence}, view {loss.view.kind})")
    found += [f"penalties.{name}" for name, value in stage.penalties if value is not None]
    found += [f"optimizer.{name}" for name in sorted(RULES) if getattr(stage.optimizer, name)]
    return f" with {', '.join(found)}" if found else ""


@contextmanager
def _said(model: PreTrainedModel, config: TrialConfig, what: str) -> Iterator[None]:
    """Turn whatever fails inside into one line."""
    name = config.model.name
    try:
        with quiet(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", SlowPathWarning)  # reported elsewhere
            yield
    except Diverged:
        pass  # an outcome of a trial, which is recorded as such
    except MemoryError:
        raise
    except InputError as error:
        text = str(error)
        raise InputError(text if name in text else f"model {name}: {what} cannot be done: {text}") from None
    except Exception as error:
        raise InputError(
            f"model {name}: {what} was tried on two rows before the study and failed: {first_line(error)}"
        ) from None
    finally:
        model.eval()
        model.zero_grad(set_to_none=True)
