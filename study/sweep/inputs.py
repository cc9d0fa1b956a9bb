"""The models and data of a study: read and checked before it starts, and checked for changes when it resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from study.browse.telling import tell, working
from study.config import StudyConfig
from study.plan.planning import PlannedTrial, probes
from study.store.folders import study_command
from study.store.records import StudyRecord, TrialRecord
from study.store.storage import Store
from study.sweep.answer import Typed
from study.sweep.resources import Resources
from trainables.errors import InputError
from trainables.schema import identity
from trainables.software import NUMERIC, plugin_versions, threads

if TYPE_CHECKING:
    from trainables.assets import Assets


def resolve(study: StudyConfig, rows: Sequence[PlannedTrial], console: Console) -> tuple[Assets, StudyConfig]:
    """Read the models and data of some trials, and build each model once, so that wrong input is found here.

    Args:
        rows: The study's trials that will run, as far as they are known beforehand.
        console: If it is quiet, notes on the data appear only in study.json and the report.

    Returns:
        Their assets, and the study without the arms that its model cannot run; each of those gets a note.
    """
    from trainables.assets import Assets
    from trainables.cpus import limit_torch
    from trainables.rehearsal.check import check

    limit_torch()
    trials = [*rows, *probes(study)]
    with working(console, "reading the model and the data, and trying every arm on two rows"):
        assets = Assets.resolve(trial.config for trial in trials)
        lines = left_out(trials, assets)
        check(assets, [trial.config for trial in trials if trial.arm not in lines])
    assets.notes[:] = [*lines.values(), *assets.notes]
    for note in assets.notes:
        tell(Console(stderr=True, quiet=console.quiet), f"note: {note}")
    return assets, without(study, lines)


def left_out(trials: Iterable[PlannedTrial], assets: Assets) -> dict[str, str]:
    """The arms that set a dropout which the model does not have, each with a line that says why it is left out.

    ``trials`` contains rows of every arm that counts. If no arm would remain, none is left out: that case is refused
    elsewhere, naming the setting.
    """
    from trainables.models.dropout import can_act

    lines: dict[str, str] = {}
    arms: set[str] = set()
    for row in trials:
        arms.add(row.arm)
        model = row.config.model
        # Most trials set no dropout rate, so their models need not be examined.
        if row.arm not in lines and not can_act(assets.model(row.config).config, model.dropout):
            lines[row.arm] = f"arm {row.arm} is left out: model {model.name} has none of the dropout that it sets"
    return lines if len(lines) < len(arms) else {}


def without(study: StudyConfig, arms: Collection[str]) -> StudyConfig:
    """A study without some of its arms."""
    return study.model_copy(update={"arms": tuple(arm for arm in study.arms if arm.name not in arms)})


def content_of(trials: Sequence[PlannedTrial], assets: Assets) -> dict[str, dict[str, str]]:
    """Fingerprints of all models and data sets that some trials name, and the commit of each hub model."""
    found: dict[str, dict[str, str]] = {"models": {}, "data": {}, "revisions": {}}
    for trial in trials:
        model, data = assets.fingerprints(trial.config)
        named = trial.config.model
        key = named.name if named.revision is None else f"{named.name} at {named.revision}"
        found["models"][key] = model
        if (revision := assets.model(trial.config).revision) is not None:
            found["revisions"][key] = revision
        content = json.dumps(identity(trial.config.data), separators=(",", ":"), ensure_ascii=False)
        draw = hashlib.sha256(content.encode()).hexdigest()[:8]
        files = dict.fromkeys(view.files for stage in trial.config.stages for view, _ in stage.views() if view.files)
        beside = f", view files {' and '.join(files)}" if files else ""
        found["data"][f"{trial.config.data.name} from {trial.config.data.source}, draw {draw}{beside}"] = data
    return found


def refuse_changes(
    record: StudyRecord,
    folder: Store,
    pending: Sequence[PlannedTrial],
    kept: Mapping[str, TrialRecord],
    assets: Assets,
    resources: Resources,
    typed: Typed,
    now: Mapping[str, str | bool | None],
) -> None:
    """Refuse to continue if code, data or weights have changed since a study began.

    Args:
        kept: Records that stay, by trial id.
        typed: Options to repeat in the suggested command that continues nevertheless.
        now: Versions of the software.

    Raises:
        InputError: Something changed; the message names it, and that command.
    """
    changed = [
        f"{name}: {record.versions.get(name)} -> {now[name]}"
        for name in NUMERIC
        if record.versions.get(name) != now[name]
    ]
    for name, here in plugin_versions(trial.config for trial in pending).items():
        there = {r.provenance[name] for r in kept.values() if name in r.provenance} - {here}
        changed += [f"{name}: {version} -> {here}" for version in sorted(there)]
    found = content_of(pending, assets)
    for kind in ("models", "data"):  # another commit with the same content is not a change
        before = record.fingerprints[kind]
        changed += [
            f"{kind} {key}: {before[key]} -> {new}" for key, new in found[kind].items() if before.get(key, new) != new
        ]
    # The number of threads determines the order in which numbers are added.
    used = {threads(float(r.provenance["cpus"])) for r in kept.values() if "cpus" in r.provenance}
    if used and threads(resources.cpus_per_trial) not in used:
        was = " and ".join(map(str, sorted(used)))
        changed.append(f"threads of a trial (--cpus-per-trial): {was} -> {threads(resources.cpus_per_trial)}")
    if changed:
        command = study_command("resume", folder, *typed.all, "--accept-changes")
        raise InputError(
            f"since study {record.study} began, this changed: {'; '.join(changed)}. Trials of both would be mixed: "
            f"bring the old state back, start a new study with --name, or go on with: {command}"
        )
