"""The state of a trial between two epochs: one safetensors file, whose header contains all non-tensors as JSON.

Random streams are stateless, so the weights, the optimiser and the results so far are all there is to keep. A trial
that resumes from here finds, bit for bit, the numbers that it would have found without an interruption.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from trainables.measuring.measurements import CurvePoint
from trainables.training.kept_weights import Kept, State

HEADER = "state"
SHARE = 0.03
"""Share of a trial's time that checkpoints may take, where one takes longer than ``BRIEF``."""
BRIEF = 0.1
"""Seconds."""


class Files(Protocol):
    """A folder whose files are whole or absent."""

    def read(self, name: str) -> bytes:
        """The content of a file; FileNotFoundError when there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file completely or not at all."""


@dataclass(frozen=True)
class StageState:
    """The state of one stage's loop.

    Attributes:
        epoch: Epochs done.
        steps: Optimiser steps done.
        means: Names of the loss and of each penalty to their means over the last epoch.
        optimizer: ``PARAMETER.KEY`` to tensor, parameters by their number in the optimiser.
        kept: What the stage keeps of earlier weights, if anything.
    """

    epoch: int
    steps: int
    means: dict[str, float]
    model: State
    optimizer: State
    kept: Kept | None = None


@dataclass
class Standing:
    """The state of a trial.

    Attributes:
        values: Measurements so far; none before the end of stage 0.
        steps: Optimiser steps of the finished stages.
        english: Weights after stage 0, or None before its end.
        finished: Languages whose second stage has ended.
        stage: The stage in progress, or None between two stages.
    """

    curves: list[CurvePoint] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    english: State | None = None
    finished: list[str] = field(default_factory=list)
    stage: StageState | None = None

    def text(self) -> str:
        """The state in words."""
        stages = "the start" if self.english is None else " and ".join(["stage 0", *self.finished])
        return stages if self.stage is None else f"{stages} and epoch {self.stage.epoch} of the next stage"


class TrialCheckpoint:
    """The one checkpoint of a trial.

    Args:
        files: Where checkpoints are kept, or None to keep none.
        key: What must be unchanged for the trial to resume: configuration, content, software.
    """

    def __init__(self, files: Files | None, trial_id: str, key: str) -> None:
        self._files = files
        self._name = f"{trial_id}.safetensors"
        self._key = hashlib.sha256(key.encode()).hexdigest()
        self._before = 0.0
        self._started = time.perf_counter()
        self._next = self._started
        self._notes: dict[str, str] = {}

    def load(self, device: torch.device) -> Standing:
        """The state of the trial; its start when it has no checkpoint, or none that can be used."""
        if self._files is None:
            return Standing()
        try:
            standing, self._before = unpack(self._files.read(self._name), self._key, device)
        except FileNotFoundError:
            return Standing()
        except (OSError, ValueError) as error:
            self._notes["checkpoint"] = f"not used, so the trial began anew: {error}"
            return Standing()
        self._notes["continued_from"] = standing.text()
        return standing

    def save(self, standing: Standing) -> None:
        """Replace the saved state with the trial's current one, unless it is too soon after the last time.

        With a large model or slow storage, saving would otherwise take up much of a short epoch. What is not saved is
        computed again if the trial is interrupted.
        """
        began = time.perf_counter()
        if self._files is None or began < self._next:
            return
        try:
            self._files.write(self._name, pack(standing, self._key, self.seconds))
        except OSError as error:
            # The measurement does not need it: a worker may have no access to the driver's folder.
            self._notes["checkpoint"] = f"not kept: {error}"
        ended = time.perf_counter()
        self._next = ended + (ended - began) / SHARE if ended - began > BRIEF else ended

    @property
    def seconds(self) -> float:
        """Time that the trial has taken, including the time before its checkpoint."""
        return self._before + time.perf_counter() - self._started

    @property
    def provenance(self) -> dict[str, str]:
        """What a record says about it: ``continued_from``, and ``checkpoint`` where something went wrong."""
        return dict(self._notes)


def pack(standing: Standing, key: str, seconds: float) -> bytes:
    """A checkpoint as the content of a safetensors file, usable with the same key; ``seconds`` is the time so far."""
    groups: dict[str, State] = {"english": standing.english or {}}
    header: dict[str, Any] = {
        "key": key,
        "seconds": seconds,
        "curves": [point.as_dict() for point in standing.curves],
        "values": standing.values,
        "steps": standing.steps,
        "ended": standing.english is not None,
        "finished": standing.finished,
        "stage": None,
    }
    if (stage := standing.stage) is not None:
        kept_by = None if stage.kept is None else stage.kept[0]
        header["stage"] = {"epoch": stage.epoch, "steps": stage.steps, "means": stage.means, "kept": kept_by}
        groups |= {"model": stage.model, "optimizer": stage.optimizer}
        groups["kept"] = {} if stage.kept is None else stage.kept[1]
    tensors: State = {}
    seen: set[int] = set()
    for group, state in groups.items():
        for name, tensor in state.items():
            kept = tensor.detach().cpu().contiguous()
            if kept.data_ptr() in seen:  # safetensors refuses tensors that share their memory
                kept = kept.clone()
            seen.add(kept.data_ptr())
            tensors[f"{group}/{name}"] = kept
    return bytes(save(tensors, {HEADER: json.dumps(header)}))


def unpack(content: bytes, key: str, device: torch.device) -> tuple[Standing, float]:
    """The state of the trial in content made by ``pack``, and the seconds that the trial had taken.

    Raises:
        ValueError: The file is damaged, or belongs to another configuration, content or software.
    """
    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][HEADER])
    except (SafetensorError, KeyError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"it is damaged ({error})") from None
    if header["key"] != key:
        raise ValueError("it is of another configuration, model, data, software or number of CPUs")
    groups: dict[str, State] = {"english": {}, "model": {}, "optimizer": {}, "kept": {}}
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        groups[group][rest] = tensor.to(device)
    stage = None
    if (at := header["stage"]) is not None:
        kept = None if at["kept"] is None else (at["kept"], groups["kept"])
        stage = StageState(at["epoch"], at["steps"], at["means"], groups["model"], groups["optimizer"], kept)
    standing = Standing(
        curves=[CurvePoint(**point) for point in header["curves"]],
        values=header["values"],
        steps=header["steps"],
        english=groups["english"] if header["ended"] else None,
        finished=header["finished"],
        stage=stage,
    )
    return standing, float(header["seconds"])
