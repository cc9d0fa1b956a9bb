"""What `fisher-study report` costs on large studies: CPU seconds of all its processes.

Usage: python -m benchmarks.report [--trials 1000,10000]

The studies are synthetic: a baseline and four families, four seeds, three target languages with a second stage, and
curves. The main process is counted separately from those that draw the pictures. Times are in CPU seconds, not wall
seconds, since another job may run beside it; a busy machine also makes CPU seconds longer. The pages' script, which the
first report on a machine makes and keeps for all later ones, is also counted separately.

The results are written only if both sizes were run.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

from analysis.page.pictures import LIBRARY

RESULTS = Path(__file__).parent / "results"
SEEDS = 4
FAMILIES = ("kl", "fpen", "l2", "lr")
BARS = {1_000: 15.0, 10_000: 60.0}  # CPU seconds of all processes


def write(folder: Path, trials: int) -> None:
    """Write a synthetic study with that many trials."""
    from tests.analysis.synthetic import write_study

    configurations = range(trials // SEEDS - 1)
    sizes = {family: len(configurations[place :: len(FAMILIES)]) for place, family in enumerate(FAMILIES)}
    write_study(folder, {"baseline": 1, **sizes}, seeds=SEEDS)


def command(folder: str) -> None:
    """Run as `fisher-study report FOLDER`; the last line printed gives CPU seconds of this process and its children."""
    sys.argv = ["fisher-study", "report", folder]
    try:
        runpy.run_module("study", run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    print(json.dumps([_cpu(resource.RUSAGE_SELF), _cpu(resource.RUSAGE_CHILDREN)]))


def _cpu(whose: int) -> float:
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def script() -> float:
    """CPU seconds to make the pages' script, which the cache then contains."""
    before = _cpu(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "analysis.page.pictures", str(Path(folder) / LIBRARY)], check=True)
    return _cpu(resource.RUSAGE_CHILDREN) - before


def measure(trials: int) -> dict[str, float]:
    """CPU seconds of the report on a study of that many trials, and the size of the page."""
    with tempfile.TemporaryDirectory() as storage:
        folder = Path(storage) / f"s{trials}"
        write(folder, trials)
        words = [sys.executable, "-m", "benchmarks.report", "--report", str(folder)]
        out = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
        main_process, pictures = json.loads(out.splitlines()[-1])
        page = (folder / "report" / "report.html").stat().st_size / 2**20
    return {"main": main_process, "pictures": pictures, "all": main_process + pictures, "page_mib": page}


def table(found: dict[int, dict[str, float]]) -> str:
    """The figures as Markdown, with their bars."""
    lines = [
        "| trials | main process | pictures | all | bar | page |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for trials, row in found.items():
        bar = "-"
        if trials in BARS:
            bar = f"{BARS[trials]:g} s: {'met' if row['all'] <= BARS[trials] else 'NOT MET'}"
        seconds = " | ".join(f"{row[name]:.1f} s" for name in ("main", "pictures", "all"))
        lines.append(f"| {trials:,} | {seconds} | {bar} | {row['page_mib']:.1f} MiB |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", default=",".join(map(str, BARS)), help="of each study")
    parser.add_argument("--report", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.report:
        command(options.report)
        return
    load, found = os.getloadavg()[0], {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        made = script()
        for trials in map(int, options.trials.split(",")):
            print(f"report on {trials:,} trials ...", flush=True)
            found[trials] = measure(trials)
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "pandas", "vl-convert-python")}
    versions |= {"python": platform.python_version(), "machine": platform.machine(), "CPUs": str(os.cpu_count())}
    busy = "another job ran beside it" if load > 0.5 else "nothing ran beside it"
    text = "\n".join(
        [
            "# The report on large studies",
            "",
            f"Written by `python -m benchmarks.report`. CPU seconds; load average before it {load:.1f}: {busy}.",
            "",
            ", ".join(f"{key} {value}" for key, value in versions.items()),
            "",
            table(found),
            "",
            f"Apart: the script of the pages, which the first report on a machine makes and keeps: {made:.1f} s.",
            "",
        ]
    )
    print(text)
    if list(found) != list(BARS):
        print("not written: only some of the studies were reported on")
    else:
        (RESULTS / "report.md").write_text(text, encoding="utf-8")
        content = {"versions": versions, "load": load, "script": made, "found": found}
        (RESULTS / "report.json").write_text(json.dumps(content, indent=1) + "\n")
    sys.exit(0 if all(row["all"] <= BARS.get(trials, row["all"]) for trials, row in found.items()) else 1)


if __name__ == "__main__":
    main()
