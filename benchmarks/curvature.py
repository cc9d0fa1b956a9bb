"""What curvature costs, as ratios to a plain training step: Tr(F), other ways to it, a displacement, the penalty.

    python -m benchmarks.curvature [--families "bert;modernbert"] [--cases "wide-3;small-3"] [--rounds 5] [--no-memory]

All runs use one thread. The methods of a case take turns, round by round, and each ratio is taken within a round, so
that a slow spell of the machine hits both sides; the table gives the median over rounds and, in brackets, the range.
Time is process CPU time. Peak memory is measured in a separate process per method, above the resident size with model
and batch. A run of all cases, about ten minutes on an idle machine, writes benchmarks/results/curvature.md and .json.

Other libraries are timed if they are installed; they are not dependencies. They require another torchvision than the
one for torch's CPU build, so give them their own environment, which finds everything else in this one:

    python -m venv peers
    python -c "import site; print(site.getsitepackages()[0])" > "$(echo peers/lib/python3*/site-packages)"/base.pth
    peers/bin/python -m pip install opacus nngeometry curvlinops-for-pytorch laplace-torch backpack-for-pytorch
    peers/bin/python -m pip uninstall -y torchvision
    peers/bin/python -m benchmarks.curvature --check-peers

The last command times nothing: it compares each library with the definition, on a BERT with two layers of width 16.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from benchmarks.peers import PACKAGES, PEERS, difference
from trainables.curvature import fisher_trace, last_layer, penalty_forward, sample_labels, squared_mean_score
from trainables.curvature.displacement import displacement

RESULTS = Path(__file__).parent / "results"
MBERT_VOCABULARY = 119_547


@dataclass(frozen=True)
class Case:
    """A model shape, a batch shape, and the methods that are timed on them."""

    layers: int
    width: int
    heads: int
    length: int
    batch: int
    classes: int
    ragged: bool
    methods: tuple[str, ...]
    vocabulary: int = 8000
    max_rounds: int = 99


FEW = ("plain", "exact", "exact, all of the last layer", "monte carlo, 1 label")
ALL = (*FEW, "loop", "vmap, chunks of 8", *PEERS, "penalty", "penalty, value only", "displacement")
CASES = {
    "wide-2": Case(2, 768, 12, 128, 8, 2, False, FEW),
    "wide-3": Case(2, 768, 12, 128, 8, 3, False, ALL),
    "wide-5": Case(2, 768, 12, 128, 8, 5, False, FEW),
    "small-2": Case(4, 256, 4, 64, 32, 2, True, FEW),
    "small-3": Case(4, 256, 4, 64, 32, 3, True, ALL),
    "small-5": Case(4, 256, 4, 64, 32, 5, True, FEW),
    "wide-3, mBERT's vocabulary": Case(2, 768, 12, 128, 8, 3, False, (*FEW, "penalty"), MBERT_VOCABULARY),
    "mBERT, 12 layers": Case(12, 768, 12, 128, 8, 3, False, ("plain", "exact", "penalty"), MBERT_VOCABULARY, 2),
}
BARS = (
    ("wide-3", "exact", "time", 1.30),
    ("small-3", "exact", "time", 1.55),
    ("wide-2", "exact", "time", 1.0),
    ("small-2", "exact", "time", 1.0),
    ("wide-3", "exact", "memory", 1.25),
    ("small-3", "exact", "memory", 1.25),
    ("wide-3", "penalty", "time", 3.3),
    ("wide-3, mBERT's vocabulary", "penalty", "time", 3.3),
)
FASTER = (("vmap, chunks of 8", 4.0), ("loop", 2.5))

_GATED = {"num_key_value_heads": 4, "head_dim": 64, "intermediate_size": 2048}
FAMILIES: dict[str, tuple[float, dict[str, Any]]] = {
    "bert": (0.72, {}),
    "xlm-roberta": (0.72, {"max_position_embeddings": 514}),
    "modernbert": (1.3, {"intermediate_size": 1152}),
    "eurobert": (1.3, {"num_key_value_heads": 12, "head_dim": 64}),
    "rembert": (1.3, {"input_embedding_size": 256, "output_embedding_size": 256}),
    "camembert": (1.3, {"max_position_embeddings": 514}),
    "mpnet": (1.3, {"max_position_embeddings": 514}),
    "roformer": (1.3, {"embedding_size": 768}),
    "ernie": (1.3, {}),
    "xlm-roberta-xl": (1.3, {"max_position_embeddings": 514}),
    "nomic_bert": (1.3, {}),
    "deberta-v2": (2.0, {
        "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 256, "share_att_key": True,
        "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0,
    }),
    "qwen3": (1.5, _GATED),
    "llama": (1.5, _GATED),
    "gemma3_text": (1.5, _GATED),
}  # fmt: skip
"""transformers' name of each architecture, the most that exact Tr(F) may cost, and the configuration."""


