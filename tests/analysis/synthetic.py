"""A synthetic study folder, written as a study writes it, with planted associations: no training, no Ray."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.numbers import Number, Numbers
from trainables.config import TrialConfig
from trainables.config.dotted_paths import with_values

WEIGHT = {
    "kl": "stages.0.consistency.weight",
    "fpen": "stages.0.penalties.fisher.weight",
    "l2": "stages.0.penalties.l2.weight",
    "lr": "stages.0.optimizer.learning_rate",
    "dropout": "model.dropout.hidden",
}
WEIGHTS = {
    "kl": (0.0, 0.05, 0.16, 0.5, 1.6, 5.0),
    "fpen": (1e-3, 1e-2, 1e-1, 1.0, 3.0, 10.0),
    "l2": (1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2),
    "lr": (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 4e-4),
    "dropout": (0.0, 0.05, 0.1, 0.2, 0.3, 0.4),
}
LANGUAGES = ("de", "es", "zh")


def write_study(
    folder: Path,
    families: Mapping[str, int] | None = None,
    *,
    seeds: int = 3,
    r: float = -0.6,
    stage2: bool = True,
    curves: bool = True,
    random_seed: int = 0,
    edit: Any = None,
) -> Path:
    """Write study.json and trials/*.json; ``edit(records)`` may change or drop records before they are written.

    Family means of accuracy and ln Tr(F) rise together, whatever ``r`` plants within families (a Simpson case when r
    is negative).
    """
    families = {"baseline": 1, "kl": 6, "fpen": 6, "l2": 6} if families is None else families
    rng = np.random.default_rng(random_seed)
    base = with_values(TrialConfig(), {"model.name": "mini", "data.name": "inference", "data.source": "bundled",
                                       "data.stage2_examples": 200 if stage2 else 0})  # fmt: skip
    plan, records = [], []
    for place, (arm, count) in enumerate(families.items()):
        for index in range(count):
            path = WEIGHT.get(arm)
            weight = None if path is None else _weight(arm, index)
            label = arm if path is None else f"{arm}={weight:g}"
            x = rng.normal()
            y = r * x + math.sqrt(1 - r * r) * rng.normal()
            for seed in range(seeds):
                config = with_values(base, {"seed": seed, **({path: weight} if path else {})})
                planned = {"trial_id": f"t{len(plan):05d}", "arm": arm, "label": label, "seed": seed,
                           "config": config.model_dump(mode="json")}  # fmt: skip
                plan.append(planned)
                records.append(_record(planned, x, y, place, rng, stage2, curves))
    arms: list[dict[str, Any]] = []
    for arm, count in families.items():
        grid = {"kind": "grid", "values": [_weight(arm, i) for i in range(count)]} if arm in WEIGHT else None
        arms.append({"name": arm, "set": {}, "search": {WEIGHT[arm]: grid} if grid else {}})
    study = {
        "schema_version": 1, "study": folder.name, "created": "2026-01-01T00:00:00+00:00",
        "description": "A synthetic study.", "plan": plan,
        "fingerprints": {"models": {"mini": "m0"}, "data": {"d": "d0"}},
        "config": {"name": folder.name, "description": "A synthetic study.", "base": base.model_dump(mode="json"),
                   "arms": arms, "seeds": seeds},
        "versions": {"fisher-study": "0.1.0", "python": "3.11", "torch": "2.13.0"},
    }  # fmt: skip
    (folder / "trials").mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps(study), encoding="utf-8")
    for record in records if edit is None else edit(records):
        text = json.dumps(record)
        (folder / "trials" / f"{record['trial_id']}.json").write_text(text, encoding="utf-8")
    return folder


def read_numbers(data: Mapping[str, Mapping[str, Any]]) -> Numbers:
    """The numbers of a numbers.json, as a reader of the file would build them."""
    fields = {key: {"value": None} | {k: v for k, v in item.items() if k != "level"} for key, item in data.items()}
    return Numbers({key: Number(**item) for key, item in fields.items()})


def _weight(arm: str, index: int) -> float:
    values: Sequence[float] = WEIGHTS[arm]
    return values[index] if index < len(values) else float(f"{values[-1] * (1 + 0.01 * (index - 5)):.6g}")


def _record(
    planned: dict[str, Any], x: float, y: float, place: int, rng: np.random.Generator, stage2: bool, curves: bool
) -> dict[str, Any]:
    x, y = x + 0.2 * rng.normal(), y + 0.2 * rng.normal()
    trace = math.exp(0.7 * x + 0.8 * place)
    accuracy = min(0.99, 0.72 + 0.03 * place + 0.012 * y)
    values = {
        "train_accuracy": 0.97, "train_nll": 0.1 + 0.01 * rng.random(), "train_majority_share": 0.34,
        "accuracy.en": accuracy, "nll.en": 0.8 - 0.3 * accuracy, "ece.en": 0.1,
        "fisher_trace": trace, "fisher_trace_se": 0.08 * trace, "fisher_trace_examples": 200.0,
        "fisher_trace.train": 0.7 * trace * math.exp(0.1 * rng.normal()), "generalization_gap": 0.97 - accuracy,
        "measure.label_variance": 0.1 + 0.02 * math.log(trace) * 0.1 + 0.01 * rng.random(),
        "measure.parameter_norm": 50 + rng.normal(), "measure.distance_from_pretrained": 3 + 0.1 * rng.normal(),
        "fisher_trace_layers.embeddings": 0.2 * trace, "fisher_trace_layers.encoder.0": 0.3 * trace,
        "fisher_trace_layers.encoder.1": 0.4 * trace, "fisher_trace_layers.classifier": 0.1 * trace,
    }  # fmt: skip
    for shift, language in enumerate(LANGUAGES):
        before = accuracy - 0.05 - 0.03 * shift + 0.01 * rng.normal()
        values[f"accuracy.{language}"] = before
        values[f"fisher_trace.{language}"] = trace * math.exp(0.1 * rng.normal())
        if stage2:
            gain = 0.04 + 0.01 * shift + 0.006 * y + 0.004 * rng.normal()
            values |= {
                f"stage2.{language}.accuracy_before": before, f"stage2.{language}.accuracy_after": before + gain,
                f"stage2.{language}.gain": gain, f"stage2.{language}.distance": 1.0 + 0.1 * rng.normal(),
                f"stage2.{language}.accuracy_en_after": accuracy - 0.01 + 0.004 * rng.normal(),
            }  # fmt: skip
    values["transfer_gap"] = accuracy - float(np.mean([values[f"accuracy.{lang}"] for lang in LANGUAGES]))
    penalty = {"kl": "consistency", "fpen": "fisher", "l2": "l2"}.get(planned["arm"])
    if penalty:
        values[f"penalty.{penalty}"] = 0.1 * math.exp(-0.2 * x)
    if penalty == "fisher":
        values["weight_in_trace_units"] = planned["config"]["stages"][0]["penalties"]["fisher"]["weight"] / 32
    points = [_point(epoch, name, value) for epoch in range(1, 6)
              for name, value in (("train_loss", 1.1 * 0.6**epoch), ("accuracy.en", accuracy * (1 - 0.3 * 0.5**epoch)),
                                  ("fisher_trace", trace * (1 + 3 * epoch * 0.5**epoch)))]  # fmt: skip
    points += [_point(5, "kl_ratio", 1 + s * 30 + 0.01 * rng.normal(), s) for s in (1e-4, 1e-3, 1e-2)]
    return {
        "schema_version": 1, "study": "synthetic", **planned, "state": "complete", "reason": None,
        "measurements": values, "curves": points if curves else [], "error": None,
        "provenance": {"run": "0001", "seconds": 12.5, "steps": 500, "peak_memory_mib": 800.0, "device": "cpu",
                       "host": "h",
                       "data_fingerprint": "d0", "model_fingerprint": "m0", "version.fisher-study": "0.1.0",
                       "version.torch": "2.13.0", "commit": "abc1234", "dirty": False},
    }  # fmt: skip


def _point(epoch: int, name: str, value: float, x: float | None = None) -> dict[str, Any]:
    return {"stage": 0, "language": "en", "step": 100 * epoch, "epoch": float(epoch), "name": name, "value": value,
            "x": x, "standard_error": 0.01 if name == "kl_ratio" else None}  # fmt: skip
