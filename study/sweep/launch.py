"""What ``run`` and ``resume`` do, in order: plan, refuse what cannot work, sweep, report.

Nothing is written until the configuration, the model, the data and the resources have been checked. Torch and Ray are
imported only when they are needed, so that a command on a complete study answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.console import Console

from study.browse.tables import arms_table, base_table
from study.browse.telling import say
from study.config import StudyConfig
from study.plan.extension import extend, keep_rows
from study.plan.loading import load_source
from study.plan.planning import PlannedTrial, differences, draft, plan, probes
from study.store.folders import study_command, study_folder
from study.store.lock import LOCK_FILE, refuse_second_driver
from study.store.record_files import read_study, read_trials
from study.store.records import StudyRecord, TrialRecord, new_study
from study.store.storage import STUDY_FILE, Store
from study.sweep.answer import Typed, answer_again, finish, print_power
from study.sweep.drive import Work, drive
from study.sweep.estimate import print_estimate
from study.sweep.inputs import content_of, refuse_changes, resolve
from study.sweep.interruption import Interruption
from study.sweep.resources import Resources, prepare_ray
from trainables.errors import InputError
from trainables.software import software

RETRIED = frozenset({"failed", "diverged"})


def run(study: StudyConfig, storage: Store, resources: Resources, console: Console) -> int:
    """Run a study, or the rest of it, and return the exit code; InputError if the name is taken or the input wrong."""
    folder = storage.child(study.name)
    typed = Typed(tuple(resources.options()))
    if folder.exists(STUDY_FILE):
        record = read_study(folder)
        if changes := differences(record.study_config(), study):
            raise InputError(
                f"study {study.name} exists with another configuration (there -> asked): {'; '.join(changes)}. "
                f"Give the new one a name with --name, or continue the old one: {study_command('resume', folder)}"
            )
        return _continue(record, folder, resources, console, typed)
    # A start that was killed may have left its lock or a temporary file.
    if any(name != LOCK_FILE and not name.startswith(".") for name in folder.names()):
        raise InputError(f"{folder.location} exists and is no study; choose another name with --name")
    folder.require_writable()
    prepare_ray(resources.address)
    done = False
    with Interruption() as interruption:
        assets, possible = resolve(study, draft(study), console)
        trials = plan(possible, assets.fingerprints)
        console.print(f"{study.name}: {len(trials)} trials")
        record = new_study(study, trials, content_of(trials, assets), software(), assets.notes)
        work = Work(folder, study, trials, trials, kept={}, record=record)
        done = drive(work, assets, resources, console, interruption)
    return finish(folder, console, interruption, typed, done)


def resume(
    name: str,
    storage: Store,
    resources: Resources,
    console: Console,
    *,
    retry: frozenset[str] = frozenset(),
    accept_changes: bool = False,
    arms: str | None = None,
    seeds: int | None = None,
) -> int:
    """Run the planned trials of a study that have no final record, after adding to its plan where asked.

    Args:
        retry: States whose trials run again: ``failed``, ``diverged``.
        accept_changes: Continue even if code, data or weights have changed since the study began.
        arms: Arms and values to add to the plan.
        seeds: Repeats of every configuration, at least as many as are planned already.

    Returns:
        The exit code.

    Raises:
        InputError: There is no such study, another driver runs it, code, data or weights have changed, or the plan
            would lose or change a trial.
    """
    folder = study_folder(storage, name)
    record = read_study(folder)
    larger = None
    if arms is not None or seeds is not None:
        study = record.study_config()
        if arms is not None and ".py:" in study.source:
            say(console, f"the arms are read from {study.source}")
        larger = extend(study, arms=arms, seeds=seeds, source=None if arms is None else load_source(study))
        larger = larger if differences(study, larger) else None
    once = {"--retry": ",".join(sorted(retry)), "--arms": arms, "--seeds": seeds}
    typed = Typed(
        (*resources.options(), *(["--accept-changes"] if accept_changes else [])),
        tuple(str(word) for option, value in once.items() if value for word in (option, value)),
    )
    return _continue(record, folder, resources, console, typed, retry, accept_changes, larger)


def _continue(
    record: StudyRecord,
    folder: Store,
    resources: Resources,
    console: Console,
    typed: Typed,
    retry: frozenset[str] = frozenset(),
    accept_changes: bool = False,
    larger: StudyConfig | None = None,
) -> int:
    refuse_second_driver(folder)
    records, unreadable = read_trials(folder, strict=True)
    planned = record.planned()
    pending = _unfinished(planned, records, retry)
    if not pending and larger is None:
        return answer_again(record, folder, console, typed)
    prepare_ray(resources.address)
    done = False
    with Interruption() as interruption:
        study = larger or record.study_config()
        assets, possible = resolve(study, pending if larger is None else draft(larger), console)
        extended = None
        if larger is not None:
            planned = keep_rows(planned, plan(possible, assets.fingerprints))
            pending = _unfinished(planned, records, retry)
            extended = record.extended(larger, planned, content_of(planned, assets))
        console.print(f"{record.study}: {len(planned) - len(pending)} of {len(planned)} trials are finished")
        if damaged := [trial.trial_id for trial in pending if trial.trial_id in unreadable]:
            console.print(f"records that cannot be read, so that their trials run again: {', '.join(damaged)}")
        again = {trial.trial_id for trial in pending}
        kept = {trial.trial_id: records[trial.trial_id] for trial in planned if trial.trial_id not in again}
        if not accept_changes:
            refuse_changes(record, folder, pending, kept, assets, resources, typed, software())
        work = Work(folder, study, planned, pending, kept, found=record, records=records, record=extended)
        done = drive(work, assets, resources, console, interruption)
    return finish(folder, console, interruption, typed, done)


def _unfinished(
    planned: Sequence[PlannedTrial], records: Mapping[str, TrialRecord], retry: frozenset[str]
) -> list[PlannedTrial]:
    return [t for t in planned if t.trial_id not in records or records[t.trial_id].state in retry]


def preview(study: StudyConfig, storage: Store, resources: Resources, console: Console) -> None:
    """Show what a study would run, then read its model and data, so that wrong input is found without a run."""
    console.print(base_table(study))
    console.print()
    folder = storage.child(study.name)
    folder.require_writable()
    assets, possible = resolve(study, draft(study), console)
    console.print(arms_table(possible))
    console.print()
    print_power(possible, console)
    trials = plan(possible, assets.fingerprints)
    for kind, found in content_of(trials, assets).items():
        for name, fingerprint in found.items():
            say(console, f"{kind}: {name}: {fingerprint}")
    # A slot's draw is not known yet, but a trial at the bounds of its space switches on the same terms.
    drawn = {row.arm: row.config for row in probes(study)}
    timed = [trial if trial.slot is None else replace(trial, config=drawn[trial.arm]) for trial in trials]
    print_estimate(timed, assets, resources, console)
    outcome = "exists already" if folder.exists(STUDY_FILE) else "nothing was run or written"
    say(console, f"{folder.location}: {outcome}")


def parse_retry(text: str | None) -> frozenset[str]:
    """The states of ``--retry failed,diverged``; InputError for a state that cannot be tried again."""
    states = frozenset() if text is None else frozenset(state.strip() for state in text.split(","))
    if unknown := states - RETRIED:
        raise InputError(f"--retry takes failed, diverged or both with a comma, got {', '.join(sorted(unknown))!r}")
    return states
