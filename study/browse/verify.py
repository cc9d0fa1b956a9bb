"""Runs randomly drawn trials of a study again, and says of each number whether it is the same."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from study.browse.telling import say
from study.store.record_files import read_study, read_trials
from study.store.records import TrialRecord
from study.store.storage import Store
from trainables.config import TrialConfig
from trainables.config.dotted_paths import parse, with_values
from trainables.errors import Diverged, InputError
from trainables.measuring.measurements import CurvePoint

if TYPE_CHECKING:
    from trainables.assets import Assets

PLACES = ("model.name", "model.revision", "data.source")
"""Paths that can be set because they may differ between machines; so may the files of views."""
RUN_STATES = ("complete", "not_reached")
MACHINE = ("device", "precision", "host", "model_fingerprint", "data_fingerprint")


@dataclass(frozen=True)
class Comparison:
    """One number of the record beside the same number now; None on the side that lacks it.

    A point of a curve is named by its curve, stage, language and step.
    """

    name: str
    before: float | None
    now: float | None

    @property
    def difference(self) -> float:
        """|now - before| / max(|now|, |before|): 0 for equal bits, infinite when either is absent."""
        if self.before is None or self.now is None:
            return math.inf
        if self.before == self.now:
            return 0.0
        return abs(self.now - self.before) / max(abs(self.now), abs(self.before))


def verify(
    folder: Store, console: Console, trials: int, seed: int, tolerance: float, settings: Mapping[str, str]
) -> bool:
    """Run randomly drawn trials again, in this process, and print how their numbers compare. Writes no file.

    Args:
        console: Where to print; progress goes to the error stream.
        trials: How many to draw from those that ended with measurements; all of them when there are fewer.
        seed: Seed of the draw.
        tolerance: Largest relative difference at which numbers agree; 0 asks for equal bits.
        settings: Where the model and the data are on this machine, path to text.

    Returns:
        Whether every recorded number agrees.

    Raises:
        InputError: The folder is not a study or has no such trial, or the model or the data cannot be found.
    """
    for path in settings:
        if path not in PLACES and not path.endswith(".files"):
            raise InputError(f"verify runs what was recorded: --set takes {', '.join(PLACES)} and *.files, got {path}")
    name = read_study(folder).study
    drawn = draw(folder, trials, seed)
    told = ", ".join(f"{record.label} seed {record.seed}" for record in drawn)
    say(console, f"{name}: drawn by seed {seed}: {told}")
    from trainables.provenance import provenance

    configs = [with_values(parse(record.config), _pinned(record) | dict(settings)) for record in drawn]
    assets = _assets(configs)
    agreed = 0
    for record, config in zip(drawn, configs, strict=True):
        console.print()
        started = time.monotonic()
        found = _again(record, config, assets)
        agreed += show(console, record, found, tolerance, time.monotonic() - started)
        _show_machine(console, record, provenance(config, assets))
    console.print()
    limit = "bit for bit" if tolerance == 0 else f"within a relative difference of {tolerance:g}"
    console.print(f"{agreed} of {len(drawn)} trials agree with their records {limit}", markup=False)
    return agreed == len(drawn)


def draw(folder: Store, trials: int, seed: int) -> list[TrialRecord]:
    """At most ``trials`` trials with measurements, drawn with equal probability; InputError when there are none."""
    records, _ = read_trials(folder)
    able = sorted(trial_id for trial_id, record in records.items() if record.state in RUN_STATES)
    if not able:
        raise InputError(f"{folder.location} has no finished trial to run again")
    return [records[trial_id] for trial_id in random.Random(seed).sample(able, min(trials, len(able)))]


def _pinned(record: TrialRecord) -> dict[str, str]:
    """The commit of the hub model that the trial used, if its configuration asks for the newest."""
    revision = record.provenance.get("model_revision")
    return {"model.revision": revision} if revision and parse(record.config).model.revision is None else {}


def _assets(configs: Sequence[TrialConfig]) -> Assets:
    from trainables.assets import Assets

    try:
        return Assets.resolve(configs)
    except InputError as error:
        raise InputError(f"{error}; say where it lies here: --set model.name=FOLDER --set data.source=FOLDER") from None


def _again(record: TrialRecord, config: TrialConfig, assets: Assets) -> list[Comparison]:
    """The trial's numbers beside the recorded ones, computed again with the same number of threads."""
    import torch

    from trainables.software import threads
    from trainables.trial import fine_tune

    torch.set_num_threads(threads(float(record.provenance.get("cpus", 1))))
    stderr = Console(stderr=True)
    what = f"running {record.label} seed {record.seed} again"
    took = record.provenance.get("seconds")
    stderr.print(what + ("" if took is None else f" (took {took:.0f} s when recorded)"), markup=False)
    with stderr.status(what) as status:

        def report(point: CurvePoint) -> None:
            status.update(f"{what}: stage {point.stage}, {point.language}, epoch {point.epoch:.3g}")

        try:
            found = fine_tune(config, assets, report)
        except Diverged as error:
            stderr.print(f"it diverged: {error}", markup=False)
            return compare(record, {}, [])
    return compare(record, found.values, [point for point in found.curves if math.isfinite(point.value)])


