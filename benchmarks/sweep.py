"""What the sweep costs in addition to the trials themselves, on an idle machine.

Usage: python -m benchmarks.sweep [--sleepers 24] [--seconds 10] [--trivial 1000] [--rounds 3] [--studies 1000,10000]

Four parts, each with its bar:

- use of slots: trials that sleep, on two slots; seconds slept / (2 x wall) from the start of the first trial to the end
  of the last, and the slot seconds per trial that were not slept;
- start-up: from typing `fisher-study run` to the start of the first trial, including its worker's imports;
- trivial trials, in turn with plain Ray Tune with reused actors and its default loggers, in the same Ray; medians;
- `list` and `show`, as commands, on studies of many complete trials with curves: wall and CPU seconds.

The results are written only if every part ran in full.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from study.plan.planning import PlannedTrial
from study.store.record_files import write_trial
from study.store.records import TrialRecord
from study.store.storage import open_store
from study.sweep.interruption import Interruption
from study.sweep.progress import SweepProgress
from study.sweep.resources import Resources, prepare_ray
from tests.analysis.synthetic import write_study
from trainables.config import TrialConfig
from trainables.cpus import usable_cpus

RESULTS = Path(__file__).parent / "results"
SLOTS = 2
TINY = {
    "stages.0.epochs": 1, "data.train_examples": 64, "data.validation_examples": 60, "data.stage2_examples": 0,
    "measure.trace_examples": 16,
}  # fmt: skip
BARS = (
    ("use of the slots", "use", "at least", 0.95, ""),
    ("driver's overhead a trial", "overhead", "at most", 0.5, " s"),
    ("start-up to the first trial", "startup", "at most", 20.0, " s"),
    ("trivial trials, ours / plain Ray Tune", "trivial_ratio", "at most", 1.5, ""),
    ("list, 1,000 trials", "list_1000", "at most", 2.0, " s"),
    ("show, 1,000 trials", "show_1000", "at most", 2.0, " s"),
    ("list, 10,000 trials", "list_10000", "at most", 10.0, " s"),
    ("show, 10,000 trials", "show_10000", "at most", 10.0, " s"),
)


def sleep(config: dict[str, Any], assets: float, **stores: Any) -> None:
    """A trial that sleeps for a number of seconds and reports when it began and ended."""
    import json
    import time

    from ray import tune

    begun = time.time()
    time.sleep(assets)
    found = {"accuracy.en": 0.5, "fisher_trace": 1.0}
    outcome = {
        "state": "complete", "reason": None, "measurements": found, "curves": [],
        "provenance": {"begun": begun, "ended": time.time()},
    }  # fmt: skip
    tune.report({**found, "outcome": json.dumps(outcome)})


def plain(config: dict[str, Any]) -> None:
    """The same report without a record, for plain Ray Tune."""
    from ray import tune

    tune.report({"accuracy.en": 0.5, "fisher_trace": 1.0})


def ours(count: int, seconds: float, decided: Resources, folder: Path) -> tuple[float, list[TrialRecord]]:
    """A sweep over sleeping trials, with records and progress as in a study: its wall seconds, and its records."""
    from study.sweep.tune import sweep

    store = open_store(str(folder))
    trials = [PlannedTrial(f"t{i:05d}", "arm", f"arm={i}", i, TrialConfig(seed=i)) for i in range(count)]
    records: list[TrialRecord] = []

    def write(record: TrialRecord) -> None:
        write_trial(store, record)
        records.append(record)

    with (
        open(os.devnull, "w") as nowhere,
        Interruption() as interruption,
        SweepProgress(Console(file=nowhere), trials, done=0) as progress,
    ):
        start = time.perf_counter()
        sweep(trials, seconds, decided, store, "0001", write, progress, interruption, sleep)
        wall = time.perf_counter() - start
    if [record.state for record in records] != ["complete"] * count:
        raise RuntimeError(f"{len(records)} of {count} trials ended: {sorted({r.reason for r in records})}")
    return wall, records


def plain_tune(count: int, decided: Resources, folder: Path) -> float:
    """Wall seconds of plain Ray Tune with reused actors and its default loggers."""
    from ray import tune

    disabled = os.environ.pop("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS")
    try:
        tuner = tune.Tuner(
            tune.with_resources(plain, {"cpu": decided.cpus_per_trial}),
            param_space={"seed": tune.grid_search(list(range(count)))},
            tune_config=tune.TuneConfig(reuse_actors=True),
            run_config=tune.RunConfig(name="plain", storage_path=str(folder), verbose=0),
        )
        start = time.perf_counter()
        found = tuner.fit()
        wall = time.perf_counter() - start
    finally:
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = disabled
    if found.num_terminated != count:
        raise RuntimeError(f"{found.num_terminated} of {count} plain trials ended")
    return wall


def sweeps(sleepers: int, seconds: float, trivial: int, rounds: int, folder: Path) -> dict[str, float]:
    """The parts that need Ray, in one session with two slots."""
    prepare_ray("local")
    from study.sweep.tune import session

    cpus = max(usable_cpus() // SLOTS, 1 / SLOTS)
    with session(Resources(concurrency=SLOTS, cpus_per_trial=cpus, gpus_per_trial=0.0)) as decided:
        _, records = ours(sleepers, seconds, decided, folder / "sleepers")
        begun, ended = ([r.provenance[name] for r in records] for name in ("begun", "ended"))
        wall = max(ended) - min(begun)
        slept = sleepers * seconds
        pairs = [
            (plain_tune(trivial, decided, folder / f"plain{i}"), ours(trivial, 0.0, decided, folder / f"ours{i}")[0])
            for i in range(rounds)
        ]
    return {
        "sleepers_wall": wall,
        "use": slept / (SLOTS * wall),
        "overhead": (SLOTS * wall - slept) / sleepers,
        "trivial_plain": statistics.median(theirs for theirs, _ in pairs),
        "trivial_ours": statistics.median(own for _, own in pairs),
        "trivial_ratio": statistics.median(own / theirs for theirs, own in pairs),
        "trivial_ratio_lowest": min(own / theirs for theirs, own in pairs),
        "trivial_ratio_highest": max(own / theirs for theirs, own in pairs),
    }


def startup(folder: Path) -> float:
    """Seconds from typing a command to the start of its only trial, according to the trial's record."""
    settings = [word for path, value in TINY.items() for word in ("--set", f"{path}={value}")]
    command = [sys.executable, "-m", "study", "run", "quick", "--arms", "baseline", "--seeds", "1", "--quiet"]
    start = time.time()
    subprocess.run([*command, *settings, "--storage", str(folder)], check=True, capture_output=True)
    (file,) = (folder / "quick" / "trials").glob("*.json")
    record = TrialRecord.model_validate_json(file.read_bytes())
    return file.stat().st_mtime - float(record.provenance["seconds"]) - start


