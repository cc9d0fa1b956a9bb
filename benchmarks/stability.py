"""Which verdicts of the quick study are stable: the study under ten conditions, run piecemeal if need be.

Usage: python -m benchmarks.stability [--folder FOLDER] [--only NAME,...] [-- OPTIONS OF fisher-study run]

There are five seeds of data and trials, and five kinds of arithmetic that represent other machines: kernels of PyTorch
(ATEN_CPU_CAPABILITY), kernels of oneDNN (ONEDNN_MAX_CPU_ISA), and two threads per trial. A condition whose study is
finished in the folder is not run again; an interrupted one is resumed. The table covers all finished conditions; it is
written into benchmarks/results when all ten are finished and the study is unchanged.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
HYPOTHESES = ("H1", "H2", "H3", "H4")
ENOUGH = 0.9
"""Share of the conditions in which a verdict must occur to be quoted."""


@dataclass(frozen=True)
class Condition:
    """One way to run the study.

    Attributes:
        name: Name of its study.
        text: How it differs from the first condition.
        seed: Seed of the data and of the trials.
        environment: Variables of the process.
        threads: CPU threads of a trial.
    """

    name: str
    text: str
    seed: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1


CONDITIONS = (
    *(Condition(f"seed-{seed}", f"data.seed={seed}, seed={seed}", seed) for seed in range(5)),
    Condition("aten-default", "ATEN_CPU_CAPABILITY=default", environment={"ATEN_CPU_CAPABILITY": "default"}),
    Condition("aten-avx2", "ATEN_CPU_CAPABILITY=avx2", environment={"ATEN_CPU_CAPABILITY": "avx2"}),
    Condition("onednn-sse41", "ONEDNN_MAX_CPU_ISA=SSE41", environment={"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    Condition("onednn-avx2", "ONEDNN_MAX_CPU_ISA=AVX2", environment={"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    Condition("two-threads", "two threads a trial", threads=2),
)


def command(condition: Condition, folder: Path, options: Sequence[str]) -> list[str]:
    """The command that runs or resumes a condition.

    Args:
        condition: The condition.
        folder: Where the studies are.
        options: Further options of ``run``.

    Returns:
        A command and its arguments.
    """
    cpus = ["--cpus-per-trial", str(condition.threads)]
    start = [sys.executable, "-m", "study"]
    if (folder / condition.name / "study.json").exists():
        return [*start, "resume", condition.name, "--storage", str(folder), *cpus]
    seeds = ["--set", f"data.seed={condition.seed}", "--set", f"seed={condition.seed}"]
    return [*start, "run", "quick", "--name", condition.name, "--storage", str(folder), *seeds, *cpus, *options]


def words(folder: Path, name: str) -> dict[str, str] | None:
    """The verdicts in a condition's report.

    Args:
        folder: Where the studies are.
        name: The study.

    Returns:
        Hypothesis to verdict; None if the study is not finished.
    """
    try:
        found = json.loads((folder / name / "report" / "numbers.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    counts = {key: number["value"] for key, number in found["numbers"].items() if key.startswith("account.")}
    if counts["account.unfinished"] or counts["account.unreadable"]:
        return None
    return {key: found["hypotheses"][key]["word"] for key in HYPOTHESES}


def table(found: Mapping[str, Mapping[str, str]], conditions: Sequence[Condition] = CONDITIONS) -> str:
    """The verdicts by condition, and what may be said of each hypothesis.

    Args:
        found: Condition to hypothesis to verdict, for finished conditions.
        conditions: All conditions.

    Returns:
        Markdown.
    """
    lines = ["| condition | " + " | ".join(HYPOTHESES) + " |", "| --- |" + " --- |" * len(HYPOTHESES)]
    for condition in conditions:
        if (row := found.get(condition.name)) is not None:
            lines.append(f"| {condition.text} | " + " | ".join(row[key] for key in HYPOTHESES) + " |")
    said = []
    for key in HYPOTHESES:
        (word, count), *_ = Counter(row[key] for row in found.values()).most_common(1) or [("undecided", 0)]
        stands = count >= ENOUGH * len(conditions)
        said.append(
            f"{word} ({count} of {len(conditions)})" if stands else f"undecided (no word in 9 of {len(conditions)})"
        )
    lines.append("| **what may be said** | " + " | ".join(said) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is not finished, print the table, and write it if it is complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fisher-study-stability")
    parser.add_argument("--only", help="names of conditions, with commas")
    parser.add_argument("options", nargs="*", help="options of fisher-study run, after --: a reduced study, not kept")
    arguments = parser.parse_args()
    known = {condition.name: condition for condition in CONDITIONS}
    names = list(known) if arguments.only is None else arguments.only.split(",")
    if unknown := [name for name in names if name not in known]:
        parser.error(f"unknown condition {unknown[0]}; known are {', '.join(known)}")
    for name in names:
        if words(arguments.folder, name) is None:
            print(f"== {known[name].text}", flush=True)
            environment = {**os.environ, **known[name].environment}
            code = subprocess.run(
                command(known[name], arguments.folder, arguments.options), env=environment, check=False
            ).returncode
            if words(arguments.folder, name) is None:
                sys.exit(f"condition {name} ended with exit code {code}; the same command goes on with it")
    found = {name: row for name in known if (row := words(arguments.folder, name)) is not None}
    text = table(found)
    print(text)
    if len(found) == len(CONDITIONS) and not arguments.options:
        header = "# Stability of quick's words\n\nWritten by `python -m benchmarks.stability`.\n\n"
        (RESULTS / "stability.md").write_text(header + text, encoding="utf-8")


if __name__ == "__main__":
    main()