def compare(record: TrialRecord, values: Mapping[str, float], curves: Sequence[CurvePoint]) -> list[Comparison]:
    """Every number of a record beside the same number now, for each name on either side; measurements come first."""
    before: dict[str, float] = dict(record.measurements)
    now = dict(values)
    before |= {_point(p.stage, p.language, p.name, p.step, p.x): p.value for p in record.curves}
    now |= {_point(p.stage, p.language, p.name, p.step, p.x): p.value for p in curves}
    return [Comparison(name, before.get(name), now.get(name)) for name in dict.fromkeys([*before, *now])]


def _point(stage: int, language: str, name: str, step: int, x: float | None) -> str:
    at = "" if x is None else f" at {x:g}"
    return f"curve {name}, stage {stage}, {language}, step {step}{at}"


def show(console: Console, record: TrialRecord, found: Sequence[Comparison], tolerance: float, seconds: float) -> bool:
    """Print one trial's comparison: equal numbers as counts, the others as a table, largest difference first.

    Args:
        tolerance: Largest relative difference at which numbers agree.
        seconds: How long the run took.

    Returns:
        Whether every recorded number agrees. A number that is missing from the record does not count: it is one that
        only a later version measures.
    """
    recorded = [number for number in found if number.before is not None]
    differing = sorted((n for n in recorded if n.difference > 0), key=lambda number: -number.difference)
    equal = len(recorded) - len(differing)
    agrees = all(number.difference <= tolerance for number in recorded)
    title = f"{record.label} seed {record.seed} ({record.trial_id}, {seconds:.0f} s)"
    console.print(f"{title}: {equal} of {len(recorded)} recorded numbers are equal bit for bit", markup=False)
    if later := len(found) - len(recorded):
        console.print(f"{later} numbers are not in the record: another version measures more", markup=False)
    finite = [number for number in differing if math.isfinite(number.difference)]
    if finite:
        console.print(f"largest relative difference: {finite[0].difference:.2g}, of {finite[0].name}", markup=False)
    if differing:
        table = Table("number", "record", "now", "relative difference", box=None)
        for number in differing:
            now = "absent" if number.now is None else f"{number.now:.10g}"
            table.add_row(number.name, f"{number.before:.10g}", now, f"{number.difference:.2g}")
        console.print(table)
    return agrees


def _show_machine(console: Console, record: TrialRecord, now: Mapping[str, Any]) -> None:
    names = [name for name in now if name.startswith("version.") or name in MACHINE]
    then = record.provenance
    changed = [f"{name} {then[name]} -> {now[name]}" for name in names if name in then and then[name] != now[name]]
    if changed:
        say(console, f"since then: {'; '.join(changed)}")
