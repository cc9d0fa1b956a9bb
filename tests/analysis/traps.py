"""Null studies made from a recorded one: outcomes that have nothing to do with Tr(F), and causes that look as if.

``python -m tests.analysis.traps [STUDIES]`` counts the words. Shares no code with benchmarks/traps.py.
"""

from __future__ import annotations

import copy
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analysis.configurations import tables
from analysis.report import compute
from study.store.results import load

LANGUAGES = ("de", "es", "zh")
Values = dict[str, float]
Edit = Callable[[np.random.Generator, Values, float, float, float], None]


def restage(records: list[dict[str, Any]], edit: Edit, seed: int, halves: bool = False) -> list[dict[str, Any]]:
    """Records with other outcomes.

    Args:
        records: Those of a complete study.
        edit: Changes measurements, given a generator, the dose's rank in its family (0 to 1), how strongly the family
            acts, and the configuration's own deviate.
        seed: Of everything drawn.
        halves: Also give the second stage's halves.

    Returns:
        Copies.
    """
    rng = np.random.default_rng(seed)
    out = copy.deepcopy(records)
    arms: dict[str, list[str]] = {}
    for record in out:
        labels = arms.setdefault(record["arm"], [])
        if record["label"] not in labels:
            labels.append(record["label"])
    for labels in arms.values():
        labels.sort(key=lambda label: float(label.partition("=")[2] or 0))
    strength = {arm: 0.0 if arm == "baseline" else rng.uniform(0.5, 1.5) for arm in arms}
    own = {(arm, label): rng.normal() for arm, labels in arms.items() for label in labels}
    for record in out:
        labels = arms[record["arm"]]
        dose = labels.index(record["label"]) / max(1, len(labels) - 1)
        values = record["measurements"]
        for name in [name for name in values if ".half" in name]:
            if not halves:
                del values[name]
        edit(rng, values, dose, strength[record["arm"]], own[record["arm"], record["label"]])
        if halves:
            _split(rng, values)
    return out


def _split(rng: np.random.Generator, values: Values) -> None:
    """Halves that add up, with binomial differences."""
    for language in LANGUAGES:
        before, gain = (values[f"stage2.{language}.{what}"] for what in ("accuracy_before", "gain"))
        off, other = rng.normal(0, 0.017), rng.normal(0, 0.017)
        for half, sign in (("half1", 1), ("half2", -1)):
            values[f"stage2.{language}.{half}.accuracy_before"] = before + sign * off
            values[f"stage2.{language}.{half}.gain"] = gain + sign * (other - off)


def _gains(rng: np.random.Generator, values: Values, start: float, after: float, noise: float) -> None:
    for language, shift in zip(LANGUAGES, (0.0, -0.03, -0.06), strict=True):
        before = float(np.clip(start + shift + rng.normal(0, noise), 0.05, 0.98))
        end = float(np.clip(after + shift + rng.normal(0, noise), 0.05, 0.98))
        values[f"accuracy.{language}"] = values[f"stage2.{language}.accuracy_before"] = before
        values[f"stage2.{language}.accuracy_after"], values[f"stage2.{language}.gain"] = end, end - before


def underfit(steep: float, noise: float, curve: str = "linear") -> Edit:
    """Strong doses do not fit: accuracy, Tr(F) and training accuracy fall and NLL rises together."""

    def edit(rng: np.random.Generator, values: Values, dose: float, strength: float, own: float) -> None:
        lost = 0.6 * strength * max(0.0, dose - 0.2) ** 2
        values["train_accuracy"] = float(np.clip(0.97 - lost + rng.normal(0, noise / 2), 0.34, 1.0))
        values["train_nll"] = float(max(0.02, 0.12 + 1.4 * lost + rng.normal(0, noise)))
        flat = lost if curve == "linear" else 0.3 * np.log1p(lost / 0.05)
        values["fisher_trace"] = float(np.exp(6.3 - steep * flat + 0.2 * own + rng.normal(0, 0.1)))
        values["fisher_trace_se"] = 0.1 * values["fisher_trace"]
        values["accuracy.en"] = float(np.clip(0.85 - 0.9 * lost + rng.normal(0, 0.012), 0.3, 1.0))
        start = 0.72 - 0.8 * lost
        _gains(rng, values, start, 0.80 - 0.3 * lost, 0.012)

    return edit


