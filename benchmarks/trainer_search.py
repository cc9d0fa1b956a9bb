"""Eight trials of the quick baseline: `fisher-study run` beside Trainer.hyperparameter_search(backend="ray").

    python -m benchmarks.trainer_search [--rounds 3] [--trials 8] [--rows 1000] [--epochs 5]
    python -m benchmarks.trainer_search --rounds 2 --trials 4 --rows 500 --epochs 2 --bar 0.6 --out FILE.md \
      --set model.name=FOLDER --set stages.0.optimizer.learning_rate=5e-5

Three ways take turns, each a separate command that starts Ray afresh: ours, the whole of `fisher-study run` with its
records and its report; Trainer's search as it is; and Trainer's search with `reuse_actors=True`, which it passes to
Tune. Two trials run at a time, on one thread each. Time is wall time from the start of the command to its end, and a
round's ratio is our time to the faster search's.

Every trial has the same weights, rows, order, schedule and evaluations: English validation after each epoch; the
training rows and validation in every language at the end. Ours also measures Tr(F), keeps a checkpoint per epoch and
writes the report; Trainer keeps none, has its rows encoded once by the driver and uses the faster attention (sdpa).
The exit code is 1 if the searches did not do the same, or if ours took longer. A run with the defaults, about twelve
minutes on an idle machine, writes benchmarks/results/trainer_search.md and .json.

`--set` changes settings of the trials on both sides. Then, if the CPU computes in bfloat16, ours and the search with
reused actors run in float32 and in bfloat16, compared within each format; Trainer uses the attention that is faster:
sdpa in float32, eager in bfloat16.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers import EvalPrediction, PreTrainedModel, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from benchmarks.training import trainer_collator, trainer_rows
from study.catalog import quick
from study.store.record_files import read_trials
from study.store.records import CurveRow
from study.store.storage import open_store
from study.sweep.resources import prepare_ray
from trainables.assets import Assets
from trainables.config import ENGLISH, TrialConfig
from trainables.config.dotted_paths import with_values
from trainables.examples import Examples
from trainables.measuring.evaluation import BATCH_SIZE
from trainables.models.build import build_model
from trainables.precision import has_bfloat16
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder

RESULTS = Path(__file__).parent / "results"
AT_A_TIME = 2
BAR = 1.0
OURS = "ours"
SEARCH = "Trainer's search"
REUSED = "Trainer's search, reused actors"
BFLOAT16 = ", bfloat16"
"""Suffix of the name of a way whose passes are in bfloat16; those of the others are in float32."""
DEFAULT_WAYS = (OURS, SEARCH, REUSED)
TOLERANCE = {"": 1e-3, BFLOAT16: 2e-2}
"""How far apart the mean losses of the first epoch may be, by the suffix of the ways' names."""
BASE = {
    "data.stage2_examples": "0",
    "measure.trace_train": "false",
    "measure.rivals": "",
    "measure.accuracy_every": "1",
}

Trials = dict[str, dict[str, float]]
"""Seed to what its trial found, under the same names in every way."""


def settings(rows: int, epochs: int) -> dict[str, str]:
    """What the trials change in the quick study."""
    return BASE | {"data.train_examples": str(rows), "stages.0.epochs": str(epochs)}


def ours(trials: int, changes: dict[str, str], folder: Path) -> Trials:
    """What the trials of our command found."""
    words = [word for path, value in changes.items() for word in ("--set", f"{path}={value}")]
    command = ["run", "quick", "--arms", "baseline", "--seeds", str(trials), "--concurrency", str(AT_A_TIME), "--quiet"]
    finished([sys.executable, "-m", "study", *command, *words, "--storage", str(folder)])
    records, _ = read_trials(open_store(str(folder)).child("quick"))
    return {
        str(record.seed): named(record.measurements, record.curves, record.provenance["steps"])
        for record in records.values()
    }


def named(measurements: Mapping[str, float], curves: Sequence[CurveRow], steps: int) -> dict[str, float]:
    """What Trainer also finds: losses and accuracies, by epoch and at the end, and the number of steps."""
    by_epoch = {f"{point.name}.{round(point.epoch)}": point.value for point in curves}
    at_end = {name: value for name, value in measurements.items() if name.startswith(("accuracy.", "train_accuracy"))}
    return by_epoch | at_end | {"steps": steps}


def trainer(trials: int, changes: dict[str, str], folder: Path, reuse: bool) -> Trials:
    """What the trials of Trainer's search found, run in a separate process."""
    arguments = [json.dumps(changes), str(trials), str(folder), *(["reuse"] if reuse else [])]
    out = finished([sys.executable, "-m", "benchmarks.trainer_search", "--search", *arguments])
    found: Trials = json.loads(out.splitlines()[-1])
    return found


