"""What regularisers cost: an optimiser step with each preset, penalty and step rule, as a ratio to a plain one.

    python -m benchmarks.regularizers [--cases "mini;real"] [--rounds 5] [--steps 2]

The training loop runs as it is, on one thread: batches of 32, dropout 0.1, AdamW, clipping; on a CPU it splits a batch
into parts of similar length. The methods of a case take turns, round by round, and each ratio is taken within a round;
the table gives the median over rounds and the range. Time is process CPU time. Subword sampling is timed row by row, as
views draw, in words per second: cold, when words are seen for the first time, and warm.

``mini`` is the bundled encoder on the bundled inference task; ``real`` is the encoder in ../shared on the XNLI rows
there. If that is absent, ``real`` is left out, as are the vocabularies there. A run of all available cases writes
benchmarks/results/regularizers.md and .json.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

from trainables.assets import Assets
from trainables.config import DropoutConfig, ModelConfig, PenaltiesConfig, TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.data.registry import find_set
from trainables.data.tsv import read_table, rows_of
from trainables.examples import Examples
from trainables.models.build import build_model
from trainables.models.files import load_model_files
from trainables.regularizers.presets import PRESETS
from trainables.seeding import Streams, row_seed
from trainables.tokenization.encoding import Encoder, TokenizerFiles
from trainables.tokenization.subword_sampling import subword_sampler
from trainables.training.stage import train_stage
from trainables.views.token_views import TokenViews
from trainables.views.view import VIEWS, ViewConfig

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).resolve().parents[2] / "shared"
E5 = SHARED / "models" / "multilingual-e5-small-pruned"
BATCH = 32
WORDS_PER_SECOND = 30_000
SHARE_OF_STEP = 0.05
BARS = {"r_drop": 2.1, "r3f": 2.1, "mvr": 2.1, "smart": 3.0, "sam": 2.1}

Settings = dict[str, Any]


def methods() -> dict[str, Settings]:
    """What each method switches on, by path in the stage, for every existing preset, penalty and step rule."""
    found: dict[str, Settings] = {"plain": {}}
    for preset in PRESETS:
        found[preset] = {"consistency.preset": preset}
    for penalty in PenaltiesConfig.model_fields:
        found[penalty] = {f"penalties.{penalty}.weight": 0.01}
    found |= {
        "sharpen": {"penalties.fisher.weight": -10.0, "penalties.fisher.share": 0.5},
        "sam": {"optimizer.sam_rho": 0.05},
        "tram": {"optimizer.tram_sigma": 0.1},
        "weight decay": {"optimizer.weight_decay": 0.01},
        "label smoothing": {"label_smoothing": 0.1},
    }
    for kind, view in VIEWS.items():
        if view.alone:
            files = {"noise.files": "bundled"} if "files" in view.fields else {}
            strength = {} if view.fields.get("strength") is not None else {"noise.strength": 1e-3}
            found[f"noise: {kind}"] = {"noise.kind": kind, **files, **strength}
    return found


def cases() -> list[str]:
    """The encoders that are available."""
    return ["mini", *(["real"] if E5.is_dir() else [])]


class Bench:
    """An encoder and its examples."""

    def __init__(self, case: str, steps: int) -> None:
        dropout = DropoutConfig(hidden=0.1, attention=0.1)
        self.base = with_values(
            TrialConfig(model=ModelConfig(name="mini" if case == "mini" else str(E5), dropout=dropout)),
            {
                "data.name": "inference" if case == "mini" else "xnli",
                "data.source": "bundled" if case == "mini" else str(SHARED / "data" / "xnli"),
                "data.languages": "de",
                "data.train_examples": steps * BATCH,
                "stages.0.epochs": 1,
                "stages.0.batch_size": BATCH,
            },
        )
        self.configs: dict[str, TrialConfig] = {}
        for name, settings in methods().items():
            if case == "mini" or settings.get("noise.kind") != "translation":  # the real rows have no translation
                self.configs[name] = with_values(
                    self.base, {f"stages.0.{key}": value for key, value in settings.items()}
                )
        assets = Assets.resolve(self.configs.values())
        files, data = assets.model(self.base), assets.rows(self.base)
        self.model = build_model(files, self.base.model, len(data.labels), Streams(0))
        encoder = Encoder(files.tokenizer, self.base.data.max_length)
        self.examples = {name: Examples(data.train, encoder, assets.files(c)) for name, c in self.configs.items()}

    def seconds(self, name: str) -> float:
        """CPU time of an epoch from the same weights, run as stage 1, in which nothing is evaluated."""
        model, examples, stage = copy.deepcopy(self.model), self.examples[name], self.configs[name].stages[0]
        start = time.process_time()
        train_stage(model, examples, examples, stage, Streams(0), 1, "en", lambda point: None)
        return time.process_time() - start

    def sampling(self, name: str = "mvr") -> tuple[float, float]:
        """CPU time to draw all examples' subword views, and the factor on the mean number of pieces per pass."""
        examples = self.examples[name]
        views = TokenViews(ViewConfig(kind="subword"), examples.encoder, examples.rows)
        rows = range(len(examples))
        views.view(rows, 0)
        start = time.process_time()
        drawn = views.view(rows, 1)
        seconds = time.process_time() - start
        clean = sum(len(encoded) for encoded in examples.encoded)
        return seconds, (clean + sum(len(encoded) for encoded in drawn)) / (2 * clean)