def head_start(spread: float, noise: float, kept: float = 0.0) -> Edit:
    """Flatter doses start higher and so have less to gain; where they end has nothing to do with Tr(F)."""

    def edit(rng: np.random.Generator, values: Values, dose: float, strength: float, own: float) -> None:
        values["train_accuracy"] = float(np.clip(0.97 + rng.normal(0, 0.004), 0, 1))
        values["train_nll"] = float(max(0.02, 0.12 + rng.normal(0, 0.01)))
        values["fisher_trace"] = float(np.exp(6.3 - 1.2 * strength * dose + 0.2 * own + rng.normal(0, 0.1)))
        values["fisher_trace_se"] = 0.1 * values["fisher_trace"]
        values["accuracy.en"] = float(0.85 + rng.normal(0, 0.012))
        start = 0.60 + spread * strength * dose
        _gains(rng, values, start, 0.78 + kept * (start - 0.60), noise)

    return edit


def both(rng: np.random.Generator, values: Values, dose: float, strength: float, own: float) -> None:
    """Doses under-fit a little and start higher."""
    underfit(4.0, 0.01)(rng, values, 0.6 * dose, strength, own)
    lost = 0.6 * strength * max(0.0, 0.6 * dose - 0.2) ** 2
    values["fisher_trace"] *= float(np.exp(-0.8 * strength * dose))
    _gains(rng, values, 0.60 + 0.1 * strength * dose - 0.5 * lost, 0.78 - 0.8 * lost, 0.012)


def real(effect: float) -> Edit:
    """No trap: at equal fit accuracy and gain fall with what moves ln Tr(F)."""

    def edit(rng: np.random.Generator, values: Values, dose: float, strength: float, own: float) -> None:
        head_start(0.0, 0.008)(rng, values, dose, 0.0, 0.0)
        values["fisher_trace"] = float(np.exp(6.3 + 0.4 * own + rng.normal(0, 0.08)))
        values["accuracy.en"] = float(0.85 - effect * own + rng.normal(0, 0.008))
        _gains(rng, values, 0.65, 0.80 - effect * own, 0.008)

    return edit


TRAPS: dict[str, Edit] = {
    "under-fit": underfit(4.0, 0.01),
    "under-fit, steep": underfit(10.0, 0.01),
    "under-fit, steep, noisy NLL": underfit(10.0, 0.02),
    "under-fit, curved": underfit(4.0, 0.01, "log"),
    "under-fit, exact": underfit(6.0, 0.0),
    "start": head_start(0.12, 0.012),
    "start, strong": head_start(0.25, 0.012),
    "start, small": head_start(0.05, 0.012),
    "start, noisy": head_start(0.12, 0.025),
    "start, half kept": head_start(0.15, 0.012, 0.5),
    "both": both,
    "real effect": real(0.02),
}


def written(study: Path, folder: Path, records: list[dict[str, Any]]) -> Path:
    """Write a study again with other measurements, for ``fisher-study report``.

    Args:
        study: Folder of the study.
        folder: The new folder; what it holds is replaced.
        records: Its records with other measurements.

    Returns:
        The new folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "trials").mkdir(parents=True)
    shutil.copy(study / "study.json", folder)
    for record in records:
        # A curve would still show what was measured before.
        text = json.dumps(record | {"curves": []})
        (folder / "trials" / f"{record['trial_id']}.json").write_text(text, encoding="utf-8")
    return folder


def words(folder: Path) -> dict[str, str]:
    """The words of a study's report.

    Args:
        folder: Folder of the study.

    Returns:
        Hypothesis to word.
    """
    return {v.hypothesis: v.word for v in compute(tables(load(str(folder)))).verdicts}


def main() -> None:
    """Count words for every trap and design."""
    from tempfile import TemporaryDirectory

    from tests.analysis.synthetic import write_study
    from tests.golden.__main__ import STUDY

    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with TemporaryDirectory() as folder:
        six = {"baseline": 1, "kl": 6, "fpen": 6, "l2": 6, "lr": 6, "dropout": 6}
        designs = {
            "quick (24 x 1)": STUDY,
            "36 x 3": write_study(Path(folder) / "s", six | {"baseline": 1}, curves=False),
        }
        for design, path in designs.items():
            records = [json.loads(file.read_text()) for file in sorted((path / "trials").glob("*.json"))]
            for name, edit in TRAPS.items():
                for halves in (False, True):
                    counts: dict[str, Counter[str]] = {"H1": Counter(), "H4": Counter()}
                    for seed in range(studies):
                        found = words(written(path, Path(folder) / "edited", restage(records, edit, seed, halves)))
                        for key, counter in counts.items():
                            counter[found[key]] += 1
                    said = "; ".join(f"{key} {dict(counter)}" for key, counter in counts.items())
                    print(f"{design}, {name}{', halves' if halves else ''}: {said}", flush=True)


if __name__ == "__main__":
    main()
