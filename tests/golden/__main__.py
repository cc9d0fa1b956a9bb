"""Make the golden study's numbers again, with a reason: ``python -m tests.golden --reason "..." [STUDY_FOLDER]``.

With a study folder its study.json and trial records replace the golden study first; without one only numbers.json is
made again. Every change adds a line to reasons.md.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
from pathlib import Path

from analysis.configurations import tables
from analysis.report import compute, numbers_json
from study.store.results import load

HERE = Path(__file__).parent
STUDY = HERE / "study"


def numbers() -> bytes:
    """numbers.json of the golden study, without the names of figures."""
    study = tables(load(str(STUDY)))
    return numbers_json(study, compute(study), [])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--reason", required=True, help="why the numbers change, kept in reasons.md")
    parser.add_argument("study", nargs="?", type=Path, help="a finished study that replaces the golden one")
    arguments = parser.parse_args()
    reason = " ".join(arguments.reason.split())
    if not reason:
        parser.error("--reason takes a sentence")
    if arguments.study is not None:
        results = load(str(arguments.study))
        if results.account["complete"] != results.account["planned"]:
            parser.error(f"{arguments.study} is not complete: {results.account}")
        shutil.rmtree(STUDY, ignore_errors=True)
        (STUDY / "trials").mkdir(parents=True)
        for name in ["study.json", *(f"trials/{trial_id}.json" for trial_id in results.trials["trial_id"])]:
            shutil.copyfile(arguments.study / name, STUDY / name)
    (HERE / "numbers.json").write_bytes(numbers())
    with (HERE / "reasons.md").open("a", encoding="utf-8") as file:
        file.write(f"- {datetime.date.today().isoformat()}: {reason}\n")


if __name__ == "__main__":
    main()