def family(kind: str, classes: int = 3) -> tuple[Any, dict[str, Tensor], Tensor]:
    """A model with two layers of width 768 and no dropout, a batch of 8 rows of 128 tokens, and targets."""
    sizes: dict[str, Any] = {
        "vocab_size": 8000, "hidden_size": 768, "num_hidden_layers": 2, "num_attention_heads": 12,
        "intermediate_size": 3072, "max_position_embeddings": 512, "num_labels": classes, "pad_token_id": 1,
        "eos_token_id": 2, "bos_token_id": 0,
    }  # fmt: skip
    config = AutoConfig.for_model(kind, **(sizes | FAMILIES[kind][1]))
    for name, value in vars(config).items():
        if isinstance(value, float) and "drop" in name:
            setattr(config, name, 0.0)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").train()
    ids = torch.randint(5, 8000, (8, 128))
    return model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, torch.randint(classes, (8,))


def time_family(kind: str, rounds: int, classes: int = 3, estimator: str = "exact") -> dict[str, Any]:
    """Cost of Tr(F) as a ratio to a plain step, taking turns, after one measurement that verifies the fast path."""
    model, batch, targets = family(kind, classes)
    estimate = fisher_trace(model, [batch], estimator=estimator)

    def timed(method: Callable[[], object]) -> float:
        start = time.process_time()
        method()
        return time.process_time() - start

    def plain() -> None:
        model.zero_grad()
        cross_entropy(model(**batch).logits, targets).backward()

    plain()
    ratios, seconds = [], []
    for _ in range(rounds):
        seconds.append(timed(plain))
        ratios.append(timed(lambda: fisher_trace(model, [batch], estimator=estimator)) / seconds[-1])
    row = {"time": statistics.median(ratios), "time_range": [min(ratios), max(ratios)], "path": estimate.path}
    return row | {"seconds": statistics.median(seconds)}