def finished(command: list[str]) -> str:
    """What a command printed; if it fails, the exception quotes its output."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


class InOurOrder(Sampler[int]):
    """The rows in the order of our loop, which differs in each pass."""

    def __init__(self, seed: int, rows: int) -> None:
        self._streams, self._rows, self._epoch = Streams(seed), rows, 0

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[int]:
        self._epoch += 1
        generator = self._streams.generator("order", f"0.{ENGLISH}", self._epoch)
        return iter(torch.randperm(self._rows, generator=generator).tolist())


class SearchedTrainer(Trainer):
    """A Trainer with our order of rows, which evaluates after training what our trial evaluates."""

    at_end: dict[str, list[dict[str, Any]]]

    def _get_train_sampler(self, *args: Any) -> Sampler[int]:
        return InOurOrder(self.args.seed, len(self.train_dataset))

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as Trainer does and, within a search, report once more."""
        output = super().train(*args, **kwargs)
        found = self.found()
        if kwargs.get("trial") is not None:
            from ray import tune

            tune.report({"objective": found[f"accuracy.{ENGLISH}"], "found": json.dumps(found)})
        return output

    def found(self) -> dict[str, float]:
        """Losses and accuracies of the trained model, under our names."""
        found: dict[str, float] = {"steps": self.state.global_step}
        for line in self.state.log_history:
            for theirs, name in (("loss", "train_loss"), ("eval_accuracy", f"accuracy.{ENGLISH}")):
                if theirs in line:
                    found[f"{name}.{round(line['epoch'])}"] = line[theirs]
        for name, rows in self.at_end.items():
            found[name] = self.evaluate(rows, metric_key_prefix="end")["end_accuracy"]
        return found


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """Share of correct predictions, in float64."""
    return {"accuracy": float(np.mean(prediction.predictions.argmax(-1) == prediction.label_ids))}


