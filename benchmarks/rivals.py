"""What the rivals of Tr(F) and the path measures cost, in plain passes over the same rows.

    python -m benchmarks.rivals [--rows 96] [--rounds 3]

A plain pass is a forward and backward pass over all rows, as in training. Times are process CPU time on one thread;
each ratio is taken within a round, and the table gives the median over rounds. The model is a BERT with random weights,
6 layers of 256 and three classes, on batches of 16 rows of 48 pieces, with huge pages, as in trials. The run writes
benchmarks/results/rivals.md; with fewer rows or rounds it only prints.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["THP_MEM_ALLOC_ENABLE"] = "1"  # as in the workers of a sweep

import torch

from benchmarks.curvature import processor
from benchmarks.training import RESULTS, random_bert
from trainables.curvature import fisher_trace
from trainables.curvature.displacement import displacement
from trainables.curvature.rivals import RIVALS, FineTuned

BATCH, LENGTH, ROWS, ROUNDS = 16, 48, 96, 3
SHAPE = {"num_hidden_layers": 6, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024}
CHEAP = ("fisher_rao", "relative_flatness", "normalized_trace", "noise_scale")
BARS = {"these four together": 3.0, "spectrum (three rivals)": 40.0, "path of a language": 2.0}


def measures(rows: int, **shape: int) -> dict[str, Callable[[], Any]]:
    """What is timed, by name; the plain pass comes first."""
    model = random_bert(vocab_size=5_000, num_labels=3, **(shape or SHAPE))
    draw = torch.Generator().manual_seed(0)
    batches = []
    for start in range(0, rows, BATCH):
        ids = torch.randint(5, 5_000, (min(BATCH, rows - start), LENGTH), generator=draw)
        labels = torch.randint(0, 3, (len(ids),), generator=draw)
        batches.append({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels})
    before = {name: value.detach() + 0.01 * torch.randn(value.shape, generator=draw)
              for name, value in model.named_parameters()}  # fmt: skip

    def plain() -> None:
        model.zero_grad()
        for batch in batches:
            model(**batch).loss.backward()

    def fresh() -> FineTuned:
        return FineTuned(model, batches, torch.zeros(rows, 3), before, batches)

    def cheap(name: str) -> Callable[[], Any]:
        if name != "normalized_trace":
            return lambda: RIVALS[name](fresh())
        known = fresh()
        _ = known.trace  # a trial has already measured Tr(F)
        return lambda: RIVALS[name](known)

    return {
        "plain pass": plain,
        "Tr(F)": lambda: fisher_trace(model, batches),
        "Tr(F), by matrix": lambda: fresh().trace,
        **{name: cheap(name) for name in CHEAP},
        "spectrum (three rivals)": lambda: fresh().spectrum,
        # In English and in the stage's language, for which the logits after the stage are already known.
        "path of a language": lambda: [displacement(model, before, batches) for _ in range(2)],
    }


def compare(found: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median ratio of each measure to the plain pass of its round."""

    def seconds(run: Callable[[], Any]) -> float:
        start = time.process_time()
        run()
        return time.process_time() - start

    for run in found.values():
        run()  # warms up; the fast path is verified once
    timed = [{name: seconds(run) for name, run in found.items()} for _ in range(rounds)]
    return {name: statistics.median(row[name] / row["plain pass"] for row in timed) for name in found}


def table(ratios: dict[str, float]) -> list[str]:
    """The ratios and the bars, as Markdown."""
    whole = ratios | {"these four together": sum(ratios[name] for name in CHEAP)}
    lines = ["| what | plain passes | bar |", "| --- | --- | --- |"]
    for name, ratio in whole.items():
        bar = BARS.get(name)
        said = "" if bar is None else f"{bar:g}: {'met' if ratio <= bar else 'NOT MET'}"
        lines.append(f"| {name} | {ratio:.2f} | {said} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Time, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    lines = table(compare(measures(options.rows), options.rounds))
    versions = {package: importlib.metadata.version(package) for package in ("torch", "transformers")}
    versions |= {"python": platform.python_version(), "machine": platform.machine(), "processor": processor()}
    head = (
        f"Written by `python -m benchmarks.rivals`: {options.rows} rows, median of {options.rounds} rounds, "
        f"load average before it {load:.1f}."
    )
    words = ", ".join(f"{key} {value}" for key, value in versions.items())
    text = "\n".join(["# The cost of the rivals of Tr(F)", "", head, "", words, "", *lines, ""])
    print(text)
    if (options.rows, options.rounds) == (ROWS, ROUNDS):
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "rivals.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