def family_table(rows: dict[str, dict[str, Any]]) -> list[str]:
    """The families as Markdown, with their bars."""
    lines = [
        "### Architectures",
        "",
        "2 layers of 768, T = 128 (no padding), B = 8, C = 3, random weights, eager attention; the proof by the loop, "
        "once for each model, is not in the time",
        "",
        "| architecture | path | time of exact Tr(F) | range | bar | plain step, s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        bar, (low, high) = FAMILIES[name.split(",")[0]][0], row["time_range"]
        bar_text = "-" if "," in name else f"{bar:.2f}: {'met' if row['time'] <= bar else 'NOT MET'}"
        cells = (name, row["path"], f"{row['time']:.2f}", f"{low:.2f} to {high:.2f}", bar_text, f"{row['seconds']:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


class Bench:
    """A case's model, batch, and named methods. A method returns per-example traces, or None if it computes none."""

    def __init__(self, case: Case) -> None:
        torch.manual_seed(0)
        # No dropout: drawing the random numbers of a training step is not part of the comparison.
        config = BertConfig(
            vocab_size=case.vocabulary,
            num_labels=case.classes,
            hidden_size=case.width,
            num_hidden_layers=case.layers,
            num_attention_heads=case.heads,
            intermediate_size=4 * case.width,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        # Eager attention throughout: the penalty and vmap need it.
        config._attn_implementation = "eager"
        self.model = BertForSequenceClassification(config).train()
        ids = (torch.rand(case.batch, case.length).pow(3) * (case.vocabulary - 5)).long() + 5
        lengths = torch.randint(case.length // 4, case.length + 1, (case.batch,)) if case.ragged else case.length
        lengths = torch.as_tensor(lengths).expand(case.batch).clone()
        lengths[0] = case.length
        mask = (torch.arange(case.length) < lengths.unsqueeze(1)).long()
        self.batch = {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
        self.targets = torch.randint(case.classes, (case.batch,))
        self.methods: dict[str, Callable[[], Tensor | None]] = {
            "plain": self.plain,
            "exact": lambda: fisher_trace(self.model, [self.batch]).per_example,
            "exact, all of the last layer": self.exact_unshortened,
            "monte carlo, 1 label": self.monte_carlo,
            "loop": self.loop,
            "vmap, chunks of 8": self.vmap,
            **{name: partial(self.peer, name) for name in PEERS},
            "penalty": self.penalty,
            "penalty, value only": self.penalty_value,
            "displacement": self.displacement,
        }
        self._peers: dict[str, Callable[[], Tensor]] = {}

    def plain(self) -> None:
        """One forward and backward pass of the mean loss."""
        self.model.zero_grad()
        cross_entropy(self.model(**self.batch).logits, self.targets).backward()

    def displacement(self) -> None:
        """Curvature along a displacement, whose length does not affect the cost."""
        displacement(self.model, self.model.state_dict(), [self.batch])

    def exact_unshortened(self) -> Tensor:
        """Exact Tr(F) with the last layer computed at every position; the ratio is that of a very deep model."""
        with mock.patch.object(last_layer, "last_layer_to_shorten", return_value=None):
            return fisher_trace(self.model, [self.batch]).per_example

    def monte_carlo(self) -> None:
        """One sampled label per example: the value varies from call to call, so it is not compared."""
        fisher_trace(self.model, [self.batch], estimator="monte-carlo")

    def loop(self) -> Tensor:
        """The definition: one example, one label and one full backward pass at a time."""
        parameters = list(self.model.parameters())
        values = []
        for i in range(len(self.targets)):
            log_p = self.model(**{key: value[i : i + 1] for key, value in self.batch.items()}).logits[0].log_softmax(-1)
            value = torch.zeros(())
            for y in range(len(log_p)):
                score = torch.autograd.grad(log_p[y], parameters, retain_graph=True)
                value += log_p[y].detach().exp() * sum(g.square().sum() for g in score)
            values.append(value)
        return torch.stack(values)

    def vmap(self) -> Tensor:
        """torch.func: per-example gradients, once per class; the mask is made outside, since vmap cannot make it."""
        parameters = {name: p.detach() for name, p in self.model.named_parameters()}
        keep = self.batch["attention_mask"][:, None, None, :].bool()
        length = keep.shape[-1]
        mask = torch.zeros(len(keep), 1, length, length).masked_fill(~keep, torch.finfo(torch.float32).min)

        def log_p(theta: dict[str, Tensor], ids: Tensor, types: Tensor, mask: Tensor, y: Tensor) -> Tensor:
            inputs = {"input_ids": ids[None], "token_type_ids": types[None], "attention_mask": mask[None]}
            logits = torch.func.functional_call(self.model, theta, kwargs=inputs).logits[0]
            return logits.log_softmax(-1).gather(0, y[None])[0]

        def weighted_norm(*args: Any) -> Tensor:
            score, value = torch.func.grad_and_value(log_p)(parameters, *args)
            return value.exp() * sum(g.square().sum() for g in score.values())

        total = torch.zeros(len(keep))
        for y in range(self.model.config.num_labels):
            labels = torch.full((len(keep),), y)
            inputs = (self.batch["input_ids"], self.batch["token_type_ids"], mask, labels)
            total += torch.func.vmap(weighted_norm, chunk_size=8)(*inputs)
        return total

    def peer(self, name: str) -> Tensor:
        """Another library's Tr(F); what it prepares once is not timed."""
        if name not in self._peers:
            self._peers[name] = PEERS[name](self.model, self.batch)
        return self._peers[name]()

    def penalty(self) -> None:
        """A training step with the Fisher penalty: one forward pass, exact double backward."""
        self.model.zero_grad()
        with penalty_forward(self.model, self.batch["input_ids"]) as wrt:
            logits = self.model(**self.batch).logits
        labels = sample_labels(logits, torch.Generator().manual_seed(0))
        (cross_entropy(logits, self.targets) + 0.01 * squared_mean_score(logits, labels, wrt)).backward()

    def penalty_value(self) -> None:
        """A training step that logs the penalty without acting on it."""
        self.model.zero_grad()
        with penalty_forward(self.model, self.batch["input_ids"]) as wrt:
            logits = self.model(**self.batch).logits
        labels = sample_labels(logits, torch.Generator().manual_seed(0))
        squared_mean_score(logits, labels, wrt, create_graph=False)
        cross_entropy(logits, self.targets).backward()


def attempt(bench: Bench, name: str) -> Tensor | str | None:
    """What a method finds, or why another library finds nothing: it is absent or cannot take the model."""
    try:
        return bench.methods[name]()
    except ImportError as error:
        return f"not installed: {error}"
    except Exception as error:
        if name not in PEERS:
            raise
        return f"cannot: {error}"


def check_peers() -> None:
    """Print how far each other library is from the definition."""
    bench = Bench(Case(2, 16, 2, 12, 5, 3, True, (), 200))
    expected = bench.loop()
    for name in PEERS:
        found = attempt(bench, name)
        assert found is not None
        print(f"{name}: {found if isinstance(found, str) else f'{difference(found, expected):.0e}'}")


def timings(case: Case, rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds of each method, taking turns, and how far its traces are from those of ``exact``."""
    bench = Bench(case)
    seconds: dict[str, list[float]] = {}
    first: dict[str, Tensor | None] = {}
    results: dict[str, dict[str, Any]] = {}
    for name in case.methods:
        found = attempt(bench, name)
        if isinstance(found, str):
            results[name] = {"refused": found}
        else:
            first[name], seconds[name] = found, []
    for _ in range(min(rounds, case.max_rounds)):
        for name, times in seconds.items():
            start = time.process_time()
            bench.methods[name]()
            times.append(time.process_time() - start)
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(times, seconds["plain"], strict=True)]
        found, exact = first[name], first["exact"]
        assert exact is not None
        off = None if found is None else difference(found, exact)
        results[name] = {
            "seconds": statistics.median(times),
            "time": statistics.median(ratios),
            "time_range": [min(ratios), max(ratios)],
            "worst_example": off,
        }
    return results


def peak_memory(case: str, method: str) -> float:
    """Peak resident size during one call minus that before it, MiB, in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.curvature", "--peak-memory-of", case, method]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    return float(out.stdout.split()[-1])


def print_peak_memory(case: str, method: str) -> None:
    """Run a method and print the peak; a tiny call before it loads the libraries."""
    bench = Bench(CASES[case])
    tiny = Bench(Case(1, 24, 2, 8, 2, 3, False, ()))
    tiny.methods[method]()
    # Resets the high-water mark of the resident size (Linux).
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    bench.methods[method]()
    print((_status("VmHWM") - before) / 1024)


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The results as Markdown."""
    lines = []
    for name, methods in results.items():
        case = CASES[name]
        ragged = f"lengths {case.length // 4} to {case.length}" if case.ragged else "no padding"
        lines += [
            f"### {name}",
            "",
            f"{case.layers} layers of {case.width}, T = {case.length} ({ragged}), B = {case.batch}, "
            f"C = {case.classes}, vocabulary {case.vocabulary:,}; plain step {methods['plain']['seconds']:.2f} s",
            "",
            "| way | time | range | peak MiB | memory | worst example against exact |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for method, row in methods.items():
            if "refused" in row:
                lines.append(f"| {method} | - | - | - | - | {row['refused']} |")
                continue
            low, high = row["time_range"]
            peak = f"{row['peak']:.0f} | {row['memory']:.2f}" if "peak" in row else "- | -"
            off = "-" if row["worst_example"] is None else f"{row['worst_example']:.0e}"
            lines.append(f"| {method} | {row['time']:.2f} | {low:.2f} to {high:.2f} | {peak} | {off} |")
        lines.append("")
    return "\n".join(lines)


def bars(results: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """One line for each bar that was measured."""
    lines = []
    for case, method, what, limit in BARS:
        value = results.get(case, {}).get(method, {}).get(what)
        if value is not None:
            verdict = "met" if value <= limit else "NOT MET"
            lines.append(f"- {case}, {method}, {what}: {value:.2f}, at most {limit:.2f}: {verdict}")
    for case in ("wide-3", "small-3"):
        for method, limit in FASTER:
            if method in results.get(case, {}):
                value = results[case][method]["time"] / results[case]["exact"]["time"]
                verdict = "met" if value >= limit else "NOT MET"
                lines.append(f"- {case}, exact faster than {method}: {value:.1f} times, at least {limit}: {verdict}")
    return lines


def main() -> None:
    """Time, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=";".join(CASES), help="names separated by ; (default: all)")
    parser.add_argument("--families", default=";".join(FAMILIES), help="architectures separated by ; (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--check-peers", action="store_true", help="compare other libraries with the definition")
    parser.add_argument("--peak-memory-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="opacus|backpack")
    warnings.filterwarnings("ignore", message="Full backward hook is firing")
    if options.check_peers:
        check_peers()
        return
    if options.peak_memory_of:
        print_peak_memory(*options.peak_memory_of)
        return
    rows: dict[str, dict[str, Any]] = {}
    for kind in filter(None, options.families.split(";")):
        print(f"{kind} ...", flush=True)
        rows[kind] = time_family(kind, options.rounds)
    if "bert" in rows:
        rows["bert, 60 labels by signs"] = time_family("bert", options.rounds, 60, "signs")
    print("\n".join(family_table(rows)), flush=True)
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for name in filter(None, options.cases.split(";")):
        print(f"{name} ...", flush=True)
        results[name] = timings(CASES[name], options.rounds)
        if not options.no_memory:
            for method, row in results[name].items():
                if "refused" in row:
                    continue
                row["peak"] = peak_memory(name, method)
                row["memory"] = row["peak"] / results[name]["plain"]["peak"]
    installed = {found.name for found in importlib.metadata.distributions()}
    versions = {
        name: importlib.metadata.version(name) for name in ("torch", "transformers", *PACKAGES) if name in installed
    }
    versions |= {"python": platform.python_version(), "machine": platform.machine(), "processor": processor()}
    text = "\n".join(
        [
            "# Curvature: cost as a ratio to a plain training step",
            "",
            "Written by `python -m benchmarks.curvature`. One thread, process CPU time, methods by turns, median of "
            f"{options.rounds} rounds (2 with 12 layers). Memory: peak resident size above model and batch, as a "
            "ratio to plain. No dropout, eager attention.",
            "",
            ", ".join(f"{key} {value}" for key, value in versions.items()),
            "",
            *family_table(rows),
            table(results),
            "### Bars",
            "",
            *bars(results),
            "",
        ]
    )
    print(text)
    if list(results) != list(CASES) or not set(FAMILIES) <= rows.keys():
        print("not written: only some of the cases were run")
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "curvature.md").write_text(text, encoding="utf-8")
    cases = {name: asdict(CASES[name]) for name in results}
    data = {"versions": versions, "rounds": options.rounds, "cases": cases, "results": results, "families": rows}
    (RESULTS / "curvature.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def processor() -> str:
    """The CPU's name, if the system gives one."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
