"""Our training loop against transformers' Trainer: the same losses, and the throughput as a ratio.

    python -m benchmarks.training [--models "mini;small"] [--rounds 5] [--steps 20]

Both use the same model, examples, order and schedule: AdamW with epsilon 1e-8 and no weight decay, linear decay without
warm-up, gradient norm clipped to 1, batches of 32, dropout off, eager attention, one thread. The examples are the
bundled inference task's; Trainer pads each batch to its longest example with its own collator. Our loop is timed as it
is (on a CPU it splits a batch into parts of similar length) and with whole batches. The ways take turns, by rounds;
each ratio is taken within a round, and the table gives the median over rounds and the range. Time is process CPU time.

The losses of all steps must agree to 1e-4, else the exit code is 1. AdamW hides a factor on all gradients, so wrong
clipping changes a loss by only some 1e-6: tests/test_benchmark_training.py requires closer agreement of whole batches.
A run of all models writes benchmarks/results/training.md and .json.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from tokenizers import Tokenizer
from torch.utils.data import Sampler, SequentialSampler
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from trainables.assets import Assets
from trainables.config import DataConfig, DropoutConfig, ModelConfig, OptimizerConfig, StageConfig, TrialConfig
from trainables.examples import Examples
from trainables.models.build import build_model
from trainables.models.files import ModelFiles
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder
from trainables.training import micro_batch, stage
from trainables.training.gradient import StageGradient

RESULTS = Path(__file__).parent / "results"
BATCH = 32
TOLERANCE = 1e-4
BAR = 1.0
SMALL = {"num_hidden_layers": 4, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024}
LEARNING_RATES = {"mini": 1e-3, "small": 1e-4}
WAYS = ("Trainer", "ours", "ours, whole batches")


@dataclass(frozen=True)
class Run:
    """One training run."""

    losses: list[float]
    seconds: float


class Bench:
    """A model and its examples, to be trained in each way from the same weights."""

    def __init__(self, name: str, steps: int) -> None:
        off = DropoutConfig(hidden=0.0, attention=0.0, classifier=0.0)
        self.config = TrialConfig(
            model=ModelConfig(name="mini", dropout=off),
            data=DataConfig(
                name="inference", source="bundled", train_examples=steps * BATCH, languages=("de",), max_length=96
            ),
            stages=(
                StageConfig(),
                StageConfig(epochs=1, batch_size=BATCH, optimizer=OptimizerConfig(learning_rate=LEARNING_RATES[name])),
            ),
        )
        assets = Assets.resolve([self.config])
        files, data = assets.model(self.config), assets.rows(self.config)
        model = build_model(files, self.config.model, len(data.labels), Streams(0))
        if name == "small":
            model = random_bert(vocab_size=model.config.vocab_size, num_labels=len(data.labels), **SMALL)
        self.model: PreTrainedModel = model
        self.examples = Examples(data.train, Encoder(files.tokenizer, self.config.data.max_length))
        self.collator = trainer_collator(files)
        self.ways: dict[str, Callable[[], Run]] = {
            "Trainer": self.trainer,
            "ours": self.ours,
            "ours, whole batches": self.ours_whole,
        }

    def ours(self) -> Run:
        """The second stage's loop, which evaluates nothing during training."""
        model = copy.deepcopy(self.model)
        losses: list[float] = []
        accumulate = StageGradient.accumulate

        def recorded(*args: Any, **rule: bool) -> dict[str, float]:
            parts = accumulate(*args, **rule)
            losses.append(parts["train_loss"])
            return parts

        settings = self.config.stages[1]
        with mock.patch.object(StageGradient, "accumulate", recorded):
            start = time.process_time()
            stage.train_stage(model, self.examples, self.examples, settings, Streams(0), 1, "en", lambda point: None)
            return Run(losses, time.process_time() - start)

    def ours_whole(self) -> Run:
        """The same loop with whole batches."""

        def whole(lengths: list[int], width: int) -> list[list[int]]:
            return [list(range(len(lengths)))]

        with mock.patch.object(micro_batch, "length_chunks", whole):
            return self.ours()

    def trainer(self) -> Run:
        """Trainer on the same examples in our order."""
        order = torch.randperm(len(self.examples), generator=Streams(0).generator("order", "1.en", 1)).tolist()
        rows = trainer_rows(self.examples)
        settings = self.config.stages[1]
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                num_train_epochs=settings.epochs,
                per_device_train_batch_size=settings.batch_size,
                learning_rate=settings.optimizer.learning_rate,
                lr_scheduler_type="linear",
                optim="adamw_torch_fused",
                adam_epsilon=settings.optimizer.epsilon,
                weight_decay=0.0,
                max_grad_norm=1.0,
                use_cpu=True,
                dataloader_pin_memory=False,
                logging_strategy="no",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
            )
            trainer = InOrder(
                copy.deepcopy(self.model),
                arguments,
                data_collator=self.collator,
                train_dataset=[rows[i] for i in order],
            )
            trainer.remove_callback(PrinterCallback)
            start = time.process_time()
            trainer.train()
            return Run(trainer.losses, time.process_time() - start)


