"""What a run says at its end: the answer, the account, the page, what to type next, and the exit code."""

from __future__ import annotations

import shlex
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from study.account import UNFINISHED, UNREADABLE, account, account_line, trial_states
from study.config import StudyConfig
from study.interruption import TIME_BUDGET, Interruption
from study.plan import draft
from study.records import REPORT_PAGE, StudyRecord, read_study, read_trials
from study.storage import STUDY_FILE, Store
from study.storage_error import cause
from trainables.errors import InputError

COMPLETE, FAULT, INCOMPLETE = 0, 1, 3
"""Exit codes: every planned trial complete; something stopped the sweep; some trials failed or diverged."""


def resume_command(folder: Store, *options: str) -> str:
    """What to type to go on with a study.

    Args:
        folder: The study's folder.
        options: Further options.

    Returns:
        A shell command.
    """
    return _command("resume", folder, *options)


def _command(name: str, folder: Store, *options: str) -> str:
    return shlex.join(["fisher-study", name, folder.name, "--storage", folder.parent_location, *options])


def _say_where(folder: Store, console: Console, page: str) -> None:
    _say(console, f"trials: {_command('show', folder)}")
    _say(console, f"report: {page}")


@dataclass(frozen=True)
class Typed:
    """The options of a command, as far as the next one needs them again.

    Attributes:
        lasting: Those about every further run: resources, accepted changes.
        once: Those about what this run does: what to retry, what to add.
    """

    lasting: tuple[str, ...] = ()
    once: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Both."""
        return *self.once, *self.lasting


def finish(folder: Store, console: Console, interruption: Interruption, typed: Typed, done: bool) -> int:
    """Say what came out of a sweep and what to do next; write the report unless it was interrupted.

    Args:
        folder: The study's folder.
        console: Where to say it.
        interruption: Whether and why it ended early.
        typed: What the command was told, so that the next one can be, too.
        done: Whether every trial that this run was to run has its record, whatever interrupted it then.

    Returns:
        The exit code.
    """
    console.quiet = False  # --quiet is about what comes before
    try:
        return _finish(folder, console, interruption, typed, done)
    except (OSError, InputError) as error:
        why = "" if interruption.reason is None else f"interrupted ({_why(interruption.reason)}). "
        _say(console, f"{why}What is in {folder.location} cannot be read now: {cause(error)}")
        _say(console, f"when it can, go on with: {resume_command(folder, *typed.all)}")
        return FAULT


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, markup=False)


def _why(reason: int | str) -> str:
    return signal.Signals(reason).name if isinstance(reason, int) else reason


def _finish(folder: Store, console: Console, interruption: Interruption, typed: Typed, done: bool) -> int:
    reason = interruption.reason
    if reason is not None and not folder.exists(STUDY_FILE):
        if isinstance(reason, int):
            _say(console, "interrupted before anything was written")
            return 128 + reason
        _say(console, f"interrupted ({reason}); delete the folder and run the study again")
        return FAULT
    record = read_study(folder)
    records, unreadable = read_trials(folder)
    counts = account(trial_states(record, records, unreadable).values())
    if reason is not None and not done:
        _say(console, f"interrupted ({_why(reason)}). {account_line(counts)}")
        _say(console, f"go on with: {resume_command(folder, *typed.all)}")
        # A used-up budget is asked for, like the SIGTERM that a cluster would send at that time.
        number = signal.SIGTERM if reason == TIME_BUDGET else reason
        return 128 + number if isinstance(number, int) else FAULT
    failed = _report(folder, counts, console)
    code = _exit_code(counts, folder, console, typed)
    return failed or code


def answer_again(record: StudyRecord, folder: Store, console: Console, typed: Typed) -> int:
    """Say what a study that was finished before has to say; write its report only when it is missing or old.

    Args:
        record: The study.
        folder: Its folder.
        console: Where to say it.
        typed: What the command was told.

    Returns:
        The exit code.
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
        _say(console, f"{record.study} is finished. {account_line(counts)}")
        _say_where(folder, console, folder.place(REPORT_PAGE))
    code = _exit_code(counts, folder, console, typed)
    return failed or code


def _report(folder: Store, counts: Mapping[str, int], console: Console) -> int:
    """Write the report and say the answer and the account; the exit code says whether it could be written."""
    if not counts["complete"]:
        _say(console, account_line(counts))
        return COMPLETE
    from analysis.report import write_report

    try:
        report = write_report(folder.location, None)
    except (InputError, OSError, KeyboardInterrupt) as error:
        _say(console, account_line(counts))
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else error
        _say(console, f"no report was written ({why}); write it with: {_command('report', folder)}")
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else FAULT
    for line in report.sentences:
        _say(console, line)
    _say(console, account_line(counts))
    _say_where(folder, console, report.page)
    return COMPLETE


def _exit_code(counts: Mapping[str, int], folder: Store, console: Console, typed: Typed) -> int:
    if counts[UNFINISHED] or counts[UNREADABLE]:
        _say(console, f"the sweep ended early; go on with: {resume_command(folder, *typed.all)}")
        return FAULT
    if again := [state for state in ("failed", "diverged") if counts[state]]:
        command = resume_command(folder, "--retry", ",".join(again), *typed.lasting)
        _say(console, f"'fisher-study show' gives the reasons; try them again with: {command}")
        return INCOMPLETE
    return COMPLETE


def print_power(study: StudyConfig, console: Console) -> None:
    """Say what a plan can find out, before it is paid for.

    Args:
        study: The planned study.
        console: Where to say it.
    """
    from analysis.power import planned_power

    # Slots are left out as in the headline: an adaptive search picks them by their outcome, so they are no sample.
    arms = {row.label: row.arm for row in draft(study) if row.slot is None}
    groups = [count for count in Counter(arms.values()).values() if count > 1]
    if not groups:
        console.print("power: none, since no family has two configurations or more")
        return
    found = ", ".join(f"{power:.2f} at {r:g}" for r, power in planned_power(groups).items())
    design = f"{sum(groups)} configurations in {len(groups)} families"
    _say(console, f"power of the headline test by within-family correlation: {found} ({design})")
