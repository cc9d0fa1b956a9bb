"""What each kind of work of a trial costs on this machine: one optimiser step, one batch of predictions, one of Tr(F).

Everything goes through the trial's own code, on rows of every length. Slow work is measured with fewer rows than its
batch has; costs are per example.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from trainables.assets import Assets
from trainables.config import ENGLISH, StageConfig, TrialConfig
from trainables.curvature import kl_expansion
from trainables.data.contract import Rows
from trainables.examples import Examples
from trainables.measuring.evaluation import BATCH_SIZE, CURVATURE_BATCH, first_rows
from trainables.models.build import build_model, positions
from trainables.precision import training_dtype
from trainables.rehearsal.timed_work import (
    Run,
    displaced,
    measured_stage,
    optimizer_step,
    predictions,
    rivals,
    timed,
    trace,
)
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder

SAMPLE = 256
"""Number of rows of a split from which its lengths are estimated."""
PATIENCE = 0.5
"""A measurement of several rows that took this many seconds is not repeated with more rows."""


class Stopwatch:
    """Measures each cost once, in the language asked for first; other languages differ by their lengths."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets
        self._costs: dict[str, tuple[float, float]] = {}
        self._lengths: dict[tuple[int, str, int], float] = {}
        self._model: tuple[str, PreTrainedModel] | None = None

    def cost(self, config: TrialConfig, kind: str) -> float:
        """Seconds per unit of a kind of work, named as in ``work``, in a trial that does it."""
        name, _, where = kind.partition(".")
        stage, _, language = where.rpartition(".")
        of_merged = stage == "merged"
        number = int(stage) if stage.isdigit() else 0
        decisive = {
            "train": (config.model.dropout, measured_stage(config.stages[number])),  # no rate acts in evaluation mode
            "rivals": config.measure.rivals,
            "expansion": config.measure.expansion,
        }.get(name)
        model = config.model.model_copy(update={"dropout": None})
        key = f"{name} {of_merged} {model!r} {config.data!r} {decisive!r}"
        data = self._assets.rows(config)
        split = data.validation if name in ("evaluate", "trace", "path", "expansion") else data.stage2
        rows = split.get(language or ENGLISH, data.train)
        if key not in self._costs:
            taken = {
                "build": lambda: self._build(config),
                "encode": lambda: self._encode(config, rows),
                "train": lambda: self._train(config, number, rows),
                "evaluate": lambda: self._by_example(config, rows, BATCH_SIZE, predictions(self._dtype(config))),
                "trace": lambda: self._by_example(config, rows, CURVATURE_BATCH, trace(config, of_merged)),
                "path": lambda: self._by_example(config, rows, CURVATURE_BATCH, displaced),
                "rivals": lambda: self._by_example(config, rows, CURVATURE_BATCH, rivals(config)),
                "expansion": lambda: self._expand(config, rows),
            }[name]()
            self._costs[key] = taken, self._pieces(config, rows)
        seconds, pieces = self._costs[key]
        return seconds * self._pieces(config, rows) / pieces

    def _pieces(self, config: TrialConfig, rows: Rows) -> float:
        """Mean length of an example; the cost is nearly linear in it."""
        key = id(rows), config.model.name, config.data.max_length
        if key not in self._lengths:
            encoded = self._examples(config, _first(rows)).encoded
            self._lengths[key] = sum(map(len, encoded)) / len(encoded)
        return self._lengths[key]

    def _classifier(self, config: TrialConfig) -> PreTrainedModel:
        key = f"{config.model!r} {config.data.name}"
        if self._model is None or self._model[0] != key:
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            labels = len(self._assets.rows(config).labels)
            model = build_model(self._assets.model(config), config.model, labels, Streams(config.seed))
            self._model = key, model.to(device)
        return self._model[1]

    def _examples(self, config: TrialConfig, rows: Rows) -> Examples:
        limit = min(config.data.max_length, positions(self._classifier(config)))
        return Examples(rows, Encoder(self._assets.model(config).tokenizer, limit), self._assets.files(config))

    def _dtype(self, config: TrialConfig) -> torch.dtype:
        return training_dtype(
            self._classifier(config).device, config.model.precision, self._assets.model(config).hidden_size
        )

    def _build(self, config: TrialConfig) -> float:
        self._model = None
        return timed(lambda: self._classifier(config))

    def _encode(self, config: TrialConfig, rows: Rows) -> float:
        self._classifier(config)
        some = _first(rows)
        return timed(lambda: self._examples(config, some)) / len(some)

    def _train(self, config: TrialConfig, number: int, rows: Rows) -> float:
        stage = measured_stage(config.stages[number])
        dtype = self._dtype(config)

        def step(settings: StageConfig) -> float:
            return self._by_example(config, rows, stage.batch_size, optimizer_step(settings, dtype), mixed=True)

        fisher = stage.penalties.fisher
        if fisher is None or fisher.every == 1:
            return step(stage)
        acting, silent = fisher.model_copy(update={"every": 1}), None
        costs = [
            step(stage.model_copy(update={"penalties": stage.penalties.model_copy(update={"fisher": penalty})}))
            for penalty in (acting, silent)
        ]
        return (costs[0] + (fisher.every - 1) * costs[1]) / fisher.every

    def _expand(self, config: TrialConfig, rows: Rows) -> float:
        settings = config.measure.expansion
        assert settings is not None
        sigmas = settings.sigmas

        def run(model: PreTrainedModel, examples: Examples) -> float:
            batches = list(first_rows(model, examples, len(examples)))
            return timed(lambda: kl_expansion(model, batches, sigmas, 1, generator=torch.Generator().manual_seed(0)))

        return self._by_example(config, rows, settings.examples, run)

    def _by_example(self, config: TrialConfig, rows: Rows, most: int, run: Run, mixed: bool = False) -> float:
        """Seconds per example, from ever more rows (which also warms up) until all are in or it takes long.

        The time of a whole batch is then read off the line through the last two times, since part of a step does not
        depend on the rows: the optimiser, penalties on parameters. A training batch is mixed and padded, so a few rows
        are taken evenly across the lengths. All other work sorts its rows by length, so rows of about the middle length
        represent its batch.

        Args:
            most: Examples in a whole batch.
            mixed: Whether a batch has examples of all lengths.
        """
        examples = self._examples(config, _first(rows))
        order = sorted(range(len(examples)), key=lambda i: len(examples.encoded[i]))
        most = min(most, len(order))
        size, taken = 0, 0.0
        while size < most and (size <= 1 or taken <= PATIENCE):
            fewer, before = size, taken
            size = min(max(1, 4 * size), most)
            start = (len(order) - size) // 2
            spread = [order[int((i + 0.5) * len(order) / size)] for i in range(size)]
            chosen = spread if mixed else order[start : start + size]
            taken = run(self._classifier(config), self._examples(config, rows.take(chosen)))
        slope = max(0.0, (taken - before) / (size - fewer))
        return (taken + slope * (most - size)) / most


def _first(rows: Rows) -> Rows:
    return rows.take(range(min(SAMPLE, len(rows))))