def random_bert(**shape: int) -> PreTrainedModel:
    """A BERT with random weights, without dropout."""
    torch.manual_seed(0)
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForSequenceClassification(BertConfig(attn_implementation="eager", **rates, **shape))


def trainer_rows(examples: Examples) -> list[dict[str, Any]]:
    """Encoded rows in the form that Trainer takes."""
    return [
        {
            "input_ids": encoded.ids,
            "token_type_ids": encoded.types,
            "attention_mask": [1] * len(encoded),
            "labels": label,
        }
        for encoded, label in zip(examples.encoded, examples.labels.tolist(), strict=True)
    ]


def trainer_collator(files: ModelFiles) -> DataCollatorWithPadding:
    """Trainer's own padding of a batch to its longest row."""
    backend = Tokenizer.from_str(files.tokenizer.backend)
    pad_token = backend.id_to_token(files.tokenizer.pad_id)
    return DataCollatorWithPadding(PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=pad_token))


class InOrder(Trainer):
    """A Trainer that takes the rows in their given order and keeps the loss of each step."""

    losses: list[float]

    def _get_train_sampler(self, *args: Any) -> Sampler[int]:
        self.losses = []
        return SequentialSampler(self.train_dataset)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Take Trainer's own step, and keep its loss."""
        loss = super().training_step(*args, **kwargs)
        self.losses.append(loss.item())
        return loss


def compare(bench: Bench, rounds: int) -> dict[str, dict[str, Any]]:
    """Losses and throughput of each way, taking turns."""
    runs: dict[str, list[Run]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name in WAYS:
            runs[name].append(bench.ways[name]())
    reference = runs["Trainer"][0].losses
    results = {}
    for name, found in runs.items():
        ratios = [theirs.seconds / one.seconds for one, theirs in zip(found, runs["Trainer"], strict=True)]
        results[name] = {
            "examples_per_second": len(bench.examples) / statistics.median(run.seconds for run in found),
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
            "worst_loss": max(abs(a - b) for run in found for a, b in zip(run.losses, reference, strict=True)),
            "losses": found[0].losses,
        }
    return results


def bars(results: dict[str, dict[str, dict[str, Any]]]) -> tuple[list[str], bool]:
    """One line for each bar, and whether all losses agree."""
    lines, agree = [], True
    for model, ways in results.items():
        worst = max(row["worst_loss"] for row in ways.values())
        steps = len(ways["ours"]["losses"])
        agree &= worst <= TOLERANCE
        verdict = "met" if worst <= TOLERANCE else "NOT MET"
        lines.append(
            f"- {model}, largest difference of {steps} losses: {worst:.0e}, at most {TOLERANCE:.0e}: {verdict}"
        )
        ratio = ways["ours"]["ratio"]
        verdict = "met" if ratio >= BAR else "NOT MET"
        lines.append(f"- {model}, throughput ours / Trainer: {ratio:.2f}, at least {BAR:.2f}: {verdict}")
    return lines, agree


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The results as Markdown."""
    lines = [
        "| model | way | examples/s | ratio to Trainer | range | largest difference of a loss |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for model, ways in results.items():
        for way, row in ways.items():
            low, high = row["ratio_range"]
            speed = f"{row['examples_per_second']:.1f} | {row['ratio']:.2f} | {low:.2f} to {high:.2f}"
            lines.append(f"| {model} | {way} | {speed} | {row['worst_loss']:.0e} |")
    return "\n".join(lines)


def main() -> None:
    """Train, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=";".join(LEARNING_RATES), help="names separated by ; (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for name in options.models.split(";"):
        print(f"{name} ...", flush=True)
        results[name] = compare(Bench(name, options.steps), options.rounds)
    lines, agree = bars(results)
    versions = {package: importlib.metadata.version(package) for package in ("torch", "transformers", "accelerate")}
    versions |= {"python": platform.python_version(), "machine": platform.machine()}
    text = "\n".join(
        [
            "# Training: our loop against transformers' Trainer",
            "",
            "Written by `python -m benchmarks.training`. One thread, process CPU time, ways by turns, median of "
            f"{options.rounds} rounds of {options.steps} steps of {BATCH} examples of the bundled inference task. Same "
            "weights, order and schedule; dropout off, eager attention. mini: the bundled model; small: 4 layers of "
            "256, random weights.",
            "",
            ", ".join(f"{key} {value}" for key, value in versions.items()),
            "",
            table(results),
            "",
            "### Bars",
            "",
            *lines,
            "",
        ]
    )
    print(text)
    if list(results) == list(LEARNING_RATES):
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "training.md").write_text(text, encoding="utf-8")
        data = {"versions": versions, "rounds": options.rounds, "steps": options.steps, "results": results}
        (RESULTS / "training.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    else:
        print("not written: only some of the models were run")
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