def make_trainer(config: TrialConfig, folder: Path) -> SearchedTrainer:
    """Trainer for stage 0 of a trial, with a new model for each seed."""
    assets = Assets.resolve([config])
    files, data, stage = assets.model(config), assets.rows(config), config.stages[0]

    def model_init(trial: dict[str, Any] | None) -> PreTrainedModel:
        model = build_model(files, config.model, len(data.labels), Streams(trial["seed"] if trial else config.seed))
        model.set_attn_implementation("eager" if arguments.bf16 else "sdpa")
        return model

    encoder = Encoder(files.tokenizer, config.data.max_length)
    train = trainer_rows(Examples(data.train, encoder))
    validation = {name: trainer_rows(Examples(rows, encoder)) for name, rows in data.validation.items()}
    steps = math.ceil(len(train) / stage.batch_size) * stage.epochs
    arguments = TrainingArguments(
        output_dir=str(folder),
        seed=config.seed,
        num_train_epochs=stage.epochs,
        per_device_train_batch_size=stage.batch_size,
        per_device_eval_batch_size=BATCH_SIZE,
        learning_rate=stage.optimizer.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(stage.optimizer.warmup * steps),
        optim="adamw_torch_fused",
        adam_epsilon=stage.optimizer.epsilon,
        weight_decay=stage.optimizer.weight_decay,
        max_grad_norm=stage.clip,
        use_cpu=True,
        bf16=config.model.precision == "bfloat16",
        dataloader_pin_memory=False,
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    made = SearchedTrainer(
        args=arguments,
        model_init=model_init,
        data_collator=trainer_collator(files),
        train_dataset=train,
        eval_dataset=validation[ENGLISH],
        compute_metrics=accuracy,
    )
    made.remove_callback(PrinterCallback)
    made.at_end = {"train_accuracy": train} | {f"accuracy.{name}": rows for name, rows in validation.items()}
    return made


def search(changes: dict[str, str], trials: int, folder: Path, reuse: bool) -> None:
    """Trainer's search over seeds; prints what its trials found."""
    prepare_ray("local")
    # Its defaults include Tune's own loggers.
    del os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"]
    import ray
    from ray import tune

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    made = make_trainer(with_values(quick().base, changes), folder / "trainer")
    best = made.hyperparameter_search(
        hp_space=lambda _: {"seed": tune.grid_search(list(range(trials)))},
        n_trials=1,  # that is, passes over the grid
        direction="maximize",
        backend="ray",
        resources_per_trial={"cpu": 1},
        max_concurrent_trials=AT_A_TIME,
        storage_path=str(folder / "tune"),
        verbose=0,
        **({"reuse_actors": True} if reuse else {}),
    )
    ended = {str(trial.config["seed"]): json.loads(trial.last_result["found"]) for trial in best.run_summary.trials}
    ray.shutdown()
    print(json.dumps(ended))


def compare(ways: Sequence[str], rounds: int, trials: int, changes: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Wall seconds of each way, taking turns, and what its trials found."""
    results: dict[str, dict[str, Any]] = {name: {"seconds": []} for name in ways}
    for number in range(rounds):
        for name, row in results.items():
            print(f"round {number + 1} of {rounds}, {name} ...", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                precision = "bfloat16" if name.endswith(BFLOAT16) else "float32"
                in_format = changes | {"model.precision": precision}
                if name.startswith(OURS):
                    row["trials"] = ours(trials, in_format, Path(folder))
                else:
                    row["trials"] = trainer(trials, in_format, Path(folder), reuse=name.startswith(REUSED))
                row["seconds"].append(time.perf_counter() - start)
    return results


def formats(results: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """For each number format: the suffix of its ways' names, our way, and the searches."""
    ends = [end for end in TOLERANCE if OURS + end in results]
    return [(end, OURS + end, [name + end for name in (SEARCH, REUSED) if name + end in results]) for end in ends]


def ratios(results: dict[str, dict[str, Any]], own: str, searches: Sequence[str]) -> list[float]:
    """Ratio of our wall time to that of the fastest search, round by round."""
    theirs = zip(*(results[name]["seconds"] for name in searches), strict=True)
    return [seconds / min(those) for seconds, those in zip(results[own]["seconds"], theirs, strict=True)]


def difference(found: Trials, reference: Trials) -> float:
    """Largest difference in a first epoch's mean loss; infinite if a search did something else."""
    names = {seed: set(trial) for seed, trial in reference.items()}
    if {seed: set(trial) for seed, trial in found.items()} != names:
        return math.inf
    if any(trial["steps"] != reference[seed]["steps"] for seed, trial in found.items()):
        return math.inf
    return max(abs(trial["train_loss.1"] - reference[seed]["train_loss.1"]) for seed, trial in found.items())


def bars(results: dict[str, dict[str, Any]], bar: float = BAR) -> tuple[list[str], bool]:
    """Two lines for each format, and whether all bars are met."""
    lines, all_met = [], True
    words = {True: "met", False: "NOT MET"}
    for end, own, searches in formats(results):
        worst = max(difference(results[name]["trials"], results[own]["trials"]) for name in searches)
        found = ratios(results, own, searches)
        ratio = statistics.median(found)
        same, faster = worst <= TOLERANCE[end], ratio <= bar
        lines += [
            f"- the same steps and evaluations, and first epochs' losses within {TOLERANCE[end]:g}{end}: {worst:.0e}: "
            f"{words[same]}",
            f"- wall time, ours / the {'faster ' if len(searches) > 1 else ''}search{end}: {ratio:.2f} "
            f"({min(found):.2f} to {max(found):.2f}), at most {bar:.2f}: {words[faster]}",
        ]
        all_met = all_met and same and faster
    return lines, all_met


def table(results: dict[str, dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| way | wall s | range | ours / it | steps a trial | evaluations a trial | English accuracy |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    own = {name: way for _, way, searches in formats(results) for name in (way, *searches)}
    for name, row in results.items():
        seconds = row["seconds"]
        ratio = statistics.median(a / b for a, b in zip(results[own[name]]["seconds"], seconds, strict=True))
        trials = list(row["trials"].values())
        evaluations = sum("accuracy" in key for key in trials[0])
        mean = statistics.mean(trial[f"accuracy.{ENGLISH}"] for trial in trials)
        lines.append(
            f"| {name} | {statistics.median(seconds):.1f} | {min(seconds):.1f} to {max(seconds):.1f} | {ratio:.2f} "
            f"| {trials[0]['steps']:.0f} | {evaluations} | {mean:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=8, help="seeds of the baseline")
    parser.add_argument("--rows", type=int, default=1000, help="training rows")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="for the trials of both sides")
    parser.add_argument("--bar", type=float, default=BAR, help="what ours may take of the faster search's time")
    parser.add_argument("--out", type=Path, help="where a run without the defaults is written")
    parser.add_argument("--search", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        changes, trials, folder, *reuse = options.search
        search(json.loads(changes), int(trials), Path(folder), bool(reuse))
        return
    load = os.getloadavg()[0]
    changes = settings(options.rows, options.epochs) | dict(item.split("=", 1) for item in options.set)
    both = [OURS, REUSED, OURS + BFLOAT16, REUSED + BFLOAT16] if has_bfloat16(torch.device("cpu")) else [OURS, REUSED]
    results = compare(both if options.set else DEFAULT_WAYS, options.rounds, options.trials, changes)
    lines, met = bars(results, options.bar)
    # A folder differs between machines, so only its name is reported.
    said = "".join(f" With {item.split('=', 1)[0]}={Path(item.split('=', 1)[1]).name}." for item in options.set)
    packages = ("torch", "transformers", "accelerate", "ray")
    versions = {package: importlib.metadata.version(package) for package in packages}
    versions |= {"python": platform.python_version(), "machine": platform.machine(), "CPUs": str(os.cpu_count())}
    text = "\n".join(
        [
            "# The quick baseline: ours against transformers' hyperparameter search on Ray",
            "",
            f"Written by `python -m benchmarks.trainer_search`. {options.trials} seeds, {options.rows:,} rows, "
            f"{options.epochs} epochs, {AT_A_TIME} at a time, one thread each; wall seconds of the whole command, ways "
            f"by turns, median of {options.rounds} rounds; load average before it {load:.1f}. Same weights, order, "
            "schedule and evaluations (English after each epoch; training rows and four languages at the end). Ours "
            f"takes Tr(F) besides, keeps checkpoints and writes the report.{said}",
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
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    elif vars(options) == vars(parser.parse_args([])):
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "trainer_search.md").write_text(text, encoding="utf-8")
        data = {"versions": versions, "load": load, "settings": changes, "results": results}
        (RESULTS / "trainer_search.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    else:
        print("not written: not run with the defaults")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
