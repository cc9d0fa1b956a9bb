"""What bfloat16 gains on a CPU: passes, whole training steps and evaluation, each against float32.

    python -m benchmarks.precision [--shapes "12 x 384;12 x 768"] [--rounds 5] [--steps 3]

It runs a trial's own step, loop and evaluation, on one thread and batches of 16 examples of 48 pieces: passes are the
forward and backward pass of one batch; a training step adds clipping and AdamW, which stay in float32. The two formats
take turns, round by round, and each ratio is taken within a round; the table gives the median over rounds and the
range. Time is process CPU time. Models have random weights, no dropout and eager attention. A CPU without bfloat16
instructions is refused with exit code 2. A run of all shapes writes benchmarks/results/precision.md and .json.

Whether accuracy and Tr(F) stay the same is a separate study, which docs/machines.md describes.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from benchmarks.curvature import processor
from benchmarks.training import RESULTS, random_bert
from trainables.config import ModelConfig, StageConfig
from trainables.data.contract import Rows
from trainables.errors import InputError
from trainables.examples import Examples
from trainables.measuring.evaluation import predict
from trainables.models.files import load_model_files
from trainables.precision import training_dtype
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder
from trainables.training.micro_batch import MicroBatch
from trainables.training.objective import objective
from trainables.training.stage import train_stage

BATCH = 16
LENGTH = 48
VOCABULARY = 20_000
"""As of a multilingual encoder pruned to about twenty languages; AdamW updates all of its rows."""
SHAPES = {
    f"12 x {width}": {
        "num_hidden_layers": 12,
        "hidden_size": width,
        "num_attention_heads": 12,
        "intermediate_size": 4 * width,
    }
    for width in (384, 768)
}
FORMATS = (torch.float32, torch.bfloat16)
BAR = ("training step", 1.6)


class Bench:
    """A model and its examples; each measurement returns seconds in a given number format."""

    def __init__(self, shape: dict[str, int], steps: int) -> None:
        self.model = random_bert(vocab_size=VOCABULARY, num_labels=3, **shape)
        training_dtype(self.model.device, "bfloat16", shape["hidden_size"])
        encoder = Encoder(load_model_files(ModelConfig(name="mini")).tokenizer, LENGTH)
        count = (steps + 1) * BATCH
        words = [" ".join(chr(ord("a") + (i + j) % 26) for j in range(LENGTH)) for i in range(count)]
        self.examples = Examples(Rows(words, None, [i % 3 for i in range(count)]), encoder)
        assert {len(example) for example in self.examples.encoded} == {LENGTH}
        self.stage = StageConfig(epochs=1, batch_size=BATCH)
        self.measures: dict[str, Callable[[torch.dtype], float]] = {
            "forward and backward": self.passes,
            "training step": self.train,
            "evaluation": self.evaluate,
        }

    def loss(self, dtype: torch.dtype) -> torch.Tensor:
        """The objective on the first batch."""
        step = MicroBatch(
            self.model, self.examples, list(range(BATCH)), self.stage.terms, Streams(0), "0.en", 0, 0, dtype
        )
        return objective(step, self.stage).total

    def passes(self, dtype: torch.dtype) -> float:
        """The forward and backward pass of one batch."""
        self.model.zero_grad()
        start = time.process_time()
        self.loss(dtype).backward()  # type: ignore[no-untyped-call]
        return time.process_time() - start

    def train(self, dtype: torch.dtype) -> float:
        """A training step: the mean over all but the first, which creates the optimiser's state."""
        ends: list[float] = []

        def on_step(step: int) -> None:
            ends.append(time.process_time())

        rows = self.examples
        train_stage(self.model, rows, rows, self.stage, Streams(0), 1, "en", lambda point: None, on_step, dtype)
        return (ends[-1] - ends[0]) / (len(ends) - 1)

    def evaluate(self, dtype: torch.dtype) -> float:
        """Predictions for all examples."""
        start = time.process_time()
        predict(self.model, self.examples, BATCH, dtype)
        return time.process_time() - start


def compare(bench: Bench, rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds and ratio of each measurement, the formats taking turns; the difference of the loss of one batch."""
    wide, narrow = (bench.loss(dtype).item() for dtype in FORMATS)
    results = {}
    for name, measure in bench.measures.items():
        for dtype in FORMATS:
            measure(dtype)  # warms up
        pairs = [tuple(measure(dtype) for dtype in FORMATS) for _ in range(rounds)]
        ratios = [slow / fast for slow, fast in pairs]
        results[name] = {
            "seconds": [statistics.median(column) for column in zip(*pairs, strict=True)],
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
            "loss_difference": abs(narrow - wide),
        }
    return results


def table(results: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """The results as Markdown, with the bar of each shape."""
    lines = [
        "| layers x width | what | float32, s | bfloat16, s | float32 / bfloat16 | range | difference of the loss |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for shape, measures in results.items():
        for name, row in measures.items():
            (slow, fast), (low, high) = row["seconds"], row["ratio_range"]
            ratio = f"{row['ratio']:.2f} | {low:.2f} to {high:.2f}"
            lines.append(f"| {shape} | {name} | {slow:.3f} | {fast:.3f} | {ratio} | {row['loss_difference']:.0e} |")
    lines += ["", "### Bars", ""]
    name, least = BAR
    for shape, measures in results.items():
        ratio = measures[name]["ratio"]
        verdict = "met" if ratio >= least else "NOT MET"
        lines.append(f"- {shape}, {name}, float32 / bfloat16: {ratio:.2f}, at least {least:.2f}: {verdict}")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=";".join(SHAPES), help="names separated by ; (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="training steps that are timed at a time")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for name in options.shapes.split(";"):
        print(f"{name} ...", flush=True)
        try:
            results[name] = compare(Bench(SHAPES[name], options.steps), options.rounds)
        except InputError as error:
            print(f"benchmarks.precision: {error}", file=sys.stderr)
            sys.exit(2)
    versions = {package: importlib.metadata.version(package) for package in ("torch", "transformers")}
    versions |= {"python": platform.python_version(), "machine": platform.machine(), "processor": processor()}
    text = "\n".join(
        [
            "# bfloat16 on a CPU: time of float32 over time of bfloat16",
            "",
            "Written by `python -m benchmarks.precision`. One thread, process CPU time, formats by turns, median of "
            f"{options.rounds} rounds. BERT with random weights and {VOCABULARY:,} pieces, batches of {BATCH} examples "
            f"of {LENGTH} pieces, no dropout, eager attention.",
            "",
            ", ".join(f"{key} {value}" for key, value in versions.items()),
            "",
            *table(results),
            "",
        ]
    )
    print(text)
    if list(results) != list(SHAPES):
        print("not written: only some of the shapes were run")
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "precision.md").write_text(text, encoding="utf-8")
    data = {"versions": versions, "rounds": options.rounds, "steps": options.steps, "results": results}
    (RESULTS / "precision.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