def reading(trials: int, folder: Path) -> dict[str, float]:
    """Wall and CPU seconds of `list` and `show` in a storage with one study of that many trials."""
    name = f"s{trials}"
    write_study(folder / name, {"baseline": 1, "kl": 6, "fpen": 6, "l2": 6, "lr": 1}, seeds=trials // 20)
    found = {}
    for command in (["list"], ["show", name]):
        before, start = _children(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "study", *command, "--storage", str(folder)], check=True, capture_output=True
        )
        found[f"{command[0]}_{trials}"] = time.perf_counter() - start
        found[f"{command[0]}_{trials}_cpu"] = _children() - before
    return found


def _children() -> float:
    """CPU seconds of the child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def bars(found: dict[str, float]) -> tuple[list[str], bool]:
    """One line for each bar that was measured, and whether all are met."""
    lines, all_met = [], True
    for what, name, sense, limit, unit in BARS:
        if name in found:
            met = found[name] >= limit if sense == "at least" else found[name] <= limit
            all_met = all_met and met
            verdict = "met" if met else "NOT MET"
            lines.append(f"- {what}: {found[name]:.2f}{unit}, {sense} {limit:g}{unit}: {verdict}")
    return lines, all_met


def in_folder(part: Callable[[Path], Any]) -> Any:
    """The result of one part, run in its own folder."""
    with tempfile.TemporaryDirectory() as folder:
        return part(Path(folder))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sleepers", type=int, default=24, help="trials that sleep")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each sleeps")
    parser.add_argument("--trivial", type=int, default=1000, help="trials that do nothing")
    parser.add_argument("--rounds", type=int, default=3, help="of trivial trials, each of Tune's own and ours")
    parser.add_argument("--studies", default="1000,10000", help="trials of the studies to list and show")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    found: dict[str, float] = {}
    for size in map(int, options.studies.split(",")):
        print(f"list and show of {size:,} trials ...", flush=True)
        found |= in_folder(lambda folder, size=size: reading(size, folder))
    print("start-up ...", flush=True)
    found["startup"] = in_folder(startup)
    print("sweeps ...", flush=True)
    found |= in_folder(
        lambda folder: sweeps(options.sleepers, options.seconds, options.trivial, options.rounds, folder)
    )
    lines, all_met = bars(found)
    versions = {name: importlib.metadata.version(name) for name in ("ray", "torch", "pandas", "pydantic")}
    versions |= {"python": platform.python_version(), "machine": platform.machine(), "CPUs": str(os.cpu_count())}
    text = "\n".join(
        [
            "# The sweep: what it costs beside the trials",
            "",
            f"Written by `python -m benchmarks.sweep`. {SLOTS} slots, load average before it {load:.1f}. "
            "`list` and `show`: seconds of the whole command.",
            "",
            ", ".join(f"{key} {value}" for key, value in versions.items()),
            "",
            "| measured | value |",
            "| --- | --- |",
            *(f"| {name} | {value:.3f} |" for name, value in found.items()),
            "",
            "### Bars",
            "",
            *lines,
            "",
        ]
    )
    print(text)
    if vars(options) != vars(parser.parse_args([])):
        print("not written: only some of the parts were run in full")
    else:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "sweep.md").write_text(text, encoding="utf-8")
        (RESULTS / "sweep.json").write_text(json.dumps({"versions": versions, "found": found}, indent=1) + "\n")
    sys.exit(0 if all_met else 1)


if __name__ == "__main__":
    main()