def timings(bench: Bench, rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds of each method, taking turns, after an untimed epoch of each that loads libraries and fills caches."""
    seconds: dict[str, list[float]] = {name: [] for name in bench.configs}
    for name in bench.configs:
        bench.seconds(name)
    for _ in range(rounds):
        for name, times in seconds.items():
            times.append(bench.seconds(name))
    sampling, growth = bench.sampling()
    results: dict[str, dict[str, Any]] = {}
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(times, seconds["plain"], strict=True)]
        results[name] = {
            "seconds": statistics.median(times),
            "time": statistics.median(ratios),
            "time_range": [min(ratios), max(ratios)],
        }
    results["plain"] |= {
        "sampling_share": sampling / statistics.median(seconds["plain"]),
        "growth_of_pieces": growth,
    }
    return results


def vocabularies() -> dict[str, TokenizerFiles]:
    """Both kinds of vocabulary if the real ones are available, else only the bundled WordPiece."""
    if not E5.is_dir():
        return {"WordPiece, mini": load_model_files(ModelConfig(name="mini")).tokenizer}
    from transformers import AutoTokenizer, BertTokenizer

    vocabulary = SHARED / "models" / "bert-base-multilingual-cased" / "vocab.txt"
    # The path is passed by position: as a keyword it would be ignored, and every word would become [UNK].
    tokenizers = {
        "WordPiece, mBERT": BertTokenizer(str(vocabulary), do_lower_case=False),
        "Unigram, XLM-R (pruned)": AutoTokenizer.from_pretrained(E5),
    }
    return {
        name: TokenizerFiles(tokenizer.backend_tokenizer.to_str(), tokenizer.pad_token_id, False, ())
        for name, tokenizer in tokenizers.items()
    }


def sampling_speed(files: TokenizerFiles, rounds: int) -> dict[str, float]:
    """Words per second of the sampler, row by row, at the default strength."""
    if E5.is_dir():
        rows = rows_of(read_table(SHARED / "data" / "xnli" / "dev-en.tsv"), find_set("xnli"))
    else:
        task = find_set("inference")
        rows = rows_of(read_table(task.bundled / "train-en.tsv"), task)  # type: ignore[operator]
    encoder = Encoder(files, 128)
    texts = [encoder.words(text) for text in (*rows.first, *(rows.second or []))]
    count = sum(len(words) for words in texts)

    def draw(sample: Callable[[list[str], float, int], Any], seed: int) -> float:
        start = time.process_time()
        for number, words in enumerate(texts):
            sample(words, 0.2, row_seed(seed, number))
        return count / (time.process_time() - start)

    cold = [draw(subword_sampler(files.backend).sample, 0) for _ in range(rounds)]
    sampler = subword_sampler(files.backend)
    warm = [draw(sampler.sample, seed) for seed in range(rounds + 1)][1:]
    return {"words": count, "cold": statistics.median(cold), "warm": statistics.median(warm)}


def table(results: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """The steps as Markdown."""
    lines = []
    for case, found in results.items():
        plain = found["plain"]
        lines += [
            f"### {case}",
            "",
            f"Plain epoch {plain['seconds']:.2f} s; drawing its subword views takes {100 * plain['sampling_share']:.1f}"
            f" % of it, and the two passes of mvr have {plain['growth_of_pieces']:.2f} times the pieces.",
            "",
            "| method | time | range |",
            "| --- | --- | --- |",
        ]
        for name, row in found.items():
            low, high = row["time_range"]
            lines.append(f"| {name} | {row['time']:.2f} | {low:.2f} to {high:.2f} |")
        lines.append("")
    return lines


def bars(steps: dict[str, dict[str, dict[str, Any]]], speeds: dict[str, dict[str, float]]) -> list[str]:
    """One line for each bar that was measured."""
    lines = []
    for case, found in steps.items():
        for name, limit in BARS.items():
            growth = found["plain"]["growth_of_pieces"] if name == "mvr" else 1.0
            value = found[name]["time"]
            lines.append(
                _bar(f"{case}, {name}", f"{value:.2f}", f"at most {limit * growth:.2f}", value <= limit * growth)
            )
        if case == "real":
            share = found["plain"]["sampling_share"]
            text = f"{100 * share:.1f} %", f"at most {100 * SHARE_OF_STEP:.0f} %"
            lines.append(_bar("real, subword sampling, share of a plain step", *text, share <= SHARE_OF_STEP))
    for vocabulary, speed in speeds.items():
        slowest = min(speed["cold"], speed["warm"])
        text = f"{slowest:,.0f} words/s", f"at least {WORDS_PER_SECOND:,}"
        lines.append(_bar(f"subword sampling, {vocabulary}", *text, slowest >= WORDS_PER_SECOND))
    return lines


def _bar(what: str, value: str, limit: str, met: bool) -> str:
    return f"- {what}: {value}, {limit}: {'met' if met else 'NOT MET'}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Time, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=";".join(cases()), help="names separated by ; (default: all that are there)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="optimiser steps of an epoch")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    steps: dict[str, dict[str, dict[str, Any]]] = {}
    for name in options.cases.split(";"):
        print(f"{name} ...", flush=True)
        steps[name] = timings(Bench(name, options.steps), options.rounds)
    speeds = {name: sampling_speed(files, options.rounds) for name, files in vocabularies().items()}
    versions = {package: importlib.metadata.version(package) for package in ("torch", "transformers", "sentencepiece")}
    versions |= {"python": platform.python_version(), "machine": platform.machine()}
    text = "\n".join(
        [
            "# Regularisers: cost as a ratio to a plain optimiser step",
            "",
            "Written by `python -m benchmarks.regularizers`. One thread, process CPU time, methods by turns, median of "
            f"{options.rounds} rounds of {options.steps} steps of {BATCH} examples. mini: the bundled encoder and "
            "inference task; real: 12 layers of 384 and XNLI rows.",
            "",
            ", ".join(f"{key} {value}" for key, value in versions.items()),
            "",
            *table(steps),
            "### Subword sampling",
            "",
            "| vocabulary | words | words/s, cold | words/s, warm |",
            "| --- | --- | --- | --- |",
            *(f"| {name} | {s['words']:,} | {s['cold']:,.0f} | {s['warm']:,.0f} |" for name, s in speeds.items()),
            "",
            "### Bars",
            "",
            *bars(steps, speeds),
            "",
        ]
    )
    print(text)
    if list(steps) != cases():
        print("not written: only some of the cases were run")
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "regularizers.md").write_text(text, encoding="utf-8")
    data = {
        "versions": versions,
        "rounds": options.rounds,
        "steps": options.steps,
        "results": steps,
        "sampling": speeds,
    }
    (RESULTS / "regularizers.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
