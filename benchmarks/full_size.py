"""Does a full-size mBERT train in every arm on an ordinary machine? Two optimiser steps and Tr(F), seconds and memory.

    python -m benchmarks.full_size [--arms "baseline;fpen"]

The model has mBERT's shape (12 layers of 768, 119,547 word pieces, 178 million parameters) and random weights. A batch
has 4 examples of 64 pieces, made of the bundled inference task's sentences in the bundled model's vocabulary. Steps go
through the stage's own loop; then Tr(F) is measured on 8 examples. Each arm runs in its own process, whose peak is its
largest resident size ever (VmHWM, Linux), including libraries. It uses one thread and measures wall seconds. A trial
keeps two more copies of the weights, 0.7 GiB each: the pretrained ones and, with a second stage, those after the first.

The exit code is 1 when a loss or Tr(F) is not finite or a peak exceeds 8 GiB. A run of all arms writes
benchmarks/results/full_size.md and .json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from transformers import BertConfig, BertForSequenceClassification

from trainables.assets import Assets
from trainables.config import TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.curvature import fisher_trace
from trainables.data.contract import Rows
from trainables.examples import Examples
from trainables.measuring.evaluation import first_rows
from trainables.measuring.measurements import CurvePoint
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder
from trainables.training.stage import train_stage

RESULTS = Path(__file__).parent / "results"
MBERT_VOCABULARY = 119_547
BATCH, LENGTH, STEPS, TRACED = 4, 64, 2, 8
JOINED = 8  # rows of the task that are joined into one example, which is then cut to LENGTH
LIMIT_MIB = 8 * 1024
ARMS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "kl": {"stages.0.consistency.weight": 0.6},
    "fpen": {"stages.0.penalties.fisher.weight": 0.01},
    "l2": {"stages.0.penalties.l2.weight": 1e-4},
    "dropout": {"model.dropout.hidden": 0.3, "model.dropout.attention": 0.3},
    "weight decay": {"stages.0.optimizer.weight_decay": 0.1},
    "embedding noise": {"stages.0.noise.kind": "embedding_gaussian", "stages.0.noise.strength": 0.1},
}
BASE = {
    "model.name": "mini",
    "data.name": "inference",
    "data.source": "bundled",
    "data.languages": "de",
    "data.train_examples": JOINED * TRACED,
    "data.max_length": LENGTH,
    "stages.0.batch_size": BATCH,
    "stages.0.epochs": STEPS,
}


def measure(arm: str) -> dict[str, Any]:
    """Train and measure one arm in this process."""
    torch.set_num_threads(1)
    config = with_values(TrialConfig(), BASE | ARMS[arm])
    assets = Assets.resolve([config])
    data = assets.rows(config)
    encoder = Encoder(assets.model(config).tokenizer, LENGTH)
    rows = joined(data.train)
    train = Examples(rows.take(range(BATCH)), encoder, assets.files(config))
    traced = Examples(rows, encoder)
    assert {len(example) for example in traced.encoded} == {LENGTH}
    dropout = config.model.dropout
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=MBERT_VOCABULARY,
            num_labels=len(data.labels),
            hidden_dropout_prob=0.1 if dropout.hidden is None else dropout.hidden,
            attention_probs_dropout_prob=0.1 if dropout.attention is None else dropout.attention,
            attn_implementation="eager",
        )
    )
    points: list[CurvePoint] = []
    ends = [time.perf_counter()]
    # An epoch is one batch, so each step reports its loss; in stage 1, nothing is evaluated between steps.
    train_stage(
        model,
        train,
        train,
        config.stages[0],
        Streams(0),
        1,
        "en",
        points.append,
        lambda step: ends.append(time.perf_counter()),
    )
    trained = peak()
    start = time.perf_counter()
    estimate = fisher_trace(model, first_rows(model, traced, TRACED))
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds_a_step": [b - a for a, b in pairwise(ends)],
        "losses": [point.value for point in points if point.name == "train_loss"],
        "fisher_trace": estimate.value,
        "fisher_trace_examples": estimate.num_examples,
        "fisher_trace_path": estimate.path,
        "fisher_trace_seconds": time.perf_counter() - start,
        "peak_after_steps_mib": trained,
        "peak_mib": peak(),
    }


def joined(rows: Rows) -> Rows:
    """Examples made of several rows each, so that they are long enough to be cut."""
    second = rows.second
    assert second is not None
    groups = [range(start, start + JOINED) for start in range(0, len(rows), JOINED)]
    return Rows(
        [" ".join(rows.first[i] for i in group) for group in groups],
        [" ".join(second[i] for i in group) for group in groups],
        [rows.labels[group[0]] for group in groups],
    )


def peak() -> float:
    """The largest resident size of this process so far, MiB."""
    status = Path("/proc/self/status").read_text()
    return next(float(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def problems(results: dict[str, dict[str, Any]]) -> list[str]:
    """What is wrong with the results, one line per problem."""
    lines = []
    for arm, row in results.items():
        values = [*row["losses"], row["fisher_trace"]]
        if len(row["losses"]) != STEPS or not all(math.isfinite(value) for value in values):
            lines.append(f"{arm}: a loss or Tr(F) is missing or not finite: {values}")
        if row["peak_mib"] > LIMIT_MIB:
            lines.append(f"{arm}: the peak of {row['peak_mib']:.0f} MiB exceeds {LIMIT_MIB} MiB")
    return lines


def table(results: dict[str, dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| arm | seconds a step | losses | Tr(F) of 8: seconds | peak MiB, steps | peak MiB, all |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for arm, row in results.items():
        # The second step counts: the first also creates the optimiser's state.
        losses = ", ".join(f"{loss:.3f}" for loss in row["losses"])
        lines.append(
            f"| {arm} | {row['seconds_a_step'][-1]:.1f} | {losses} | {row['fisher_trace_seconds']:.1f} | "
            f"{row['peak_after_steps_mib']:.0f} | {row['peak_mib']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the arms, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", default=";".join(ARMS), help="names separated by ; (default: all)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    results: dict[str, dict[str, Any]] = {}
    for arm in options.arms.split(";"):
        print(f"{arm} ...", flush=True)
        command = [sys.executable, "-m", "benchmarks.full_size", "--measure", arm]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results[arm] = json.loads(done.stdout.splitlines()[-1])
    found = problems(results)
    parameters = next(iter(results.values()))["parameters"]
    text = "\n".join(
        [
            "# Full size: mBERT's shape in every arm",
            "",
            f"Written by `python -m benchmarks.full_size`. {parameters:,} parameters, random weights, batches of "
            f"{BATCH} x {LENGTH} pieces, one thread, wall seconds of the second step; peak resident size of a process "
            "of its own for each arm.",
            "",
            f"torch {torch.__version__}, python {platform.python_version()}, {platform.machine()}",
            "",
            table(results),
            "",
            *(f"- {line}" for line in found or [f"losses and Tr(F) are finite, every peak is within {LIMIT_MIB} MiB"]),
            "",
        ]
    )
    print(text)
    if list(results) == list(ARMS):
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "full_size.md").write_text(text, encoding="utf-8")
        (RESULTS / "full_size.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    else:
        print("not written: only some of the arms were run")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
