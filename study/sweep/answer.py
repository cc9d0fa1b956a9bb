"""What a run reports at its end: the answer, the account, the page, what to type next, and the exit code."""

from __future__ import annotations

import math
import signal
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.console import Console

from study.browse.telling import say, tell
from study.config import StudyConfig
from study.plan.planning import draft
from study.store.account import UNFINISHED, UNREADABLE, account, account_line, trial_states
from study.store.folders import REPORT_PAGE, study_command
from study.store.record_files import read_study, read_trials
from study.store.records import StudyRecord, TrialRecord
from study.store.storage import STUDY_FILE, Store
from study.store.storage_error import cause
from study.sweep.interruption import TIME_BUDGET, Interruption
from trainables.errors import InputError, PluginError

COMPLETE, FAULT, INCOMPLETE = 0, 1, 3
"""Exit codes: every planned trial complete; something stopped the sweep; some trials failed or diverged."""

TRUSTED = 0.9
"""Reliability of ln Tr(F) below which a running study says how many examples would reach it."""
ADVISED_AFTER = 6
"""Configurations that must be measured before a reliability is stated."""
UNFIT = 0.25
"""Share of models that do not fit their training data in the second of the dry run's power figures."""


def _say_where(folder: Store, console: Console, page: str | None) -> None:
    say(console, f"trials: {study_command('show', folder)}")
    if page is not None:
        say(console, f"report: {page}")


@dataclass(frozen=True)
class Typed:
    """The options of a command that the next one may need again.

    Attributes:
        lasting: Options for every further run: resources, accepted changes.
        once: Options about what this run does: what to retry, what to add.
    """

    lasting: tuple[str, ...] = ()
    once: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Both kinds of options."""
        return *self.once, *self.lasting


def finish(folder: Store, console: Console, interruption: Interruption, typed: Typed, done: bool) -> int:
    """Print the outcome of a sweep and what to do next; write the report unless the sweep was interrupted.

    Args:
        typed: The options of this command, so that the next one can be given them too.
        done: Whether every trial of this run has its record, even if the run was then interrupted.

    Returns:
        The exit code.
    """
    console.quiet = False  # --quiet silences only what comes before
    try:
        return _finish(folder, console, interruption, typed, done)
    except (OSError, InputError) as error:
        why = "" if interruption.reason is None else f"interrupted ({_why(interruption.reason)}). "
        say(console, f"{why}What is in {folder.location} cannot be read now: {cause(error)}")
        say(console, f"when it can, go on with: {study_command('resume', folder, *typed.all)}")
        return FAULT


def _why(reason: int | str) -> str:
    return signal.Signals(reason).name if isinstance(reason, int) else reason


def _finish(folder: Store, console: Console, interruption: Interruption, typed: Typed, done: bool) -> int:
    reason = interruption.reason
    if reason is not None and not folder.exists(STUDY_FILE):
        if isinstance(reason, int):
            say(console, "interrupted before anything was written")
            return 128 + reason
        say(console, f"interrupted ({reason}); delete the folder and run the study again")
        return FAULT
    record = read_study(folder)
    records, unreadable = read_trials(folder)
    counts = account(trial_states(record, records, unreadable).values())
    if reason is not None and not done:
        say(console, f"interrupted ({_why(reason)}). {account_line(counts)}")
        say(console, f"go on with: {study_command('resume', folder, *typed.all)}")
        # The user asked for the budget, so using it up is like the SIGTERM that a cluster would send at that time.
        number = signal.SIGTERM if reason == TIME_BUDGET else reason
        return 128 + number if isinstance(number, int) else FAULT
    failed = _report(folder, counts, console)
    code = _exit_code(counts, folder, console, typed)
    return failed or code


def answer_again(record: StudyRecord, folder: Store, console: Console, typed: Typed) -> int:
    """Report on a study that had already finished, and return the exit code.

    The page is written only if it is missing or older than a record.
    """
    console.quiet = False
    records, unreadable = read_trials(folder)
    counts = account(trial_states(record, records, unreadable).values())
    trials = folder.child("trials")
    newest = max((trials.modified(f"{trial_id}.json") or 0.0 for trial_id in records), default=0.0)
    written = folder.modified(REPORT_PAGE)
    failed = COMPLETE
    if written is None or written < newest:
        failed = _report(folder, counts, console)
    else:
        say(console, f"{record.study} is finished. {account_line(counts)}")
        _say_where(folder, console, folder.place(REPORT_PAGE))
    code = _exit_code(counts, folder, console, typed)
    return failed or code


def _report(folder: Store, counts: Mapping[str, int], console: Console) -> int:
    """Write the report, and print the answer and the account; the exit code says whether it could be written."""
    if not counts["complete"]:
        say(console, account_line(counts))
        _say_where(folder, console, None)
        return COMPLETE
    from analysis.report import write_report

    try:
        report = write_report(folder.location, None)
    except (InputError, PluginError, OSError, KeyboardInterrupt) as error:
        say(console, account_line(counts))
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else error
        say(console, f"no report was written ({why}); write it with: {study_command('report', folder)}")
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else FAULT
    for line in report.sentences:
        tell(console, line)
    say(console, account_line(counts))
    _say_where(folder, console, report.page)
    return COMPLETE


def _exit_code(counts: Mapping[str, int], folder: Store, console: Console, typed: Typed) -> int:
    if counts[UNFINISHED] or counts[UNREADABLE]:
        say(console, f"the sweep ended early; go on with: {study_command('resume', folder, *typed.all)}")
        return FAULT
    if again := [state for state in ("failed", "diverged") if counts[state]]:
        command = study_command("resume", folder, "--retry", ",".join(again), *typed.lasting)
        say(console, f"the trials show the reasons; try them again with: {command}")
        return INCOMPLETE
    return COMPLETE


def print_power(study: StudyConfig, console: Console) -> None:
    """Print the power of a plan before it is paid for."""
    from analysis.statistics.power import planned_power
    from analysis.verdicts.declared import HYPOTHESES

    # Slots are left out, as in the headline: an adaptive search picks them by their outcomes, so they are not a sample.
    arms = {row.label: row.arm for row in draft(study) if row.slot is None}
    groups = [count for count in Counter(arms.values()).values() if count > 1]
    if not groups:
        console.print("power: none, since no family has two configurations or more")
        return
    design = f"{sum(groups)} configurations in {len(groups)} families"
    found = ", ".join(f"{power:.2f} at {r:g}" for r, power in planned_power(groups).items())
    tell(console, f"power of the headline test by within-family correlation: {found} ({design})")
    controls = sum(not control.setting for control in HYPOTHESES["H1"].controls)
    kept = [max(0, count - round(count * UNFIT)) for count in groups]
    whole, fewer = (planned_power(sizes, controls)[0.6] for sizes in (groups, kept))
    tell(
        console,
        f"power of a verdict that survives its controls, at 0.6: {whole:.2f} if every model fits its training data "
        f"(which no plan can know), {fewer:.2f} if a quarter of each family does not",
    )


def trace_advice(records: Iterable[TrialRecord]) -> str | None:
    """One line that says whether Tr(F) needs more examples, from the trials of a study that have ended so far.

    None until six configurations in families of two or more have been measured, and if no more examples are needed.
    """
    from analysis.statistics.measurement_error import examples_needed, reliability

    measured: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for record in records:
        trace, error, examples = (record.measurements.get(f"fisher_trace{part}") for part in ("", "_se", "_examples"))
        if record.state == "complete" and trace and error and examples and trace > 0:
            measured.setdefault((record.arm, record.label), []).append(
                (math.log(trace), (error / trace) ** 2, examples)
            )
    means = {key: [sum(column) / len(rows) for column in zip(*rows, strict=True)] for key, rows in measured.items()}
    errors = [error / len(measured[key]) for key, (_, error, _) in means.items()]
    found = reliability([mean for mean, _, _ in means.values()], errors, [arm for arm, _ in means])
    if found.n < ADVISED_AFTER or found.value is None or found.value >= TRUSTED:
        return None
    needed = examples_needed(found, sum(examples for *_, examples in means.values()) / len(means), TRUSTED)
    ending = f"about {needed:,} would give {TRUSTED:g}" if needed else "its error is as large as its spread"
    return f"ln Tr(F) has a reliability of {found.value:.2f} so far; {ending} (measure.trace_examples)"
